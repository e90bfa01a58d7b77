"""How much of a range is stored, and how much of that is in the rollups. Two independent counts."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from analytics.arrivals import measure_arrivals
from analytics.filters import Filters
from analytics.grains import USAGE
from analytics.pieces import PieceFinder
from analytics.policy import Params
from analytics.results import Completeness, SourceGap
from analytics.sql_build import where_filters
from analytics.sums import Question, Sums
from analytics.timerange import TimeRange
from storage.log import time_to_us, us_to_time
from storage.session import ReadSession

MINUTE = timedelta(minutes=1)
DAY_US = 86_400_000_000
SILENT_AFTER = timedelta(minutes=5)
"""A gateway is called silent when it sent nothing for so long while others did."""


def measure_completeness(
    session: ReadSession, sums: Sums, time_range: TimeRange, filters: Filters
) -> Completeness:
    """See `results.Completeness`. Reads file statistics, and rows only at the range's edges."""
    narrowed = Filters(
        tenant=filters.tenant,
        environment=filters.environment,
        gateway=filters.gateway,
        endpoints="all",
    )
    stored, until = _count_stored(session, time_range, narrowed)
    files = session.files("requests", time_range.start, time_range.end)
    arrivals = measure_arrivals(session, time_range, narrowed, files)
    reasons = _count_rejects(session, time_range)
    sources = _sources(sums, time_range, narrowed, until)
    counted, minute = _count_rolled_up(session, sums, time_range, narrowed)
    return Completeness(
        data_until=until,
        counted_until=minute,
        requests_raw=stored,
        requests_counted=counted,
        rows_late=arrivals.rows_late,
        rejects=sum(reasons.values()),
        silent_gateways=tuple(sorted({s.gateway for s in sources if s.silent and s.gateway})),
        rows_arrival_known=arrivals.rows_known,
        lateness_s_max=arrivals.lateness_s_max,
        rejects_by_reason=reasons,
        sources=sources,
        uncounted=tuple(PieceFinder(session.lake, session.tenant, USAGE).left_out(time_range)),
        data_from=data_begins(session),
    )


def data_begins(session: ReadSession) -> datetime | None:
    """See `Completeness.data_from`. From statistics of files: no row is read."""
    begins = {
        tier: min(times)
        for tier in reversed(USAGE.tiers)
        if (times := [f.time_min for f in session.files(USAGE.table(tier)) if f.rows])
    }
    if not begins:  # nothing is counted yet
        raw = min((f.time_min for f in session.files("requests") if f.rows), default=None)
        return None if raw is None else us_to_time(raw)
    # A coarse tier names the start of its hour or day: a finer one that reaches as far knows.
    oldest = min(begins.values())
    return us_to_time(next(us for us in begins.values() if us < oldest + DAY_US))


def _count_stored(
    session: ReadSession, time_range: TimeRange, filters: Filters
) -> tuple[int, datetime | None]:
    """Rows of `requests` and the newest time. Files wholly inside are counted from statistics."""
    first, last = time_to_us(time_range.start), time_to_us(time_range.end)
    files = session.files("requests", time_range.start, time_range.end)
    narrowed = bool(filters.active()) or session.scope is not None
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
    session: ReadSession, sums: Sums, time_range: TimeRange, filters: Filters
) -> tuple[int, datetime | None]:
    """Requests by the rollups alone (raw only at edges no rollup can cut), newest minute's end."""
    counted = sums.add_up(Question("usage", filters=filters), time_range, counted_by=USAGE)
    newest = None
    minutes = session.files("usage_minute", time_range.start, time_range.end)
    if minutes:
        newest = us_to_time(max(f.time_max for f in minutes)) + timedelta(minutes=1)
    return int(counted["requests"].sum()), newest


def _count_rejects(session: ReadSession, time_range: TimeRange) -> dict[str, int]:
    """Rejects by reason, most first."""
    table = session.query(
        "SELECT COALESCE(reason, '(none)') AS reason, count(*) AS n FROM rejects "
        "WHERE time >= $start AND time < $end GROUP BY ALL ORDER BY n DESC, reason",
        {"start": time_range.start, "end": time_range.end},
        start=time_range.start,
        end=time_range.end,
    )
    return {row["reason"]: row["n"] for row in table.to_pylist()}


def _sources(
    sums: Sums, time_range: TimeRange, filters: Filters, until: datetime | None
) -> tuple[SourceGap, ...]:
    """Every gateway and environment of the range with its longest pause, the silent ones first.

    Minutes come from rollups; of a range longer than they are kept, only the kept part is told.
    """
    start = max(time_range.start, sums.minutes_kept_from())
    if until is None or start >= time_range.end:
        return ()
    by = ("gateway", "environment")
    question = Question("usage", by, filters, interval_s=60)
    minutes = sums.add_up(question, TimeRange(start, time_range.end)).sort("time")
    limit = until - SILENT_AFTER - MINUTE
    gaps = []
    for (gateway, environment), rows in minutes.group_by(by, maintain_order=True):
        times = rows["time"].to_list()
        pauses = [after - time for time, after in pairwise([*times, until])]
        longest = max(pauses)
        gaps.append(
            SourceGap(
                gateway=gateway,
                environment=environment,
                first_seen=times[0],
                last_seen=times[-1] + MINUTE,
                minutes_with_data=len(times),
                longest_gap_s=max(0.0, longest.total_seconds() - 60),
                longest_gap_start=times[pauses.index(longest)] + MINUTE,
                silent=times[-1] < limit,
            )
        )
    return tuple(sorted(gaps, key=lambda g: (not g.silent, g.gateway or "", g.environment or "")))
