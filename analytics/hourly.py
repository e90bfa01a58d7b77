"""Calls between services, kept per hour. Caller and called may come in different batches, so new
rows alone do not tell: an hour that got spans is counted again, and what is new is appended.

    touched hours = hours in which the new spans can be called, or callers of what was called
    new           = edges of the hour, by the spans stored now, minus edges of the hour in the table

More spans only ever make more calls, so a difference is never negative unless retention has taken
spans away; then the hour keeps what it had. Cost: the spans of the touched hours, each time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import pyarrow as pa

from analytics.plan import floor_time
from analytics.sql_files import load_sql
from analytics.timerange import TimeRange
from storage.log import FileEntry, us_to_time
from storage.schemas import TABLES
from storage.session import ReadSession

HOUR = timedelta(hours=1)

LEAD = timedelta(hours=1)
"""How long before the called span its caller may have begun. Twin: sql/service_edges.sql."""

SKEW = timedelta(minutes=1)
"""How much later the caller's clock may say it began. Twin: sql/service_edges.sql."""


def touched_hours(files: Iterable[FileEntry]) -> list[datetime]:
    """Hours whose edges the spans of some files can change, in order."""
    hours: set[datetime] = set()
    for entry in files:
        hour = floor_time(us_to_time(entry.time_min) - SKEW, 3600)
        last = us_to_time(entry.time_max) + LEAD
        while hour <= last:
            hours.add(hour)
            hour += HOUR
    return sorted(hours)


def new_edges(session: ReadSession, files: Iterable[FileEntry]) -> pa.Table:
    """Rows of `service_edges` that the table lacks for the hours the files touch."""
    tables = [_missing(session, TimeRange(hour, hour + HOUR)) for hour in touched_hours(files)]
    found = [table for table in tables if table.num_rows]
    return pa.concat_tables(found) if found else TABLES["service_edges"].arrow_schema.empty_table()


def count_edges(session: ReadSession, span: TimeRange, step_s: int = 3600) -> pa.Table:
    """Edges of a range by its spans: time (start of the step), tenant, source, target, bucket,
    calls, errors."""
    return session.query(
        load_sql("service_edges"),
        {"start": span.start, "end": span.end, "step": step_s},
        files={"spans": session.files("spans", span.start - LEAD, span.end + SKEW)},
    )


def _missing(session: ReadSession, hour: TimeRange) -> pa.Table:
    sql = (
        "SELECT time, tenant, source, target, bucket, CAST(sum(calls) AS BIGINT) AS calls, "  # noqa: S608 - no input
        "CAST(sum(errors) AS BIGINT) AS errors FROM ("
        f"SELECT * FROM (\n{load_sql('service_edges')}\n) UNION ALL "
        "SELECT time, tenant, source, target, bucket, -calls, -errors FROM service_edges "
        "WHERE time >= $start AND time < $end"
        ") GROUP BY ALL HAVING sum(calls) > 0"
    )
    files = {
        "spans": session.files("spans", hour.start - LEAD, hour.end + SKEW),
        "service_edges": session.files("service_edges", hour.start, hour.end),
    }
    params = {"start": hour.start, "end": hour.end, "step": 3600}
    return session.query(sql, params, files=files)
