"""Runs incremental jobs: new rows of a table, through SQL, into partial aggregates. Exactly once.

    done    = transaction version of the job in the target table  (its place, kept by the lake)
    changes = files that came to the source after version `done`  (bounded; never what it has seen)
    rows    = the job's SQL over those files alone
    append(rows, app_id=job, app_version=changes.to_version)       (rows and place in ONE commit)

A crash anywhere before the commit leaves rows and place as they were, so the step is simply done
again; after it, both are there. Late rows are new files like any other and add another partial row.
Compaction rewrites files without changing data and is not seen. Two runners that race commit the
same (job, version): the lake lets one through.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import structlog

from analytics.first_run import begins_late, hours_of
from analytics.hourly import new_edges
from analytics.jobs import JOBS, Job
from analytics.settings import AnalyticsSettings
from storage.changes import Changes
from storage.errors import LakeConflict
from storage.lake import Lake, LakeTable
from storage.log import Snapshot
from storage.session import ReadSession

log = structlog.get_logger(__name__)

IDLE_VERSIONS_MAX = 100
"""Versions without new data (compactions) after which a job records that it has passed them, so
that the log can be cleaned up to there."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step of a job did."""

    job: str
    version_from: int | None
    """Source version the step started after; None = from the beginning."""
    version_to: int
    rows_in: int
    rows_out: int
    committed: bool
    """False = another runner had done the same step already."""
    lag_s: float
    """Age of the newest row that was read."""


class RollupRunner:
    """Runs jobs on one lake. Thread-safe."""

    def __init__(
        self,
        lake: Lake,
        settings: AnalyticsSettings | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lake = lake
        self._settings = settings or AnalyticsSettings()
        self._clock = clock
        self._session = ReadSession(
            lake,
            tenant=None,
            memory_limit=f"{self._settings.duckdb_memory_mb}MB",
            threads=self._settings.duckdb_threads,
        )

    def step(
        self, job: Job, *, before_commit: Callable[[], None] = lambda: None
    ) -> StepResult | None:
        """Do one bounded step. None = nothing new. `before_commit` may raise to give it up."""
        source = self._lake.existing(job.source)
        if source is None:
            return None
        target = self._lake.table(job.target)
        done = target.app_version(job.name)
        if done is None and not job.by_hour:
            snapshot = source.snapshot()
            if begins_late(source, snapshot):
                return self._first_run(job, snapshot, before_commit)
        changes = source.changes(done, rows_max=self._settings.step_rows_max)
        if not changes.files:
            if changes.to_version - changes.from_version >= IDLE_VERSIONS_MAX:
                empty = target.spec.arrow_schema.empty_table()
                _append(target, [empty], job, changes.to_version)
            return None
        rows = self._aggregate(job, changes)
        before_commit()
        # another runner may have come less far meanwhile: its rows would be counted again by ours
        committed = target.app_version(job.name) == done and _append(
            target, [rows], job, changes.to_version
        )
        newest_s = max(entry.time_max for entry in changes.files) / 1e6
        return StepResult(
            job=job.name,
            version_from=done,
            version_to=changes.to_version,
            rows_in=changes.rows,
            rows_out=rows.num_rows,
            committed=committed,
            lag_s=self._clock() - newest_s,
        )

    def catch_up(
        self,
        job: Job,
        *,
        before_commit: Callable[[], None] = lambda: None,
        until: float | None = None,
    ) -> list[StepResult]:
        """Step until nothing is new, or until the clock passes `until` (epoch seconds)."""
        results: list[StepResult] = []
        while (result := self.step(job, before_commit=before_commit)) is not None:
            results.append(result)
            if until is not None and self._clock() >= until:
                break
        return results

    def catch_up_all(self) -> list[StepResult]:
        """Bring every rollup up to date, sources before what is made from them."""
        return [result for job in JOBS.values() for result in self.catch_up(job)]

    def _first_run(
        self, job: Job, snapshot: Snapshot, before_commit: Callable[[], None]
    ) -> StepResult:
        """All that is there, in one commit; see first_run.py."""
        rows_out = 0

        def parts() -> Iterator[pa.Table]:
            nonlocal rows_out
            for files in hours_of(snapshot, self._settings.step_rows_max):
                rows = self._session.query(job.sql, files={job.source: files})
                rows_out += rows.num_rows
                before_commit()
                yield rows

        files = list(snapshot.files())
        committed = _append(self._lake.table(job.target), parts(), job, snapshot.version)
        return StepResult(
            job=job.name,
            version_from=None,
            version_to=snapshot.version,
            rows_in=sum(f.rows for f in files),
            rows_out=rows_out,
            committed=committed,
            lag_s=self._clock() - max((f.time_max for f in files), default=0) / 1e6,
        )

    def _aggregate(self, job: Job, changes: Changes) -> pa.Table:
        if job.by_hour:
            return new_edges(self._session, changes.files)
        return self._session.query(job.sql, files={job.source: changes.files})


def _append(target: LakeTable, parts: Iterable[pa.Table], job: Job, version: int) -> bool:
    """False = another runner has committed this step already."""
    try:
        committed = target.append_parts(parts, app_id=job.name, app_version=version)
    except LakeConflict:
        if (target.app_version(job.name) or -1) < version:
            raise
        committed = None
    if committed is None:
        log.info("job_step_done_elsewhere", job=job.name, source_version=version)
    return committed is not None
