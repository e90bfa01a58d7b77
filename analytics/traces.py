"""Questions about traces: the list, one trace, who calls whom, what was thrown, which attributes.

The list and the edges come from tables that jobs keep, plus the spans those have not counted yet,
so they are exact and current however far the jobs are.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from analytics.buckets import quantiles_by
from analytics.errors import QueryRefused
from analytics.frames import to_frame
from analytics.hourly import HOUR, LEAD, SKEW, count_edges, touched_hours
from analytics.limits import PENDING_ROWS_MAX, SAMPLE_ROWS_MAX
from analytics.plan import ceil_time, floor_time
from analytics.settled import SEALED, SettledSums
from analytics.settled_sql import settled_rows
from analytics.sql_files import load_sql
from analytics.timerange import TimeRange
from storage.errors import VersionsGone
from storage.log import FileEntry, time_to_us
from storage.session import ReadSession

TRACE_LENGTH_MAX = timedelta(hours=1)
"""How far from the start of a trace its other spans are looked for."""

_TRACE_ID = re.compile(r"[0-9a-f]{32}")

Cursor = tuple[datetime, str]
"""Time and id of the last trace of the page before."""


class Traces:
    """Questions of one tenant about its spans. Thread-safe. No spans = tables without rows."""

    def __init__(self, session: ReadSession, *, settled: SettledSums | None = None) -> None:
        """`settled`: what is kept between questions; to be shared by all who ask the same lake."""
        self._session = session
        self._settled = settled or SettledSums()

    def list(
        self,
        time_range: TimeRange,
        *,
        limit: int = 100,
        service: str | None = None,
        min_ms: float = 0.0,
        errors_only: bool = False,
        after: Cursor | None = None,
    ) -> pl.DataFrame:
        """Traces that began in the range, newest first; columns: sql/trace_list.sql.

        `after`: only what comes after that row, for the next page; late spans can move a trace,
        new ones do not shift pages.
        """
        first, last = time_range.start - TRACE_LENGTH_MAX, time_range.end + TRACE_LENGTH_MAX
        stored, pending = self._stored_and_pending("traces", first, last)
        partial = (
            "SELECT * EXCLUDE (tenant, day, hour) FROM traces UNION ALL BY NAME "  # noqa: S608 - no input
            f"SELECT * EXCLUDE (tenant) FROM (\n{load_sql('traces')}\n)"
        )
        sql = (
            f"WITH partial AS ({partial}) SELECT * FROM (\n{load_sql('trace_list')}\n) "  # noqa: S608
            "ORDER BY time DESC, trace_id"
        )
        params = {
            "start": time_range.start,
            "end": time_range.end,
            "limit": _bounded(limit),
            "service": service,
            "min_ms": min_ms,
            "errors_only": errors_only,
            "before_time": None if after is None else after[0],
            "before_id": None if after is None else after[1],
        }
        files = {"traces": stored, "spans": pending}
        return to_frame(self._session.query(sql, params, files=files))

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
        """Calls between services, most first: source, target, calls, errors, p50_ms, p95_ms."""
        whole, ragged = self._edge_spans(time_range)
        frames = [self._counted_edges(span) for span in ragged]
        frames += [self._kept_edges(span) for span in whole]
        rows = pl.concat(f.select("source", "target", "bucket", "calls", "errors") for f in frames)
        sums = rows.group_by("source", "target").agg(pl.col("calls", "errors").sum())
        buckets = rows.rename({"calls": "requests"}).drop("errors")
        quantiles = quantiles_by(buckets, ("source", "target"), (0.5, 0.95)).drop("requests")
        return sums.join(quantiles, on=("source", "target")).sort(
            "calls", "source", "target", descending=[True, False, False]
        )

    def exceptions(self, time_range: TimeRange, *, limit: int = 100) -> pl.DataFrame:
        """The commonest of `thrown`."""
        return self.thrown(time_range).head(_bounded(limit))

    def thrown(self, time_range: TimeRange, *, environment: str | None = None) -> pl.DataFrame:
        """Exceptions grouped by what they say, commonest first: service_name, type, message,
        occurrences, first_seen, last_seen, example_trace_id (of the last). environment: of the
        span; None = all."""
        sql, params = load_sql("exceptions"), {"environment": environment}
        rows = settled_rows(self._session, self._settled, "spans", sql, params, time_range)
        keys = ("service_name", "type", "message")
        return (
            rows.sort("last_seen")
            .group_by(keys)
            .agg(
                pl.col("occurrences").sum(),
                pl.col("first_seen").min(),
                pl.col("last_seen").max(),
                pl.col("example_trace_id").last(),
            )
            .sort("occurrences", *keys, descending=[True, False, False, False])
        )

    def attributes(self, time_range: TimeRange, *, service: str | None = None) -> pl.DataFrame:
        """Attributes that spans carry, commonest first: place, key, records. Whole hours that
        touch the range."""
        span = TimeRange(floor_time(time_range.start, 3600), ceil_time(time_range.end, 3600))
        stored, pending = self._stored_and_pending("attribute_keys", span.start, span.end)
        sql = (
            "SELECT place, key, CAST(sum(records) AS BIGINT) AS records FROM ("  # noqa: S608 - no input
            "SELECT time, place, service_name, key, records FROM attribute_keys UNION ALL BY NAME "
            f"SELECT * EXCLUDE (tenant, source) FROM (\n{load_sql('attribute_keys')}\n)) "
            "WHERE time >= $start AND time < $end "
            "AND ($service IS NULL OR service_name = $service) "
            "GROUP BY place, key ORDER BY records DESC, place, key"
        )
        params = {"start": span.start, "end": span.end, "service": service}
        files = {"attribute_keys": stored, "spans": pending}
        return to_frame(self._session.query(sql, params, files=files))

    def attribute_values(
        self, time_range: TimeRange, key: str, *, service: str | None = None, limit: int = 50
    ) -> pl.DataFrame:
        """Commonest values of an attribute; columns: sql/attribute_values.sql."""
        limit = _bounded(limit)
        return self._ask("attribute_values", time_range, key=key, service=service, limit=limit)

    def _ask(self, name: str, time_range: TimeRange, **params: object) -> pl.DataFrame:
        values = {"start": time_range.start, "end": time_range.end, **params}
        table = self._session.query(
            load_sql(name), values, start=time_range.start, end=time_range.end
        )
        return to_frame(table)

    def _stored_and_pending(
        self, job: str, start: datetime, end: datetime
    ) -> tuple[Sequence[FileEntry], Sequence[FileEntry]]:
        """Files of a job's table, and the span files it has not counted; together every span once.

        When the job is too far behind, or only some rows may be seen (what a job has added up of
        several services cannot be taken apart), all is told from spans.
        """
        if self._session.scope is not None:
            return (), self._session.files("spans", start, end)
        target = self._session.lake.existing(job)
        snapshot = None if target is None else target.snapshot()
        pending = self._pending(None if snapshot is None else snapshot.transaction(job))
        if snapshot is None or pending is None:
            return (), self._session.files("spans", start, end)
        # of the same snapshot as the place: a job that commits meanwhile must not be counted twice
        stored = snapshot.select(self._session.tenant, time_to_us(start), time_to_us(end))
        return stored, self._within(pending, start, end)

    def _pending(self, done: int | None) -> Sequence[FileEntry] | None:
        """Span files a job at this place has not counted; None = too many, or it never ran."""
        source = self._session.lake.existing("spans")
        if source is None:
            return ()
        if done is None:
            return None
        try:
            changes = source.changes(done, rows_max=PENDING_ROWS_MAX)
        except VersionsGone:
            return None
        return None if changes.rows >= PENDING_ROWS_MAX else changes.files

    def _within(
        self, files: Sequence[FileEntry], start: datetime, end: datetime
    ) -> builtins.list[FileEntry]:
        tenant, low, high = self._session.tenant, time_to_us(start), time_to_us(end)
        return [
            entry
            for entry in files
            if tenant in (None, entry.tenant) and entry.time_min < high and entry.time_max >= low
        ]

    def _edge_spans(
        self, time_range: TimeRange
    ) -> tuple[builtins.list[TimeRange], builtins.list[TimeRange]]:
        """The range in parts: whole hours the table answers, and the rest, told from spans."""
        table = self._session.lake.existing("service_edges")
        pending = self._pending(None if table is None else table.app_version("service_edges"))
        start, end = ceil_time(time_range.start, 3600), floor_time(time_range.end, 3600)
        if pending is None or start >= end or self._session.scope is not None:
            return [], [time_range]
        stale = set(touched_hours(self._within(pending, start - LEAD - HOUR, end + SKEW)))
        whole, ragged = [], []
        cut, kept_from = time_range.start, start
        hour = start
        while hour <= end:
            if hour == end or hour in stale:
                if kept_from < hour:
                    if cut < kept_from:
                        ragged.append(TimeRange(cut, kept_from))
                    whole.append(TimeRange(kept_from, hour))
                    cut = hour
                kept_from = hour + HOUR
            hour += HOUR
        if cut < time_range.end:
            ragged.append(TimeRange(cut, time_range.end))
        return whole, ragged

    def _counted_edges(self, span: TimeRange) -> pl.DataFrame:
        """Edges by their spans; of one sealed hour cut between minutes kept minute by minute."""
        hour = floor_time(span.start, 3600)
        aligned = all(floor_time(t, 60) == t for t in (span.start, span.end))
        files = self._session.files("spans", hour - LEAD, hour + HOUR + SKEW)
        if span.end > hour + HOUR or not aligned or any(f.level < SEALED for f in files):
            return to_frame(count_edges(self._session, span))
        scope, tenant = self._session.scope, self._session.tenant
        key = ("edges", tenant, scope, hour, tuple(sorted(f.path for f in files)))
        frame = self._settled.get(key)
        if frame is None:
            frame = to_frame(count_edges(self._session, TimeRange(hour, hour + HOUR), 60))
            self._settled.put(key, frame)
        time = pl.col("time").cast(pl.Int64)
        return frame.filter((time >= time_to_us(span.start)) & (time < time_to_us(span.end)))

    def _kept_edges(self, span: TimeRange) -> pl.DataFrame:
        sql = "SELECT * FROM service_edges WHERE time >= $start AND time < $end"
        bounds = {"start": span.start, "end": span.end}
        return to_frame(self._session.query(sql, bounds, start=span.start, end=span.end))


def _bounded(limit: int) -> int:
    return max(1, min(limit, SAMPLE_ROWS_MAX))
