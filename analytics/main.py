"""Puts the jobs process together: lake, state, runner, scheduler."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from analytics.jobs import JOBS, Cadence, Job
from analytics.lease import Lease
from analytics.run_history import RunHistory
from analytics.runner import RollupRunner, StepResult
from analytics.scheduler import JobScheduler, Work
from analytics.settings import AnalyticsSettings
from storage.lake import Lake
from storage.settings import StorageSettings
from storage.state import open_state


def build_scheduler(
    storage: StorageSettings,
    settings: AnalyticsSettings,
    *,
    clock: Callable[[], float] = time.time,
) -> JobScheduler:
    """A scheduler with every rollup job added; the caller adds its own, then starts it."""
    engine = open_state(storage)
    lease = Lease(engine, "jobs", ttl_s=settings.lease_s, clock=clock)
    history = RunHistory(engine, keep=settings.history_runs_max)
    scheduler = JobScheduler(lease, history, retry_s_max=settings.retry_s_max, clock=clock)
    runner = RollupRunner(Lake(storage), settings, clock=clock)
    for job in JOBS.values():
        scheduler.add(
            job.name,
            _run_job(runner, job, settings, scheduler.check_lease, clock),
            every_s=_interval(job.cadence, settings),
        )
    return scheduler


def _interval(cadence: Cadence, settings: AnalyticsSettings) -> float:
    return {
        "minute": settings.minute_every_s,
        "hour": settings.hour_every_s,
        "day": settings.day_every_s,
        "calm": settings.calm_every_s,
    }[cadence]


def _run_job(
    runner: RollupRunner,
    job: Job,
    settings: AnalyticsSettings,
    check_lease: Callable[[], None],
    clock: Callable[[], float],
) -> Callable[[], Work | None]:
    def run() -> Work | None:
        until = clock() + settings.catch_up_s
        return summary(runner.catch_up(job, before_commit=check_lease, until=until))

    return run


def summary(steps: Sequence[StepResult]) -> Work | None:
    """One record for the steps of a run; None when there were none."""
    if not steps:
        return None
    return Work(
        rows_in=sum(s.rows_in for s in steps),
        rows_out=sum(s.rows_out for s in steps if s.committed),
        source_version_from=steps[0].version_from,
        source_version_to=steps[-1].version_to,
        lag_s=steps[-1].lag_s,
    )
