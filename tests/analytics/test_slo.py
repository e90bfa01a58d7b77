from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from analytics.apdex import apdex_of
from analytics.query import Analytics, Filters, TimeRange
from analytics.runner import RollupRunner
from analytics.slo import SloCount, budget_left, burn_rate, count_slo, slo_series, slo_statuses
from storage.catalog import Api, Catalog, Slo
from storage.lake import Lake
from storage.session import ReadSession
from tests.analytics import oracle
from tests.analytics.hostile import NOON, random_rows
from tests.analytics.oracle import Row

RANGE = TimeRange(NOON - timedelta(hours=2), NOON + timedelta(hours=2))
AVAILABLE = Slo(name="up", api="orders", objective=0.99, window_days=1)
FAST = Slo(name="fast", api="orders", kind="latency", threshold_ms=50, objective=0.9, window_days=1)
CATALOG = Catalog(apis=(Api(name="orders"),), slos=(AVAILABLE, FAST))


@pytest.fixture
def orders(store: Callable[[list[Row]], None]) -> list[Row]:
    rows = random_rows(21, 300)
    store(rows)
    return [row for row in rows if row["api"] == "orders"]


def test_good_and_all_equal_the_oracle(orders: list[Row], analytics: Analytics) -> None:
    chosen = oracle.select(orders, RANGE.start, RANGE.end)
    good = sum(not oracle.is_error(r) for r in chosen)
    assert count_slo(analytics, AVAILABLE, RANGE) == SloCount(good, len(chosen))
    timed = [r for r in chosen if oracle.known(r["duration_ms"])]
    found = count_slo(analytics, FAST, RANGE)
    assert found.total == len(timed)
    surely = sum(r["duration_ms"] <= 50 for r in timed)
    at_most = sum(r["duration_ms"] <= 50 * 1.02 for r in timed)
    assert surely <= found.good <= at_most


@pytest.mark.parametrize("slo", [AVAILABLE, FAST])
def test_slices_add_up_to_the_whole(slo: Slo, orders: list[Row], analytics: Analytics) -> None:
    slices = slo_series(analytics, slo, RANGE)
    whole = count_slo(analytics, slo, RANGE)
    assert (slices["good"].sum(), slices["total"].sum()) == (whole.good, whole.total)


@pytest.mark.parametrize("rolled_up", [False, True])
def test_many_objectives_in_one_question_equal_each_counted_alone(
    store: Callable[[list[Row]], None],
    lake: Lake,
    session: ReadSession,
    rolled_up: bool,
    seed: int,
) -> None:
    rows = random_rows(5, 500) + random_rows(6, 200, spread_s=9 * 86_400, every_h=13)
    store(rows)
    if rolled_up:
        RollupRunner(lake).catch_up_all()
    names = ["orders", "Ü-Ä", "支払い", "o'brien; DROP TABLE requests--"]
    routes = [(), ("/orders/{id}",), ("/🙂/{id}", "(none)")]
    slos = tuple(
        Slo(name=f"{name} {n} {kind}", api=name, kind=kind, threshold_ms=threshold, objective=0.9,
            window_days=days, routes=route)
        for name in names
        for n, route in enumerate(routes)
        for kind, threshold, days in (
            ("availability", None, 1), ("latency", 20, 2), ("latency", 1e9, 9), ("latency", 3, 30)
        )
    )  # fmt: skip
    slos = tuple(s.model_copy(update={"name": f"{i}"}) for i, s in enumerate(slos))
    catalog = Catalog(apis=tuple(Api(name=name) for name in names), slos=slos)
    for now in (NOON, NOON + timedelta(seconds=17.5)):
        analytics = Analytics(session, clock=lambda now=now: now)  # type: ignore[misc]
        found = slo_statuses(analytics, catalog, now=now)
        assert len(found) == len(slos)
        assert {status.window.end for status in found} == {NOON}
        for status in random.Random(seed).sample(found, 8):  # each costs two questions alone
            assert status.count == count_slo(analytics, status.slo, status.window)
            hour = TimeRange(NOON - timedelta(hours=1), NOON)
            alone = burn_rate(count_slo(analytics, status.slo, hour), 0.9)
            assert status.burn_rates["1h"] == pytest.approx(alone)
        measured = {
            r["time"].replace(minute=0, second=0, microsecond=0)
            for r in rows
            if NOON - timedelta(days=2) <= r["time"] < NOON
        }
        two_days = next(s for s in found if s.slo.window_days == 2)
        assert two_days.coverage == pytest.approx(len(measured) / 48)


def test_budget_is_signed() -> None:
    assert budget_left(SloCount(1000, 1000), 0.99) == 1
    assert budget_left(SloCount(995, 1000), 0.99) == pytest.approx(0.5)
    assert budget_left(SloCount(980, 1000), 0.99) == pytest.approx(-1)


def test_unmeasured_is_neither_met_nor_missed(analytics: Analytics) -> None:
    for status in slo_statuses(analytics, CATALOG, now=NOON):
        assert (status.met, status.budget_left, status.coverage) == (None, None, 0.0)
        assert set(status.burn_rates.values()) == {None}


def test_few_requests_say_nothing_about_a_burn_rate() -> None:
    assert burn_rate(SloCount(8, 9), 0.99) is None
    assert burn_rate(SloCount(9, 10), 0.99) == pytest.approx(10)


def test_outage_burns_in_the_windows_it_lies_in(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    def calls(minutes_ago: int, count: int, outcome: str) -> list[Row]:
        moment = NOON - timedelta(minutes=minutes_ago)
        row = {"time": moment, "tenant": "default", "api": "orders", "outcome": outcome}
        return [dict(row) for _ in range(count)]

    store(calls(2, 50, "server_error") + calls(2, 50, "ok") + calls(120, 900, "ok"))
    status = next(s for s in slo_statuses(analytics, CATALOG, now=NOON) if s.slo.name == "up")
    assert status.burn_rates["5m"] == pytest.approx(50)
    assert status.burn_rates["6h"] == pytest.approx(5)
    assert status.budget_left == pytest.approx(-4)
    assert status.met is False
    assert status.coverage == pytest.approx(2 / 24)


def test_apdex_equals_the_oracle(store: Callable[[list[Row]], None], analytics: Analytics) -> None:
    rng = random.Random(3)
    rows = [
        {
            "time": NOON,
            "tenant": "default",
            "api": "orders",
            "duration_ms": rng.choice([1.0, 90.0, 150.0, 390.0, 450.0, 5000.0]),
            "outcome": rng.choice(["ok", "ok", "server_error"]),
        }
        for _ in range(500)
    ]
    store(rows)
    good = [r for r in rows if r["outcome"] == "ok"]
    satisfied = sum(r["duration_ms"] <= 100 for r in good)
    tolerating = sum(100 < r["duration_ms"] <= 400 for r in good)
    found = apdex_of(analytics, RANGE, Filters(api=("orders",)), 100)
    assert (found.satisfied, found.tolerating) == (satisfied, tolerating)
    assert found.satisfied + found.tolerating + found.frustrated == 500
    assert found.score == pytest.approx((satisfied + tolerating / 2) / 500)


def test_apdex_of_nothing_is_unknown(analytics: Analytics) -> None:
    assert apdex_of(analytics, RANGE, Filters(), 100).score is None
