"""Questions over many requests: of a lake that is there, or of day tiers as 50 million leave them.

    python -m benchmarks.bench_analytics_scale              # makes day tiers in a folder of its own
    python -m benchmarks.bench_analytics_scale --lake DIR   # asks a rolled-up lake, read-only

Prints the median CPU and wall time of five; CPU is what can be compared on a crowded machine. The
first time of a question is in a process that has answered another one. What
screens ask is timed twice: asked for the first time, and then moved by a minute five times, where
settled hours come from memory.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from analytics.consumers import active_by_calendar
from analytics.plan import ceil_time, floor_time
from analytics.plan_fit import plan_fits
from analytics.query import Analytics, Filters, TimeRange
from analytics.quota import quota_usage
from analytics.slo import slo_statuses
from storage.catalog import Api, Catalog, Consumer, Plan, Slo
from storage.lake import Lake
from storage.log import us_to_time
from storage.schemas import TABLES
from storage.session import ReadSession
from storage.settings import StorageSettings

SEED = 20261127
REQUESTS = 50_000_000
DAYS = 30
ROWS_PER_DAY = 60_000
"""Groups a day has: 1,000 consumers, each with three of 12 APIs of 8 routes, some status codes."""

REPEATS = 5
END = datetime(2026, 11, 27, tzinfo=UTC)


def make_days(lake: Lake) -> None:
    """`usage_day` and `usage_consumer_day` of a month, REQUESTS in all."""
    rng = np.random.default_rng(SEED)
    spec = TABLES["usage_day"].arrow_schema
    for day in range(DAYS):
        count = REQUESTS // DAYS
        consumer = rng.integers(0, 1000, ROWS_PER_DAY)
        api = (consumer * 7 + rng.integers(0, 3, ROWS_PER_DAY)) % 12
        status = rng.choice([200, 201, 404, 429, 500], ROWS_PER_DAY, p=[0.6, 0.2, 0.1, 0.05, 0.05])
        weight = rng.pareto(1.2, ROWS_PER_DAY) + 0.1
        requests = np.maximum(1, weight / weight.sum() * count).astype(np.int64)
        requests[0] += count - requests.sum()
        start = END - timedelta(days=DAYS - day)
        outcome = {200: "ok", 201: "ok", 404: "client_error", 429: "rate_limited"}
        columns = {
            "time": [start] * ROWS_PER_DAY,
            "tenant": ["default"] * ROWS_PER_DAY,
            "api": [f"api-{n}" for n in api],
            "route": [f"/api-{n}/r{i % 8}/{{id}}" for i, n in enumerate(api)],
            "consumer": [f"consumer-{n:04}" for n in consumer],
            "product": [f"product-{n % 3}" for n in api],
            "status_code": status,
            "outcome": [outcome.get(int(s), "server_error") for s in status],
            "requests": requests,
            "errors": np.where(status == 500, requests, 0),
            "duration_requests": requests,
            "duration_ms_sum": requests * 20.0,
            "request_bytes": requests * 300,
            "response_bytes": requests * 2_000,
        }
        table = pa.table({k: pa.array(v, spec.field(k).type) for k, v in columns.items()})
        lake.table("usage_day").append(table, app_id="usage_day", app_version=day + 1)
        names = TABLES["usage_consumer_day"].column_names
        keys = [n for n in names if n in columns and n not in TABLES["usage_consumer_day"].sums]
        sums = [n for n in names if n in columns and n not in keys]
        by_consumer = table.group_by(keys).aggregate([(n, "sum") for n in sums])
        by_consumer = by_consumer.rename_columns([*keys, *sums])
        lake.table("usage_consumer_day").append(
            by_consumer, app_id="usage_consumer_day", app_version=day + 1
        )


def timed(name: str, ask: Callable[[], object]) -> None:
    walls, cpus = [], []
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        ask()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    cpu_ms, wall_ms = statistics.median(cpus) * 1e3, statistics.median(walls) * 1e3
    print(f"{name:44s} {cpu_ms:8.0f} ms CPU {wall_ms:8.0f} ms wall", flush=True)


def timed_moving(name: str, ask: Callable[[timedelta], object]) -> None:
    """The first time, and the median of being moved back by one more minute."""
    taken = []
    for minutes in range(1 + REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        ask(timedelta(minutes=-minutes))
        taken.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu_ms, wall_ms = (statistics.median(t[i] for t in taken[1:]) * 1e3 for i in (0, 1))
    first_cpu, first_wall = (t * 1e3 for t in taken[0])
    print(
        f"{name:32s} first {first_cpu:6.0f} ms CPU {first_wall:6.0f} wall, "
        f"moved {cpu_ms:6.0f} ms CPU {wall_ms:6.0f} wall",
        flush=True,
    )


def ask_days(analytics: Analytics, week: TimeRange) -> None:
    analytics.usage(
        TimeRange(week.end - timedelta(days=1), week.end), by=("route",)
    )  # warm process
    wall, cpu = time.perf_counter(), time.process_time()
    whole = analytics.usage(week, by=("api", "consumer"), limit=1_000_000)
    wall, cpu = (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3
    print(f"{'usage by api, consumer, first time':44s} {cpu:8.0f} ms CPU {wall:8.0f} ms wall")
    print(f"{whole['requests'].sum():,} requests, {whole['consumer'].n_unique():,} consumers")
    timed(
        "usage by api, consumer",
        lambda: analytics.usage(week, by=("api", "consumer"), limit=1_000_000),
    )
    timed(
        "requests by api, consumer",
        lambda: analytics.measure("requests", week, by=("api", "consumer")),
    )
    timed("usage by api, per day", lambda: analytics.usage(week, by=("api",), interval_s=86_400))
    one = Filters(consumer=(whole["consumer"][0],))
    timed("one consumer by route", lambda: analytics.usage(week, one, by=("route",)))
    timed("consumers active per day", lambda: active_by_calendar(analytics, week, kind="day"))


def ask_screens(analytics: Analytics, end: datetime) -> None:
    """What screens ask: of the last hour, day and week."""
    spans = (("hour", 1, 60), ("day", 24, 900), ("week", 24 * 7, 3600))
    end = floor_time(end, 60)
    for name, hours, step in spans:
        span = TimeRange(end - timedelta(hours=hours), end)
        timed_moving(f"{name}: overview", lambda by, r=span: analytics.overview(r.shifted(by)))
        timed_moving(
            f"{name}: usage series by api",
            lambda by, r=span, s=step: analytics.usage(r.shifted(by), by=("api",), interval_s=s),
        )
        timed_moving(
            f"{name}: latency series",
            lambda by, r=span, s=step: analytics.latency(r.shifted(by), interval_s=s),
        )
        for column in ("api", "route", "consumer"):
            timed_moving(
                f"{name}: breakdown by {column}",
                lambda by, r=span, b=column: analytics.breakdown(r.shifted(by), by=b),
            )
        timed_moving(
            f"{name}: completeness", lambda by, r=span: analytics.completeness(r.shifted(by))
        )
    week = TimeRange(end - timedelta(days=7), end)
    apis = analytics.usage(week, by=("api",))["api"].drop_nulls().to_list()
    names = analytics.usage(week, by=("consumer",))["consumer"].drop_nulls().to_list()
    catalog = Catalog(
        apis=tuple(Api(name=api) for api in apis),
        plans=(Plan(name="p", quota_per_month=100_000, rate_limit_per_minute=600),),
        consumers=tuple(Consumer(name=name, plan="p") for name in names),
    )
    timed_moving(
        f"quotas of {len(names):,}", lambda by: quota_usage(analytics, catalog, now=end + by)
    )
    timed_moving(
        f"plan fits of {len(names):,}", lambda by: plan_fits(analytics, catalog, now=end + by)
    )
    for count in (24, 1_000):
        slos = tuple(
            Slo(name=f"{n}", api=apis[n % len(apis)], objective=0.99, threshold_ms=100.0 + n,
                kind="latency" if n % 2 else "availability")
            for n in range(count)
        )  # fmt: skip
        known = Catalog(apis=catalog.apis, slos=slos)
        timed_moving(
            f"{count:,} objectives", lambda by, c=known: slo_statuses(analytics, c, now=end + by)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lake", type=Path, help="data folder of a lake with its rollups made")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.lake is None:
        with tempfile.TemporaryDirectory() as folder:
            lake = Lake(StorageSettings(data_dir=Path(folder)))
            make_days(lake)
            with ReadSession(lake, threads=options.threads) as session:
                analytics = Analytics(session, clock=lambda: END + timedelta(hours=1))
                ask_days(analytics, TimeRange(END - timedelta(days=DAYS), END))
        return
    lake = Lake(StorageSettings(data_dir=options.lake))
    files = lake.table("requests").snapshot().select(None)
    print(f"{sum(f.rows for f in files):,} requests in {len(files):,} files")
    end = us_to_time(max(f.time_max for f in files)) + timedelta(microseconds=1)
    with ReadSession(lake, threads=options.threads) as session:
        analytics = Analytics(session, clock=lambda: end)
        start = us_to_time(min(f.time_min for f in files))
        ask_days(analytics, TimeRange(ceil_time(start, 86_400), floor_time(end, 86_400)))
        ask_screens(analytics, end)


if __name__ == "__main__":
    main()
