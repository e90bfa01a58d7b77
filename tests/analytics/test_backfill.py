from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from analytics.backfill import recompute
from analytics.jobs import ROLLUPS
from analytics.query import Analytics, TimeRange
from analytics.runner import RollupRunner
from storage.lake import Lake
from tests.analytics.hostile import NOON, random_rows
from tests.analytics.oracle import Row
from tests.analytics.test_rollups import assert_rollups_hold

WINDOW = TimeRange(NOON - timedelta(days=2), NOON + timedelta(days=2))


def test_recount_of_right_rollups_writes_nothing(
    lake: Lake, store: Callable[[list[Row]], None]
) -> None:
    rows = random_rows(1, 150, spread_s=1500)
    for start in (0, 50, 100):
        store(rows[start : start + 50])
        RollupRunner(lake).catch_up_all()
    versions = {name: lake.table(name).version() for name in ("usage_minute", "latency_day")}
    assert [r.groups_corrected for r in recompute(lake, WINDOW)] == [0] * len(ROLLUPS)
    assert {name: lake.table(name).version() for name in versions} == versions
    assert_rollups_hold(lake, rows)


def test_recount_mends_every_tier(
    lake: Lake, store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    rows = random_rows(2, 80, spread_s=1000)
    store(rows)
    RollupRunner(lake).catch_up_all()
    wrong = {"time": NOON, "tenant": "default", "api": "ghost", "requests": 7, "errors": 1}
    import pyarrow as pa

    lake.table("usage_minute").append(
        pa.Table.from_pylist([wrong]), app_id="mistake", app_version=1
    )
    RollupRunner(lake).catch_up_all()
    assert analytics.overview(WINDOW).requests == 87
    found = {r.job: r.groups_corrected for r in recompute(lake, WINDOW)}
    assert found["usage_minute"] == 1
    assert analytics.overview(WINDOW).requests == 80
    assert "ghost" not in analytics.usage(WINDOW, by=("api",))["api"].to_list()
    assert [r.groups_corrected for r in recompute(lake, WINDOW)] == [0] * len(ROLLUPS)


def test_recount_of_what_was_never_rolled_up_fills_it(
    lake: Lake, store: Callable[[list[Row]], None]
) -> None:
    rows = random_rows(3, 60, spread_s=1000)
    store(rows)
    recompute(lake, WINDOW)
    assert_rollups_hold(lake, rows)


def test_window_before_anything_kept_is_left_alone(
    lake: Lake, store: Callable[[list[Row]], None]
) -> None:
    store(random_rows(4, 20, spread_s=100))
    RollupRunner(lake).catch_up_all()
    old = TimeRange(NOON - timedelta(days=60), NOON - timedelta(days=50))
    assert {r.window for r in recompute(lake, old)} == {None}


def test_empty_lake_has_nothing_to_count(lake: Lake) -> None:
    assert {r.window for r in recompute(lake, WINDOW)} == {None}
