"""What `gatelens jobs list|run|history|recompute` and the health page show and do."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from analytics.backfill import Recount, recompute
from analytics.errors import JobError
from analytics.jobs import JOBS, Job, job_named
from analytics.lease import Lease
from analytics.run_history import JobRun, RunHistory
from analytics.runner import RollupRunner, StepResult
from analytics.settings import AnalyticsSettings
from analytics.timerange import TimeRange
from storage.lake import Lake
from storage.settings import StorageSettings
from storage.state import open_state


@dataclass(frozen=True, slots=True)
class JobOverview:
    """A job as seen from outside the jobs process."""

    job: Job
    last_run: JobRun | None
    """Last run that did something or failed; None = never."""
    rows_behind: int
    """Rows of the source it has not counted."""

    @property
    def healthy(self) -> bool:
        return self.last_run is None or self.last_run.error is None


def list_jobs(storage: StorageSettings) -> list[JobOverview]:
    """Every rollup job with its last run and how far it is behind."""
    lake, last = Lake(storage), _history(storage).last()
    return [JobOverview(job, last.get(job.name), rows_behind(lake, job)) for job in JOBS.values()]


def rows_behind(lake: Lake, job: Job) -> int:
    """Rows that came to the source since the job's last commit."""
    source, target = lake.existing(job.source), lake.existing(job.target)
    if source is None:
        return 0
    return source.changes(None if target is None else target.app_version(job.name)).rows


def run_job(
    storage: StorageSettings, name: str, settings: AnalyticsSettings | None = None
) -> list[StepResult]:
    """Bring one rollup up to date now. Safe beside a running jobs process: a step that both do is
    counted once. Raises UnknownJob."""
    return RollupRunner(Lake(storage), settings).catch_up(job_named(name))


def job_history(storage: StorageSettings, name: str | None = None, limit: int = 50) -> list[JobRun]:
    """Recorded runs, newest first; of one job or, with None, of all that ever ran."""
    return _history(storage).history(name, limit=limit)


def recompute_window(
    storage: StorageSettings, window: TimeRange, settings: AnalyticsSettings | None = None
) -> list[Recount]:
    """Recount a window from raw and correct the rollups. Takes the jobs lease meanwhile.

    Raises JobError when a jobs process is at work: stop it first.
    """
    settings = settings or AnalyticsSettings()
    engine: Engine = open_state(storage)
    lease = Lease(engine, "jobs", ttl_s=3600)
    if not lease.acquire():
        raise JobError("a jobs process is running; stop it, recompute, and start it again")
    try:
        lake = Lake(storage)
        return recompute(lake, window, RollupRunner(lake, settings))
    finally:
        lease.release()
        engine.dispose()


def _history(storage: StorageSettings) -> RunHistory:
    return RunHistory(open_state(storage))
