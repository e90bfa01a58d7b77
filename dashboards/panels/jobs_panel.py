"""The jobs of the installation: the latest run of each, and how it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dash import html
from sqlalchemy import Engine, func, select

from dashboards import format as fmt
from dashboards.components import (
    Component,
    Head,
    badge,
    count_cell,
    latency_cell,
    number,
    table,
    when,
)
from storage.state import job_runs


@dataclass(frozen=True, slots=True)
class JobRun:
    """The latest run of a job. `finished_at` None = it runs now."""

    job: str
    started_at: datetime
    finished_at: datetime | None
    rows_in: int
    rows_out: int
    lag_s: float | None
    error: str | None


def latest_runs(engine: Engine) -> list[JobRun]:
    """By name; [] where no job has run yet."""
    newest = select(func.max(job_runs.c.id)).group_by(job_runs.c.job)
    query = select(job_runs).where(job_runs.c.id.in_(newest)).order_by(job_runs.c.job)
    with engine.connect() as connection:
        return [
            JobRun(
                row.job,
                datetime.fromtimestamp(row.started_at, UTC),
                None if row.finished_at is None else datetime.fromtimestamp(row.finished_at, UTC),
                row.rows_in,
                row.rows_out,
                row.lag_s,
                row.error,
            )
            for row in connection.execute(query)
        ]


def jobs_table(runs: Sequence[JobRun], now: datetime) -> Component:
    lines = []
    for run in runs:
        state = (
            ("failed", "bad")
            if run.error
            else ("runs", "accent")
            if not run.finished_at
            else ("ok", "good")
        )
        took = (run.finished_at - run.started_at).total_seconds() if run.finished_at else None
        lines.append(
            [
                html.Span(fmt.plain(run.job, 40), className="gl-mono"),
                html.Span(badge(*state), title=fmt.plain(run.error or "", 300)),
                when(run.started_at, now),
                latency_cell(None if took is None else took * 1000),
                count_cell(run.rows_in),
                number(fmt.span(run.lag_s), run.lag_s, tone="muted"),
            ]
        )
    heads = (
        Head("Job"),
        Head("State"),
        Head("Last run"),
        Head("Took", True),
        Head("Rows", True),
        Head("Lag", True),
    )
    return table(heads, lines, empty="No job has run yet; start one with `gatelens jobs`.")
