"""Runs jobs on time, in one process of possibly several, and remembers how it went.

Times are UTC and intervals, never local wall-clock times: a day with 23 or 25 hours runs nothing
twice. A run that comes late is run once (`coalesce`), not dropped (`misfire_grace_time=None`). The
scheduler that holds the lease works; others stand by and take over when it goes silent. A job that
fails keeps its place and is tried again after a pause that doubles.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from analytics.errors import LeaseLost, UnknownJob
from analytics.lease import Lease
from analytics.run_history import JobRun, RunHistory

log = structlog.get_logger(__name__)

WORKERS = 3
"""Jobs at work at once; a slow one must not hold up the minute rollups."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a run of a job did, for its history. A job that returns None had nothing to do."""

    rows_in: int = 0
    rows_out: int = 0
    source_version_from: int | None = None
    source_version_to: int | None = None
    lag_s: float | None = None


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How a job is doing now, in this process."""

    name: str
    every_s: float
    failures: int
    """Failures in a row; 0 = healthy."""
    error: str | None
    """Of the last failure, while `failures` > 0."""
    retry_at: datetime | None
    """When a failing job is tried again."""
    last_ok_at: datetime | None
    """Last time it ran through, with or without work to do; None = not yet in this process."""


@dataclass(slots=True)
class _Scheduled:
    name: str
    func: Callable[[], object]
    every_s: float
    failures: int = 0
    error: str | None = None
    retry_at: float = 0.0
    last_ok_at: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class JobScheduler:
    """`add` jobs, `start`, `stop`. `tick(name)` runs one now, for tests and `gatelens jobs run`."""

    def __init__(
        self,
        lease: Lease,
        history: RunHistory,
        *,
        retry_s_max: float = 300.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lease = lease
        self._history = history
        self._retry_s_max = retry_s_max
        self._clock = clock
        self._jobs: dict[str, _Scheduled] = {}
        self._scheduler: BackgroundScheduler | None = None
        self._lease_lock = threading.Lock()
        self._active = False

    @property
    def active(self) -> bool:
        """Whether this scheduler holds the lease; False = standing by."""
        return self._active

    def add(self, name: str, func: Callable[[], object], every_s: float) -> None:
        """Run `func` every `every_s` seconds. It may return a Work to have the run recorded."""
        job = _Scheduled(name, func, every_s)
        self._jobs[name] = job
        if self._scheduler is not None:
            self._schedule(job)

    def start(self) -> None:
        """Begin, in background threads. The first runs are due at once."""
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(WORKERS), "lease": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
        )
        self._hold_lease()
        self._scheduler.add_job(
            self._hold_lease,
            IntervalTrigger(seconds=max(0.5, self._lease.ttl_s / 3), timezone=UTC),
            id="_lease",
            executor="lease",
        )
        for job in self._jobs.values():
            self._schedule(job)
        self._scheduler.start()

    def stop(self) -> None:
        """Let running jobs finish their step, then give the lease up."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=True)
            self._scheduler = None
        self._active = False
        self._lease.release()

    def check_lease(self) -> None:
        """Raise LeaseLost when another process took over. Call right before a commit."""
        self._lease.check()

    def status(self) -> list[JobStatus]:
        return [
            JobStatus(
                name=job.name,
                every_s=job.every_s,
                failures=job.failures,
                error=job.error,
                retry_at=_moment(job.retry_at) if job.failures else None,
                last_ok_at=_moment(job.last_ok_at),
            )
            for job in self._jobs.values()
        ]

    def tick(self, name: str) -> bool:
        """Run a due job now, in this thread. False = standing by, pausing or already running."""
        job = self._jobs.get(name)
        if job is None:
            raise UnknownJob(name, tuple(self._jobs))
        if not self._active and not self._hold_lease():
            return False
        if self._clock() < job.retry_at or not job.lock.acquire(blocking=False):
            return False
        try:
            self._run(job)
        finally:
            job.lock.release()
        return True

    def _schedule(self, job: _Scheduled) -> None:
        assert self._scheduler is not None
        self._scheduler.add_job(
            self.tick,
            IntervalTrigger(seconds=job.every_s, timezone=UTC),
            args=[job.name],
            id=job.name,
            next_run_time=datetime.now(UTC),
            replace_existing=True,
        )

    def _hold_lease(self) -> bool:
        with self._lease_lock:
            held = self._lease.acquire()
            if held != self._active:
                log.info("jobs_active" if held else "jobs_standing_by", holder=self._lease.holder)
            self._active = held
            return held

    def _run(self, job: _Scheduled) -> None:
        started = self._clock()
        try:
            outcome = job.func()
        except LeaseLost:
            self._active = False
            log.warning("job_given_up", job=job.name, reason="lease lost; nothing was written")
            return
        except Exception as err:
            self._failed(job, started, err)
            return
        job.failures, job.error, job.retry_at = 0, None, 0.0
        job.last_ok_at = self._clock()
        if isinstance(outcome, Work):
            self._record(job, started, outcome, None)

    def _failed(self, job: _Scheduled, started: float, err: Exception) -> None:
        job.failures += 1
        pause = min(job.every_s * 2 ** min(job.failures, 30), self._retry_s_max)
        job.error = f"{type(err).__name__}: {err}"[:2_000]
        job.retry_at = self._clock() + pause
        log.error(
            "job_failed", job=job.name, failures=job.failures, retry_in_s=pause, error=job.error
        )
        self._record(job, started, Work(), job.error)

    def _record(self, job: _Scheduled, started: float, work: Work, error: str | None) -> None:
        run = JobRun(
            job=job.name,
            started_at=datetime.fromtimestamp(started, UTC),
            finished_at=datetime.fromtimestamp(self._clock(), UTC),
            source_version_from=work.source_version_from,
            source_version_to=work.source_version_to,
            rows_in=work.rows_in,
            rows_out=work.rows_out,
            lag_s=work.lag_s,
            error=error,
        )
        try:
            self._history.record(run)
        except Exception as err:  # the history is a record of work, not the work
            log.error("job_run_not_recorded", job=job.name, error=str(err))


def _moment(epoch_s: float | None) -> datetime | None:
    return None if epoch_s is None else datetime.fromtimestamp(epoch_s, UTC)
