"""Every answer equals a slow count of the raw rows, whatever state the rollups are in."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from analytics.filters import DIMENSIONS, UNKNOWN
from analytics.jobs import JOBS
from analytics.query import MEASURES, Analytics, Filters, TimeRange
from analytics.runner import RollupRunner
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from tests.analytics import oracle
from tests.analytics.hostile import NOON, random_rows, request_table
from tests.analytics.oracle import Row

RANGES = {
    "whole hours": TimeRange(NOON - timedelta(hours=2), NOON + timedelta(hours=1)),
    "cut minutes": TimeRange(
        NOON - timedelta(minutes=59, seconds=31), NOON + timedelta(minutes=7, microseconds=1)
    ),
    "inside one minute": TimeRange(NOON + timedelta(seconds=1), NOON + timedelta(seconds=59)),
    "days and hours": TimeRange(NOON - timedelta(days=3, minutes=5), NOON + timedelta(hours=2)),
    "nothing there": TimeRange(NOON - timedelta(days=3), NOON - timedelta(days=2)),
}

FILTERS: dict[str, tuple[Filters, Callable[[Row], bool]]] = {
    "all": (Filters(), lambda r: True),
    "one api": (Filters(api=("支払い",)), lambda r: r["api"] == "支払い"),
    "hostile name": (
        Filters(api=("o'brien; DROP TABLE requests--",)),
        lambda r: r["api"] == "o'brien; DROP TABLE requests--",
    ),
    "unnamed or empty": (Filters(api=(UNKNOWN, "")), lambda r: r["api"] in (None, "")),
    "server errors by class": (
        Filters(status_code=("5xx", "404")),
        lambda r: (
            r["status_code"] is not None
            and (500 <= r["status_code"] <= 599 or r["status_code"] == 404)
        ),
    ),
    "consumer and method": (
        Filters(consumer=("acmé", "ACME"), method=("GET",)),
        lambda r: r["consumer"] in ("acmé", "ACME") and r["method"] == "GET",
    ),
}


def fill(lake: Lake) -> list[Row]:
    """Stored in several commits, rolled up part of the way, every tier at another place."""
    rng = random.Random(11)
    everything = random_rows(11, 500)
    runner = RollupRunner(lake)
    for start in range(0, 500, 100):
        table = request_table(everything[start : start + 100])
        lake.table("requests").append(table, app_id="test", app_version=start + 1)
        for job in rng.sample(list(JOBS.values()), 3):
            runner.step(job)
    return everything


@pytest.fixture(scope="module")
def half_rolled_up(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, list[Row]]:
    """Read only: shared by the tests of this file."""
    lake = Lake(StorageSettings(data_dir=tmp_path_factory.mktemp("lake")))
    return lake, fill(lake)


@pytest.fixture
def rows(half_rolled_up: tuple[Lake, list[Row]]) -> list[Row]:
    return [dict(row) for row in half_rolled_up[1]]


@pytest.fixture
def analytics(half_rolled_up: tuple[Lake, list[Row]]) -> Iterator[Analytics]:
    with ReadSession(half_rolled_up[0], threads=1) as session:
        yield analytics_over(session)


def analytics_over(session: ReadSession) -> Analytics:
    return Analytics(session, clock=lambda: NOON + timedelta(hours=3))


def near(value: float | None, rel: float = 1e-9) -> Any:
    return None if value is None else pytest.approx(value, rel=rel, abs=1e-6)


def test_every_measure_equals_the_oracle(rows: list[Row], analytics: Analytics) -> None:
    for name in MEASURES:
        exactness = 0.01 if MEASURES[name].kind == "latency" else 1e-9
        for label, time_range in RANGES.items():
            chosen = oracle.select(rows, time_range.start, time_range.end)
            found = analytics.measure(name, time_range).row(0, named=True)
            expected = oracle.measure(name, chosen, time_range.seconds) if chosen else None
            assert found["value"] == near(expected, exactness), (name, label)


def test_measures_over_time_equal_the_oracle(rows: list[Row], analytics: Analytics) -> None:
    time_range, interval_s = RANGES["cut minutes"], 420
    chosen = oracle.select(rows, time_range.start, time_range.end)
    for row in chosen:
        row["_interval"] = oracle.interval_of(row["time"], interval_s)
    groups = oracle.group(chosen, ("_interval", "api"))
    for name in ("requests", "requests_per_s", "client_error_rate", "rate_limited", "p99_ms"):
        exactness = 0.01 if MEASURES[name].kind == "latency" else 1e-9
        found = analytics.measure(name, time_range, by=("api",), interval_s=interval_s)
        values = {(r["time"], r["api"]): r["value"] for r in found.iter_rows(named=True)}
        assert values.keys() <= groups.keys()
        for key, group in groups.items():
            expected = oracle.measure(name, group, interval_s)
            assert values.get(key) == near(expected, exactness), (name, key)


@pytest.mark.parametrize("filter_name", FILTERS)
def test_measures_equal_the_oracle_under_filters(
    filter_name: str, rows: list[Row], analytics: Analytics
) -> None:
    filters, keep = FILTERS[filter_name]
    time_range = RANGES["cut minutes"]
    chosen = oracle.select(rows, time_range.start, time_range.end, keep)
    for name in ("requests", "error_rate", "p95_ms", "upstream_p50_ms", "response_bytes"):
        exactness = 0.01 if MEASURES[name].kind == "latency" else 1e-9
        found = analytics.measure(name, time_range, filters).row(0, named=True)
        expected = oracle.measure(name, chosen, time_range.seconds)
        assert found["value"] == near(expected, exactness), name


@pytest.mark.parametrize("by", [(name,) for name in DIMENSIONS] + [("api", "consumer")])
def test_groups_equal_the_oracle(
    by: tuple[str, ...], rows: list[Row], analytics: Analytics
) -> None:
    time_range = RANGES["whole hours"]
    groups = oracle.group(oracle.select(rows, time_range.start, time_range.end), by)
    usage = analytics.usage(time_range, by=by)
    latency = analytics.latency(time_range, by=by)
    assert usage.height == len(groups)
    for row in usage.iter_rows(named=True):
        group = groups[tuple(row[name] for name in by)]
        assert row["requests"] == len(group)
        assert row["errors"] == sum(oracle.is_error(r) for r in group)
        assert row["request_bytes"] == oracle.total(group, "request_bytes")
        assert row["duration_ms_avg"] == near(
            oracle.measure("duration_ms_avg", group, time_range.seconds)
        )
    for row in latency.iter_rows(named=True):
        group = groups[tuple(row[name] for name in by)]
        for q, name in ((0.5, "p50_ms"), (0.95, "p95_ms"), (0.99, "p99_ms")):
            assert row[name] == near(oracle.quantile(group, q), 0.01)


@pytest.mark.parametrize("interval_s", [10, 60, 420, 3600, 86_400])
@pytest.mark.parametrize("by", [(), ("api",)])
def test_series_equal_the_oracle(
    interval_s: int, by: tuple[str, ...], rows: list[Row], analytics: Analytics
) -> None:
    time_range = RANGES["cut minutes"]
    chosen = oracle.select(rows, time_range.start, time_range.end)
    for row in chosen:
        row["_interval"] = oracle.interval_of(row["time"], interval_s)
    groups = oracle.group(chosen, ("_interval", *by))
    measured = {row["_interval"] for row in chosen}
    usage = analytics.usage(time_range, by=by, interval_s=interval_s)
    assert sum(n for n in usage["requests"] if n) == len(chosen)
    for row in usage.iter_rows(named=True):
        group = groups.get((row["time"], *(row[name] for name in by)), [])
        expected = len(group) if row["time"] in measured else None
        assert row["requests"] == expected
        assert (row["error_rate"] is None) == (not group)
    latency = analytics.latency(time_range, by=by, interval_s=interval_s)
    for row in latency.iter_rows(named=True):
        group = groups.get((row["time"], *(row[name] for name in by)), [])
        assert row["p95_ms"] == near(oracle.quantile(group, 0.95), 0.01)


def test_overview_equals_the_oracle(rows: list[Row], analytics: Analytics) -> None:
    time_range = RANGES["cut minutes"]
    found = analytics.overview(time_range)
    previous = time_range.previous()
    for overview, span in ((found, time_range), (found.previous, previous)):
        assert overview is not None
        chosen = oracle.select(rows, span.start, span.end)
        assert overview.requests == len(chosen)
        assert overview.errors == sum(map(oracle.is_error, chosen))
        assert overview.consumers == len({r["consumer"] for r in chosen} - {None})
        assert overview.apis == len({r["api"] for r in chosen} - {None})
        assert overview.p99_ms == near(oracle.quantile(chosen, 0.99), 0.01)


@pytest.mark.parametrize("by", ["api", "consumer", "status_code"])
def test_breakdown_equals_the_oracle(by: str, rows: list[Row], analytics: Analytics) -> None:
    time_range = TimeRange(NOON - timedelta(minutes=30), NOON + timedelta(minutes=30))
    now = oracle.group(oracle.select(rows, time_range.start, time_range.end), (by,))
    before_range = time_range.previous()
    before = oracle.group(oracle.select(rows, before_range.start, before_range.end), (by,))
    everything = sum(map(len, now.values()))
    frame = analytics.breakdown(time_range, by=by)
    assert frame["requests"].to_list() == sorted(map(len, now.values()), reverse=True)
    for row in frame.iter_rows(named=True):
        group, earlier = now[(row[by],)], len(before.get((row[by],), []))
        assert row["share"] == near(len(group) / everything)
        assert row["requests_previous"] == earlier
        assert row["growth"] == (near(len(group) / earlier - 1) if earlier else None)
        assert row["p95_ms"] == near(oracle.quantile(group, 0.95), 0.01)
    counted = analytics.breakdown(time_range, by=by, latency=False)
    assert counted.equals(frame.drop("p50_ms", "p95_ms", "p99_ms"))


def test_breakdown_keeps_the_largest_and_shares_stay_of_all(
    rows: list[Row], analytics: Analytics
) -> None:
    time_range = RANGES["whole hours"]
    whole = analytics.breakdown(time_range, by="api")
    top = analytics.breakdown(time_range, by="api", limit=2)
    assert top.equals(whole.head(2))


def test_answers_do_not_depend_on_how_far_the_rollups_are(lake: Lake, session: ReadSession) -> None:
    fill(lake)
    analytics = analytics_over(session)
    time_range = RANGES["days and hours"]
    before = analytics.usage(time_range, by=("api", "status_code"))
    latency = analytics.latency(time_range, by=("api",))
    RollupRunner(lake).catch_up_all()
    assert analytics.usage(time_range, by=("api", "status_code"))["requests"].equals(
        before["requests"]
    )
    assert analytics.latency(time_range, by=("api",)).equals(latency)


def test_quantiles_stay_within_one_percent_over_eighteen_decades(
    lake: Lake, store: Callable[[list[Row]], None], session: ReadSession
) -> None:
    analytics = analytics_over(session)
    rng = random.Random(5)
    values = [10 ** rng.uniform(-6, 12) for _ in range(3000)]
    store([{"time": NOON, "tenant": "default", "duration_ms": v} for v in values])
    RollupRunner(lake).catch_up_all()
    quantiles = (0.001, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
    row = analytics.latency(RANGES["whole hours"], quantiles=quantiles).row(0)
    for found, q in zip(row, quantiles, strict=False):
        assert found == pytest.approx(oracle.exact_quantile(values, q), rel=0.01), q
