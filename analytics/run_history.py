"""Runs of jobs in the state store: what ran, how long, how many rows, what went wrong.

Looks that found nothing new are not recorded, or a quiet lake would fill the history.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, Row, delete, func, insert, select

from storage.state import job_runs


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run that did something or failed."""

    job: str
    started_at: datetime
    finished_at: datetime
    source_version_from: int | None
    source_version_to: int | None
    rows_in: int
    rows_out: int
    lag_s: float | None
    """Age of the newest row that was read."""
    error: str | None
    """One sentence; None = it went well."""

    @property
    def duration_s(self) -> float:
        return (self.finished_at - self.started_at).total_seconds()


class RunHistory:
    """Reads and writes `job_runs`; keeps the newest `keep` runs of each job."""

    def __init__(self, engine: Engine, *, keep: int = 2_000) -> None:
        self._engine = engine
        self._keep = keep
        self._since_trim = 0

    def record(self, run: JobRun) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                insert(job_runs).values(
                    job=run.job,
                    started_at=run.started_at.timestamp(),
                    finished_at=run.finished_at.timestamp(),
                    source_version_from=run.source_version_from,
                    source_version_to=run.source_version_to,
                    rows_in=run.rows_in,
                    rows_out=run.rows_out,
                    lag_s=run.lag_s,
                    error=run.error,
                )
            )
        self._since_trim += 1
        if self._since_trim >= 100:
            self._since_trim = 0
            self.trim()

    def trim(self) -> None:
        """Remove all but the newest runs of each job."""
        rank = (
            func.row_number()
            .over(partition_by=job_runs.c.job, order_by=job_runs.c.id.desc())
            .label("rank")
        )
        ranked = select(job_runs.c.id, rank).subquery()
        old = select(ranked.c.id).where(ranked.c.rank > self._keep)
        with self._engine.begin() as connection:
            connection.execute(delete(job_runs).where(job_runs.c.id.in_(old)))

    def history(self, job: str | None = None, *, limit: int = 50) -> list[JobRun]:
        """Newest first; of one job or of all."""
        query = select(job_runs).order_by(job_runs.c.id.desc()).limit(limit)
        if job is not None:
            query = query.where(job_runs.c.job == job)
        with self._engine.connect() as connection:
            return [_run(row) for row in connection.execute(query)]

    def last(self) -> dict[str, JobRun]:
        """The newest run of every job that ever did something."""
        newest = select(func.max(job_runs.c.id)).group_by(job_runs.c.job)
        query = select(job_runs).where(job_runs.c.id.in_(newest))
        with self._engine.connect() as connection:
            return {row.job: _run(row) for row in connection.execute(query)}


def _run(row: Row[tuple[object, ...]]) -> JobRun:
    finished = row.finished_at if row.finished_at is not None else row.started_at
    return JobRun(
        job=row.job,
        started_at=datetime.fromtimestamp(row.started_at, UTC),
        finished_at=datetime.fromtimestamp(finished, UTC),
        source_version_from=row.source_version_from,
        source_version_to=row.source_version_to,
        rows_in=row.rows_in,
        rows_out=row.rows_out,
        lag_s=row.lag_s,
        error=row.error,
    )
