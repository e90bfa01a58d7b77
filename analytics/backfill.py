"""Counts a window again from its source and corrects the rollups by the difference.

A rollup is a sum of partial rows, so a correction is one more partial row per group: what the
source says now minus what the rollup says. When both agree (as they should) nothing is written, so
running this twice, or after a crash, changes nothing more. A corrected minute tier feeds the hour
and day tiers like any new rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from analytics.errors import JobError
from analytics.jobs import ROLLUPS, Job
from analytics.plan import TIER_SECONDS, Tier, ceil_time, floor_time
from analytics.runner import RollupRunner
from analytics.timerange import TimeRange
from storage.lake import Lake
from storage.log import us_to_time
from storage.schemas import TABLES
from storage.session import ReadSession

TRIES_MAX = 20
"""How often the jobs catch up with a source that keeps growing before a recount gives up."""

_MEASURES = (
    "requests", "errors", "duration_ms_sum", "upstream_ms_sum", "gateway_ms_sum",
    "request_bytes", "response_bytes", "duration_requests",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recount:
    """What a recount of one rollup found."""

    job: str
    window: TimeRange | None
    """What was counted again: the asked window on whole steps of the tier, as far as the source is
    still kept. None = nothing of it is kept."""
    groups_corrected: int
    """Partial rows written; 0 = the rollup was right."""


def recompute(lake: Lake, window: TimeRange, runner: RollupRunner | None = None) -> list[Recount]:
    """Recount every rollup over a window. The caller holds the jobs lease, so that no job runs.

    Raises JobError when a source grows faster than the jobs can follow.
    """
    runner = runner or RollupRunner(lake)
    with ReadSession(lake, tenant=None, threads=1) as session:
        return [_recount(lake, session, runner, job, window) for job in ROLLUPS]


def _recount(
    lake: Lake, session: ReadSession, runner: RollupRunner, job: Job, window: TimeRange
) -> Recount:
    _catch_up(lake, runner, job)
    covered = _covered(lake, job, window)
    if covered is None:
        return Recount(job.name, None, 0)
    rows = _difference(session, job, covered)
    if rows.num_rows:
        target = lake.table(job.target)
        app_id = f"{job.name}/recount"
        version = (target.app_version(app_id) or 0) + 1
        target.append(rows, app_id=app_id, app_version=version)
    return Recount(job.name, covered, rows.num_rows)


def _catch_up(lake: Lake, runner: RollupRunner, job: Job) -> None:
    """Until the job has seen all of its source: only then do both sides speak of the same rows."""
    for _ in range(TRIES_MAX):
        runner.catch_up(job)
        source = lake.existing(job.source)
        if source is None:
            return
        if not source.changes(lake.table(job.target).app_version(job.name)).files:
            return
    raise JobError(f"{job.source} grows faster than {job.name} can follow; recompute when calmer")


def _covered(lake: Lake, job: Job, window: TimeRange) -> TimeRange | None:
    """The window on whole steps, cut to where the source still has everything.

    Without the cut, a window older than the source's retention would be counted as empty.
    """
    source = lake.existing(job.source)
    files = [] if source is None else source.snapshot().select(None)
    if not files:
        return None
    tier: Tier = job.name.rsplit("_", 1)[1]  # type: ignore[assignment]
    step = TIER_SECONDS[tier]
    oldest = us_to_time(min(f.time_min for f in files))
    # retention drops whole hours, so the oldest hour that is there is whole
    kept_from = ceil_time(floor_time(oldest, 3600), step)
    start = max(floor_time(window.start, step), kept_from)
    end = ceil_time(window.end, step)
    return TimeRange(start, end) if start < end else None


def _difference(session: ReadSession, job: Job, window: TimeRange) -> pa.Table:
    """Partial rows that make the rollup equal to its source over the window."""
    names = TABLES[job.target].column_names
    measures = [name for name in names if name in _MEASURES]
    keys = ", ".join(name for name in names if name not in _MEASURES)
    inside = "time >= $start AND time < $end"
    # floats are compared by what can matter: sums in another order differ in the last digits
    differs = " OR ".join(
        f"abs(COALESCE(sum({m}) - sum({m}_was), sum({m}), -sum({m}_was), 0)) > "
        f"1e-9 * (1 + abs(COALESCE(sum({m}_was), 0)))"
        for m in measures
    )
    changed = ", ".join(
        f"CAST(CASE WHEN sum({m}) IS NOT NULL OR sum({m}_was) IS NOT NULL THEN "
        f"COALESCE(sum({m}), 0) - COALESCE(sum({m}_was), 0) END AS {_sql_type(m)}) AS {m}"
        for m in measures
    )
    now = ", ".join(f"{m}, NULL AS {m}_was" for m in measures)
    was = ", ".join(f"NULL AS {m}, {m} AS {m}_was" for m in measures)
    sql = (
        f"SELECT {keys}, {changed} FROM ("  # noqa: S608 - names from schemas.py
        f"SELECT {keys}, {now} FROM ({job.sql}) WHERE {inside} "
        f"UNION ALL SELECT {keys}, {was} FROM {job.target} WHERE {inside}"
        f") GROUP BY {keys} HAVING {differs}"
    )
    params = {"start": window.start, "end": window.end}
    files = {
        job.source: session.files(job.source, window.start, window.end),
        job.target: session.files(job.target, window.start, window.end),
    }
    if job.source != "requests":
        files["requests"] = []
    return session.query(sql, params, files=files)


def _sql_type(measure: str) -> str:
    return "DOUBLE" if measure.endswith("_sum") else "BIGINT"
