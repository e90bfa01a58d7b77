"""A rollup that comes to an old lake: from live files, once, whatever was cleaned away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from analytics.jobs import JOBS, job_named
from analytics.query import Analytics, TimeRange
from analytics.runner import RollupRunner
from analytics.settings import AnalyticsSettings
from storage.lake import Lake
from storage.maintenance import compact, expire
from storage.session import ReadSession
from tests.analytics import oracle
from tests.analytics.hostile import NOON, random_rows
from tests.analytics.oracle import Row
from tests.analytics.test_rollups import Crash, assert_rollups_hold

NEW = ("usage_api_minute", "usage_api_hour", "usage_api_day", "latency_consumer_hour",
       "latency_consumer_day", "usage_consumer_quarter", "usage_consumer_hour",
       "usage_consumer_day", "latency_quarter")  # fmt: skip
OLD = tuple(name for name in JOBS if name not in NEW)
SEALED = NOON + timedelta(days=36_500)


def old_lake(lake: Lake, store: Callable[[list[Row]], None]) -> list[Row]:
    """Rolled up by the jobs there used to be; replaced files are gone from the disk."""
    rows = random_rows(1, 200)
    for start in (0, 100):
        store(rows[start : start + 100])
        for name in OLD:
            RollupRunner(lake).catch_up(job_named(name))
    for name in ("requests", *OLD):
        table = lake.existing(name)
        if table is not None:
            compact(lake, name, SEALED)
            live = {f.path for f in table.snapshot().files()}
            for path in table.location.rglob("*.parquet"):
                if str(path.relative_to(table.location)) not in live:
                    path.unlink()
    return rows


def test_new_rollups_of_an_old_lake_hold_all_of_it(
    lake: Lake, store: Callable[[list[Row]], None]
) -> None:
    rows = old_lake(lake, store)
    late = random_rows(2, 40)
    store(late)
    runner = RollupRunner(lake, AnalyticsSettings(step_rows_max=50))
    runner.catch_up_all()
    assert_rollups_hold(lake, rows + late)
    assert runner.catch_up_all() == []


def test_a_first_run_that_dies_has_committed_nothing(
    lake: Lake, store: Callable[[list[Row]], None]
) -> None:
    rows = old_lake(lake, store)
    runner = RollupRunner(lake, AnalyticsSettings(step_rows_max=50))
    left = [2]

    def dies() -> None:
        left[0] -= 1
        if not left[0]:
            raise Crash

    job = job_named("usage_api_minute")
    with pytest.raises(Crash):
        runner.step(job, before_commit=dies)
    table = lake.table(job.target)
    assert list(table.snapshot().files()) == []
    assert list(table.location.rglob("*.parquet")) == []
    runner.catch_up_all()
    assert_rollups_hold(lake, rows)


@pytest.mark.parametrize("days", [0, 20, 200])
def test_old_edges_are_exact_as_long_as_raw_rows_are_there(
    days: int, lake: Lake, store: Callable[[list[Row]], None], session: ReadSession
) -> None:
    rows = random_rows(3, 300)
    store(rows)
    RollupRunner(lake).catch_up_all()
    later = NOON + timedelta(days=days, hours=3)
    for name in ("usage_minute", "latency_minute", "usage_api_minute") if days else ():
        # two years on, so that the age of the files does not keep them
        expire(lake, name, NOON + timedelta(days=800))
        assert list(lake.table(name).snapshot().files()) == []
    span = TimeRange(NOON - timedelta(minutes=59, seconds=31), NOON + timedelta(minutes=7))
    chosen = oracle.select(rows, span.start, span.end)
    analytics = Analytics(session, clock=lambda: later)
    assert analytics.usage(span)["requests"].sum() == len(chosen)
    assert analytics.latency(span)["requests"].sum() == sum(
        oracle.known(r["duration_ms"]) for r in chosen
    )


def test_without_raw_rows_old_edges_are_whole_hours(
    lake: Lake, store: Callable[[list[Row]], None], session: ReadSession
) -> None:
    rows = random_rows(3, 300)
    store(rows)
    RollupRunner(lake).catch_up_all()
    expire(lake, "requests", NOON + timedelta(days=800))
    span = TimeRange(NOON - timedelta(minutes=59, seconds=31), NOON + timedelta(minutes=7))
    hours = oracle.select(rows, NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    later = NOON + timedelta(days=20)
    assert Analytics(session, clock=lambda: later).usage(span)["requests"].sum() == len(hours)
