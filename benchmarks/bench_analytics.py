"""Rollups per second on one core, and how long questions take.

    .venv/bin/python -m benchmarks.bench_analytics [--rows 2000000] [--hours 1]

Makes requests of a company with 12 APIs, 8 routes each and 300 consumers (Zipf), stores them in
commits as the collector would, runs the minute jobs with one thread, then asks the questions a home
screen asks. Counts are checked inside. Prints machine, seed and one line per figure.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from analytics.jobs import JOBS
from analytics.query import Analytics, TimeRange
from analytics.runner import RollupRunner
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings

SEED = 20261121
START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
COMMIT_ROWS = 200_000


def make_requests(rng: np.random.Generator, rows: int, start: datetime, seconds: float) -> pa.Table:
    """Requests spread evenly over the time, in order, as a batch from the collector is."""
    offsets = np.sort(rng.uniform(0, seconds * 1e6, rows)).astype("int64")
    times = pa.array(int(start.timestamp()) * 1_000_000 + offsets).cast(pa.timestamp("us", "UTC"))
    consumer = rng.zipf(1.3, rows) % 300
    api = (consumer * 7 + rng.integers(0, 3, rows)) % 12  # an application uses three of the APIs
    route = api * 8 + rng.integers(0, 8, rows)
    status = rng.choice(
        np.array([200, 201, 304, 404, 429, 500]), rows, p=[0.86, 0.05, 0.03, 0.03, 0.02, 0.01]
    )
    outcome = {200: "ok", 201: "ok", 304: "redirect", 404: "client_error", 429: "rate_limited",
               500: "server_error"}  # fmt: skip
    duration = rng.lognormal(3, 0.9, rows)

    def text(values: np.ndarray, prefix: str) -> pa.Array:
        names = pa.array([f"{prefix}{i}" for i in range(int(values.max()) + 1)])
        return pa.DictionaryArray.from_arrays(pa.array(values, pa.int32()), names).cast(pa.string())

    return pa.table(
        {
            "time": times,
            "tenant": pa.array(["default"] * rows),
            "environment": pa.array(["production"] * rows),
            "gateway": pa.array(["nginx"] * rows),
            "api": text(api, "api-"),
            "api_version": text(api % 2, "v"),
            "route": text(route, "/things/{id}/route-"),
            "method": text(route % 3, "METHOD-"),
            "product": text(api % 4, "product-"),
            "plan": text(consumer % 3, "plan-"),
            "consumer": text(consumer, "consumer-"),
            "status_code": pa.array(status.astype("int16")),
            "outcome": pa.array([outcome[s] for s in status.tolist()]),
            "country": text(consumer % 20, "C"),
            "client_kind": text(consumer % 5, "kind-"),
            "duration_ms": duration,
            "upstream_ms": duration * 0.9,
            "gateway_ms": duration * 0.1,
            "request_bytes": rng.integers(100, 2000, rows),
            "response_bytes": rng.integers(100, 90_000, rows),
        }
    )


def fill(lake: Lake, rows: int, hours: float) -> None:
    rng = np.random.default_rng(SEED)
    commits = max(1, rows // COMMIT_ROWS)
    seconds = hours * 3600 / commits
    for number in range(commits):
        begin = START + timedelta(seconds=seconds * number)
        batch = make_requests(rng, rows // commits, begin, seconds)
        lake.table("requests").append(batch, app_id="bench", app_version=number + 1)


def timed_ms(ask: Callable[[], object], repeats: int = 7) -> float:
    """Median CPU time, so that a busy machine does not count; with one thread that is the wait."""
    ask()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        ask()
        times.append((time.process_time() - began) * 1e3)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--hours", type=float, default=1.0)
    options = parser.parse_args()
    out = sys.stdout.write
    out(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ")
    out(f"seed {SEED}, {options.rows:,} requests over {options.hours:g} h\n")
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(StorageSettings(data_dir=Path(folder)))
        fill(lake, options.rows, options.hours)
        bench_jobs(lake, out)
        bench_questions(lake, options.rows, options.hours, out)


def bench_jobs(lake: Lake, out: Callable[[str], object]) -> None:
    runner = RollupRunner(lake)
    seconds = 0.0
    for job in JOBS.values():
        began, cpu = time.perf_counter(), time.process_time()
        steps = runner.catch_up(job)
        wall, used = time.perf_counter() - began, time.process_time() - cpu
        rows_in, rows_out = sum(s.rows_in for s in steps), sum(s.rows_out for s in steps)
        out(f"{job.name:16} {rows_in:>10,} rows -> {rows_out:>9,}  {rows_in / wall:>11,.0f} rows/s")
        out(f"  wall {wall:.2f} s  cpu {used:.2f} s\n")
        if job.source == "requests":
            seconds += used
            minute_rows = rows_in
    out(f"minute rollups together: {minute_rows / seconds:,.0f} requests/s of one core\n")


def bench_questions(lake: Lake, rows: int, hours: float, out: Callable[[str], object]) -> None:
    end = START + timedelta(hours=hours)
    for label, start, stop in (
        ("last hour", end - timedelta(hours=1), end),
        ("ragged hour", end - timedelta(minutes=59, seconds=13), end - timedelta(seconds=7)),
        ("everything", START, end),
    ):
        time_range = TimeRange(start, stop)
        with ReadSession(lake, threads=1) as session:
            ask = Analytics(session, clock=lambda: end)
            if label == "everything":
                assert ask.overview(time_range).requests == rows // max(1, rows // COMMIT_ROWS) * (
                    max(1, rows // COMMIT_ROWS)
                )
            questions: dict[str, Callable[[], object]] = {
                "overview": lambda a=ask, t=time_range: a.overview(t),
                "usage series": lambda a=ask, t=time_range: a.usage(t, by=("api",), interval_s=60),
                "latency series": lambda a=ask, t=time_range: a.latency(t, interval_s=60),
                "breakdown by api": lambda a=ask, t=time_range: a.breakdown(t, by="api"),
                "usage by api, consumer": lambda a=ask, t=time_range: a.usage(
                    t, by=("api", "consumer")
                ),
            }
            for name, question in questions.items():
                out(f"{label:12} {name:24} {timed_ms(question):8.1f} ms CPU\n")


if __name__ == "__main__":
    main()
