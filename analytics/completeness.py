"""How much of a range is stored, and how much of that is in the rollups. Two independent counts."""

from __future__ import annotations

from datetime import datetime, timedelta

from analytics.filters import Filters
from analytics.pieces import Kind, Piece, PieceFinder
from analytics.plan import plan_segments
from analytics.policy import Params
from analytics.results import Completeness
from analytics.sql_build import piece_sql, where_filters
from analytics.timerange import TimeRange
from storage.log import time_to_us, us_to_time
from storage.session import ReadSession

SILENT_AFTER = timedelta(minutes=5)
"""A gateway is called silent when it sent nothing for so long while others did."""


def measure_completeness(
    session: ReadSession, time_range: TimeRange, filters: Filters, *, now: datetime
) -> Completeness:
    """See `results.Completeness`. Reads file statistics, and rows only at the range's edges."""
    narrowed = Filters(
        tenant=filters.tenant, environment=filters.environment, gateway=filters.gateway
    )
    stored, until = _count_stored(session, time_range, narrowed)
    counted, minute = _count_rolled_up(session, time_range, narrowed, now)
    return Completeness(
        data_until=until,
        counted_until=minute,
        requests_raw=stored,
        requests_counted=counted,
        rows_late=None,
        rejects=_count_rejects(session, time_range),
        silent_gateways=_silent_gateways(session, time_range, narrowed, until),
    )


def _count_stored(
    session: ReadSession, time_range: TimeRange, filters: Filters
) -> tuple[int, datetime | None]:
    """Rows of `requests` and the newest time. Files wholly inside are counted from statistics."""
    first, last = time_to_us(time_range.start), time_to_us(time_range.end)
    files = session.files("requests", time_range.start, time_range.end)
    narrowed = bool(filters.active())
    inside = [f for f in files if f.time_min >= first and f.time_max < last and f.rows >= 0]
    whole = [] if narrowed else inside
    known = {f.path for f in whole}
    params = Params()
    conditions = [
        f"time >= {params.add(time_range.start)}",
        f"time < {params.add(time_range.end)}",
        *where_filters(filters, params),
    ]
    row = session.query(
        f"SELECT count(*) AS n, max(time) AS newest FROM requests WHERE {' AND '.join(conditions)}",  # noqa: S608 - bound
        params.values,
        files={"requests": [f for f in files if f.path not in known]},
    ).to_pylist()[0]
    newest: datetime | None = row["newest"]
    if whole:
        latest = us_to_time(max(f.time_max for f in whole))
        newest = latest if newest is None else max(newest, latest)
    return int(row["n"]) + sum(f.rows for f in whole), newest


def _count_rolled_up(
    session: ReadSession, time_range: TimeRange, filters: Filters, now: datetime
) -> tuple[int, datetime | None]:
    """Requests by the rollups alone (raw only at edges no rollup can cut), newest minute's end."""
    kind: Kind = "usage"
    finder = PieceFinder(session.lake, session.tenant, kind, pending=False)
    total, newest = 0, None
    for piece in finder.find(plan_segments(time_range, now=now)):
        sql, params = piece_sql(kind, piece, filters, by=(), interval_s=None)
        for row in _rows(session, sql, params, piece):
            total += row["requests"]
    minutes = session.files("usage_minute", time_range.start, time_range.end)
    if minutes:
        newest = us_to_time(max(f.time_max for f in minutes)) + timedelta(minutes=1)
    return total, newest


def _count_rejects(session: ReadSession, time_range: TimeRange) -> int:
    table = session.query(
        "SELECT count(*) AS n FROM rejects WHERE time >= $start AND time < $end",
        {"start": time_range.start, "end": time_range.end},
        start=time_range.start,
        end=time_range.end,
    )
    return int(table["n"][0].as_py())


def _silent_gateways(
    session: ReadSession, time_range: TimeRange, filters: Filters, until: datetime | None
) -> tuple[str, ...]:
    """Gateways seen in the range whose newest minute is long before the newest of all."""
    if until is None:
        return ()
    params = Params()
    conditions = [
        f"time >= {params.add(time_range.start)}",
        f"time < {params.add(time_range.end)}",
        "gateway IS NOT NULL",
        *where_filters(filters, params),
    ]
    rows = session.query(
        "SELECT gateway, max(time) AS newest FROM usage_minute "  # noqa: S608 - bound
        f"WHERE {' AND '.join(conditions)} GROUP BY gateway ORDER BY gateway",
        params.values,
        start=time_range.start,
        end=time_range.end,
    ).to_pylist()
    limit = until - SILENT_AFTER - timedelta(minutes=1)
    return tuple(row["gateway"] for row in rows if row["newest"] < limit)


def _rows(
    session: ReadSession, sql: str, params: dict[str, object], piece: Piece
) -> list[dict[str, int]]:
    files = {"requests": (), piece.table: piece.files}
    rows: list[dict[str, int]] = session.query(sql, params, files=files).to_pylist()
    return rows
