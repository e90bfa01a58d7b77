"""Rollups hold exactly what was stored, however it came and whatever broke on the way."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.buckets import bucket_of
from analytics.filters import DIMENSIONS, LATENCY_DIMENSIONS
from analytics.jobs import JOBS
from analytics.query import Analytics, TimeRange
from analytics.runner import RollupRunner
from analytics.settings import AnalyticsSettings
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from tests.analytics import oracle
from tests.analytics.hostile import NOON, random_rows, request_table
from tests.analytics.oracle import Row

STEP = {"minute": 60, "hour": 3600, "day": 86_400}
CONSUMER_STEP = {"quarter": 900, "hour": 3600, "day": 86_400}


MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where fsync is free, so that more cases fit into a second; crashes here are raised, not real."""


class Crash(Exception):
    pass


def floored(moment: datetime, seconds: int) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + timedelta(seconds=(moment - epoch) // timedelta(seconds=1) // seconds * seconds)


def near(value: float | None) -> Any:
    return None if value is None else pytest.approx(value, rel=1e-9)


API_DIMENSIONS = tuple(d for d in DIMENSIONS if d not in ("product", "plan", "consumer", "country"))
USAGE_CONSUMER_DIMENSIONS = tuple(
    d for d in DIMENSIONS if d not in ("api_version", "route", "method", "country", "client_kind")
)
CONSUMER_DIMENSIONS = ("environment", "gateway", "api", "consumer")


def usage_oracle(
    rows: list[Row], step: int, dimensions: tuple[str, ...] = DIMENSIONS
) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = (floored(row["time"], step), *(row[d] for d in dimensions))
        groups.setdefault(key, []).append(row)
    return {
        key: (
            len(group),
            sum(oracle.is_error(r) for r in group),
            near(oracle.total(group, "duration_ms")),
            oracle.total(group, "request_bytes"),
            oracle.total(group, "response_bytes"),
        )
        for key, group in groups.items()
    }


def usage_stored(
    lake: Lake, table: str, dimensions: tuple[str, ...] = DIMENSIONS
) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    with ReadSession(lake) as session:
        found = session.query(
            f"SELECT time, {', '.join(dimensions)}, sum(requests)::BIGINT, sum(errors)::BIGINT, "
            "sum(duration_ms_sum), sum(request_bytes)::DOUBLE, sum(response_bytes)::DOUBLE "
            f"FROM {table} GROUP BY ALL",
            files={"requests": ()},
        )
    n = 1 + len(dimensions)
    rows = [tuple(column) for column in zip(*(c.to_pylist() for c in found.columns), strict=True)]
    return {row[:n]: row[n:] for row in rows}


def latency_oracle(rows: list[Row], step: int) -> Counter[tuple[Any, ...]]:
    counts: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        for part, column in oracle.PARTS.items():
            if oracle.known(row[column]):
                dims = tuple(row[d] for d in LATENCY_DIMENSIONS)
                counts[(floored(row["time"], step), *dims, part)] += 1
    return counts


def latency_stored(lake: Lake, tier: str) -> Counter[tuple[Any, ...]]:
    with ReadSession(lake) as session:
        table = session.query(
            f"SELECT time, {', '.join(LATENCY_DIMENSIONS)}, part, sum(requests)::BIGINT "
            f"FROM latency_{tier} GROUP BY ALL",
            files={"requests": ()},
        )
    columns = [c.to_pylist() for c in table.columns]
    return Counter({tuple(row[:-1]): row[-1] for row in zip(*columns, strict=True)})


def consumer_latency_stored(lake: Lake, tier: str) -> Counter[tuple[Any, ...]]:
    with ReadSession(lake) as session:
        table = session.query(
            f"SELECT time, {', '.join(CONSUMER_DIMENSIONS)}, bucket, sum(requests)::BIGINT "
            f"FROM latency_consumer_{tier} GROUP BY ALL",
            files={"requests": ()},
        )
    columns = [c.to_pylist() for c in table.columns]
    return Counter({tuple(row[:-1]): row[-1] for row in zip(*columns, strict=True)})


def consumer_latency_oracle(rows: list[Row], step: int) -> Counter[tuple[Any, ...]]:
    return Counter(
        (
            floored(r["time"], step),
            *(r[d] for d in CONSUMER_DIMENSIONS),
            bucket_of(r["duration_ms"]),
        )
        for r in rows
        if oracle.known(r["duration_ms"])
    )


def assert_rollups_hold(lake: Lake, rows: list[Row]) -> None:
    for tier, step in STEP.items():
        assert usage_stored(lake, f"usage_{tier}") == usage_oracle(rows, step), tier
        by_api = usage_stored(lake, f"usage_api_{tier}", API_DIMENSIONS)
        assert by_api == usage_oracle(rows, step, API_DIMENSIONS), tier
        assert latency_stored(lake, tier) == latency_oracle(rows, step), tier
    assert latency_stored(lake, "quarter") == latency_oracle(rows, 900)
    for tier, step in CONSUMER_STEP.items():
        used = usage_stored(lake, f"usage_consumer_{tier}", USAGE_CONSUMER_DIMENSIONS)
        assert used == usage_oracle(rows, step, USAGE_CONSUMER_DIMENSIONS), tier
    for tier in ("hour", "day"):
        by_consumer = consumer_latency_stored(lake, tier)
        assert by_consumer == consumer_latency_oracle(rows, STEP[tier]), tier


def test_every_tier_holds_exactly_the_stored_requests(
    lake: Lake, store: Callable[[list[Row]], None]
) -> None:
    rows = random_rows(1, 400, around=NOON + timedelta(hours=12), spread_s=90_000, every_h=7)
    store(rows)
    RollupRunner(lake).catch_up_all()
    assert_rollups_hold(lake, rows)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_any_split_in_any_order_with_crashes_gives_the_same_rollups(seed: int) -> None:
    rng = random.Random(seed)
    rows = random_rows(seed, rng.randint(1, 50), spread_s=rng.choice([90, 4_000, 20_000]))
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        lake = Lake(StorageSettings(data_dir=Path(folder)))
        work(lake, rows, rng)
        RollupRunner(Lake(StorageSettings(data_dir=Path(folder)))).catch_up_all()
        assert_rollups_hold(lake, rows)


def work(lake: Lake, rows: list[Row], rng: random.Random) -> None:
    """Store the rows in random batches while jobs run in random order and die before committing."""
    batches = list(rows)
    rng.shuffle(batches)

    def maybe_crash() -> None:
        if rng.random() < 0.4:
            raise Crash

    version = 0
    while batches:
        cut = rng.randint(1, len(batches))
        batch, batches = batches[:cut], batches[cut:]
        version += 1
        table = request_table(batch)
        lake.table("requests").append(table, app_id="test", app_version=version)
        if rng.random() < 0.5:
            # a new runner each time, as after a restart
            runner = RollupRunner(lake, AnalyticsSettings(step_rows_max=rng.choice([1, 7, 10**6])))
            for job in rng.sample(list(JOBS.values()), rng.randint(1, len(JOBS))):
                try:
                    runner.step(job, before_commit=maybe_crash)
                except Crash:
                    continue


def test_running_again_adds_nothing(lake: Lake, store: Callable[[list[Row]], None]) -> None:
    store(random_rows(2, 50))
    runner = RollupRunner(lake)
    assert runner.catch_up_all()
    assert runner.catch_up_all() == []


def test_two_runners_at_the_same_step_count_it_once(
    lake: Lake, store: Callable[[list[Row]], None], settings: StorageSettings
) -> None:
    rows = random_rows(3, 80)
    store(rows)
    first, second = RollupRunner(lake), RollupRunner(Lake(settings))
    outcome: list[bool] = []

    def second_is_quicker() -> None:
        result = second.step(JOBS["usage_minute"])
        assert result is not None
        outcome.append(result.committed)

    slow = first.step(JOBS["usage_minute"], before_commit=second_is_quicker)
    assert slow is not None
    assert (slow.committed, outcome) == (False, [True])
    first.catch_up_all()
    assert_rollups_hold(lake, rows)


def test_catching_up_goes_in_bounded_steps(lake: Lake, store: Callable[[list[Row]], None]) -> None:
    for seed in range(5):
        store(random_rows(seed, 20))
    runner = RollupRunner(lake, AnalyticsSettings(step_rows_max=40))
    steps = runner.catch_up(JOBS["usage_minute"])
    assert [step.rows_in for step in steps] == [40, 40, 20]


def test_work_stops_at_the_deadline_and_goes_on_from_there(
    lake: Lake, store: Callable[[list[Row]], None]
) -> None:
    for seed in range(3):
        store(random_rows(seed, 10))
    runner = RollupRunner(lake, AnalyticsSettings(step_rows_max=1), clock=NOON.timestamp)
    assert len(runner.catch_up(JOBS["usage_minute"], until=NOON.timestamp())) == 1
    assert len(runner.catch_up(JOBS["usage_minute"])) == 2


def test_late_request_lands_in_its_own_minute(
    lake: Lake, store: Callable[[list[Row]], None]
) -> None:
    rows = random_rows(4, 30, spread_s=60)
    store(rows)
    RollupRunner(lake).catch_up_all()
    late = random_rows(5, 1, around=NOON - timedelta(days=40), spread_s=10)
    store(late)
    RollupRunner(lake).catch_up_all()
    assert_rollups_hold(lake, rows + late)


def test_sum_past_64_bits_is_unknown_and_stops_no_job(
    lake: Lake, store: Callable[[list[Row]], None]
) -> None:
    row = {"time": NOON, "tenant": "default", "api": "a", "request_bytes": 2**63 - 1}
    store([row, row])
    RollupRunner(lake).catch_up_all()
    with ReadSession(lake) as session:
        found = session.query("SELECT requests, request_bytes FROM usage_day").to_pylist()
    assert found == [{"requests": 2, "request_bytes": None}]


def test_lake_without_requests_has_nothing_to_do(lake: Lake) -> None:
    assert RollupRunner(lake).catch_up_all() == []
    assert lake.existing("usage_minute") is None


def test_tenants_stay_apart(lake: Lake, store: Callable[[list[Row]], None]) -> None:
    store([{"time": NOON, "tenant": tenant, "api": "a"} for tenant in ("42", "42", "acme")])
    RollupRunner(lake).catch_up_all()
    for tenant, expected in (("42", 2), ("acme", 1), ("default", 0)):
        with ReadSession(lake, tenant=tenant) as session:
            table = session.query("SELECT COALESCE(sum(u.requests), 0) AS n FROM usage_day u")
            assert table["n"].to_pylist() == [expected]


@pytest.mark.parametrize("year", [1900, 1969, 2262, 9999])
def test_absurd_times_stop_no_job_and_are_counted_where_they_say(
    year: int, lake: Lake, store: Callable[[list[Row]], None]
) -> None:
    odd = datetime(year, 1, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    rows = random_rows(6, 5, spread_s=30) + random_rows(7, 3, around=odd, spread_s=0)
    for row in rows[5:]:
        row["time"] = odd
    store(rows)
    RollupRunner(lake).catch_up_all()
    assert_rollups_hold(lake, rows)
    with ReadSession(lake) as session:
        around = TimeRange(odd - timedelta(seconds=30), odd + timedelta(microseconds=1))
        frame = Analytics(session).usage(around, interval_s=60, fill=False)
    assert frame["requests"].sum() == 3
