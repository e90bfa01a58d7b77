"""Questions about traces: the list, one trace, who calls whom, what was thrown."""

from __future__ import annotations

import re
from datetime import timedelta

import polars as pl

from analytics.errors import QueryRefused
from analytics.frames import to_frame
from analytics.limits import SAMPLE_ROWS_MAX
from analytics.sql_files import load_sql
from analytics.timerange import TimeRange
from storage.session import ReadSession

PARENT_LEAD = timedelta(hours=1)
"""How long before a range a caller's span may have begun. Twin: sql/service_edges.sql."""

_TRACE_ID = re.compile(r"[0-9a-f]{32}")


class Traces:
    """Questions of one tenant about its spans. Thread-safe. No spans = tables without rows."""

    def __init__(self, session: ReadSession) -> None:
        self._session = session

    def list(self, time_range: TimeRange, *, limit: int = 100) -> pl.DataFrame:
        """Traces that have spans in the range; columns: sql/trace_list.sql."""
        return self._ask("trace_list", time_range, limit=max(1, min(limit, SAMPLE_ROWS_MAX)))

    def spans(self, trace_id: str, time_range: TimeRange | None = None) -> pl.DataFrame:
        """All spans of a trace. A range it is known to lie in makes this quick.

        Raises QueryRefused for what is no trace id.
        """
        trace_id = trace_id.strip().lower()
        if not _TRACE_ID.fullmatch(trace_id):
            raise QueryRefused("a trace id has 32 hex digits")
        start = None if time_range is None else time_range.start
        end = None if time_range is None else time_range.end
        sql = load_sql("trace_spans")
        return to_frame(self._session.query(sql, {"trace_id": trace_id}, start=start, end=end))

    def edges(self, time_range: TimeRange) -> pl.DataFrame:
        """Calls between services; columns: sql/service_edges.sql."""
        return self._ask("service_edges", time_range, lead=PARENT_LEAD)

    def exceptions(self, time_range: TimeRange, *, limit: int = 100) -> pl.DataFrame:
        """Exceptions grouped by what they say; columns: sql/exceptions.sql."""
        return self._ask("exceptions", time_range, limit=max(1, min(limit, SAMPLE_ROWS_MAX)))

    def _ask(
        self, name: str, time_range: TimeRange, *, lead: timedelta = timedelta(0), **params: object
    ) -> pl.DataFrame:
        values = {"start": time_range.start, "end": time_range.end, **params}
        table = self._session.query(
            load_sql(name), values, start=time_range.start - lead, end=time_range.end
        )
        return to_frame(table)
