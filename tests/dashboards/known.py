"""A small lake with known rows, counted independently of any query of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from analytics.jobs import JOBS
from analytics.runner import RollupRunner
from analytics.settings import AnalyticsSettings
from storage.lake import Lake
from storage.settings import StorageSettings

HOSTILE_API = "<img src=x onerror=alert(1)>"
"""An API whose name tries to run a script wherever it is shown."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as little as the screens need."""

    time: datetime
    api: str
    route: str
    consumer: str | None
    status_code: int
    duration_ms: float
    upstream_ms: float


def known_calls(now: datetime) -> list[Call]:
    """Half an hour that ends two minutes before `now`: three APIs, some errors, steady times."""
    end = now.replace(second=0, microsecond=0) - timedelta(minutes=2)
    calls = []
    for n in range(600):
        api = ("orders", "orders", "payments", HOSTILE_API)[n % 4]
        duration = 10.0 + (n * 37) % 400
        calls.append(
            Call(
                time=end - timedelta(seconds=3 * (n + 1)),
                api=api,
                route=f"/{api[:3]}/{{id}}" if n % 3 else f"/{api[:3]}",
                consumer=f"app-{n % 7}" if n % 5 else None,
                status_code=503 if n % 20 == 0 else 404 if n % 11 == 0 else 200,
                duration_ms=duration,
                upstream_ms=duration * 0.9,
            )
        )
    return calls


def outcome(status_code: int) -> str:
    return "server_error" if status_code >= 500 else "client_error" if status_code >= 400 else "ok"


def requests_table(calls: Sequence[Call]) -> pa.Table:
    return pa.table(
        {
            "time": pa.array([c.time for c in calls], pa.timestamp("us", tz="UTC")),
            "tenant": ["default"] * len(calls),
            "environment": ["production"] * len(calls),
            "gateway": ["nginx"] * len(calls),
            "api": [c.api for c in calls],
            "route": [c.route for c in calls],
            "method": ["GET"] * len(calls),
            "consumer": pa.array([c.consumer for c in calls], pa.string()),
            "status_code": pa.array([c.status_code for c in calls], pa.int16()),
            "outcome": [outcome(c.status_code) for c in calls],
            "duration_ms": [c.duration_ms for c in calls],
            "upstream_ms": [c.upstream_ms for c in calls],
            "gateway_ms": [c.duration_ms - c.upstream_ms for c in calls],
            "source": ["nginx"] * len(calls),
        }
    )


def write_lake(folder: Path, calls: Sequence[Call]) -> StorageSettings:
    """Append the calls and run the real rollup jobs over them."""
    storage = StorageSettings(data_dir=folder)
    lake = Lake(storage)
    lake.table("requests").append(requests_table(calls), app_id="test", app_version=1)
    roll_up(storage)
    return storage


def roll_up(storage: StorageSettings) -> None:
    """Let every rollup job catch up."""
    runner = RollupRunner(Lake(storage), AnalyticsSettings())
    for job in JOBS.values():
        runner.catch_up(job)


def rank(values: Sequence[float], quantile: float) -> float:
    """The value of rank ceil(q * n), by sorting."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(quantile * 1000) // 1000) - 1)]


def utc_now() -> datetime:
    return datetime.now(UTC)
