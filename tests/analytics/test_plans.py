from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from analytics.gateway_quota import gateway_quotas, side_by_side
from analytics.headroom import rate_headroom
from analytics.plan_fit import entitlement_use, plan_fits
from analytics.query import Analytics, TimeRange
from analytics.quota import quota_usage
from analytics.windows import window_of
from storage.catalog import Catalog, Consumer, Plan, Product
from tests.analytics.hostile import NOON
from tests.analytics.oracle import Row

NOW = NOON + timedelta(hours=3)
HOURS = TimeRange(NOON - timedelta(hours=3), NOW)


def call(after_s: float = 0, consumer: str | None = "acme", **fields: Any) -> Row:
    moment = NOON + timedelta(seconds=after_s)
    return {"time": moment, "tenant": "default", "consumer": consumer, "outcome": "ok", **fields}


def catalog(*plans: Plan, **consumers: str | None) -> Catalog:
    return Catalog(
        plans=plans, consumers=tuple(Consumer(name=n, plan=p) for n, p in consumers.items())
    )


def test_headroom_is_told_from_the_busiest_minute_and_second(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    plan = Plan(name="gold", rate_limit_per_minute=5, rate_limit_per_second=4)
    store(
        [call(s) for s in (0, 0.1, 0.9, 59)]  # 4 in the first minute, 3 in its first second
        + [call(120 + s * 10, outcome="rate_limited") for s in range(6)]
        + [call(0, None), call(0, "free")] * 9
    )
    found = {h.consumer: h for h in rate_headroom(
        analytics, catalog(plan, Plan(name="open"), acme="gold", idle="gold", free="open"), HOURS
    )}  # fmt: skip
    assert set(found) == {"acme", "idle"}
    acme = found["acme"]
    assert acme.minute is not None
    assert acme.second is not None
    assert (acme.minute.requests, acme.minute.at) == (6, NOON + timedelta(minutes=2))
    assert (acme.second.requests, acme.second.at) == (3, NOON)
    assert (acme.minutes_over, acme.refused) == (1, 6)
    assert acme.share == pytest.approx(1.2)
    assert (found["idle"].minute, found["idle"].share) == (None, 0.0)


def test_consumers_on_the_wrong_plan_are_told_a_better_one(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    plans = (
        Plan(name="small", price_per_month=1, quota_per_month=3),
        Plan(name="middle", price_per_month=5, quota_per_month=10),
        Plan(name="large", price_per_month=50, quota_per_month=1000),
        Plan(name="dollars", price_per_month=2, quota_per_month=1000, currency="USD"),
        Plan(name="metered", price_per_call=10),
    )
    store([call(0, "burst")] * 7 + [call(0, "whale")] * 2 + [call(0, "metric")] * 4
          + [call(0, "content")] * 9)  # fmt: skip
    early = {"burst": "too_small"} | dict.fromkeys(("whale", "metric", "content", "gone"), "early")
    known = catalog(
        *plans, burst="small", whale="large", metric="metered", content="middle", gone="small"
    )
    assert {f.consumer: f.fit for f in plan_fits(analytics, known, now=NOW)} == early

    store([call(-31 * 86_400, "somebody")])
    found = {f.consumer: f for f in plan_fits(analytics, known, now=NOW)}
    assert {n: (f.fit, f.better) for n, f in found.items()} == {
        "burst": ("too_small", "middle"),
        "whale": ("too_large", "small"),
        "metric": ("too_large", "middle"),
        "content": ("fits", None),
        "gone": ("idle", None),
    }
    assert (found["metric"].cost, found["metric"].better_cost) == (
        Decimal("40.00"),
        Decimal("5.00"),
    )


def test_burst_beyond_the_rate_limit_makes_a_plan_too_small(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    slow = Plan(name="slow", price_per_month=1, rate_limit_per_minute=2)
    fast = Plan(name="fast", price_per_month=9, rate_limit_per_minute=100)
    store([call(s) for s in range(3)])
    [fit] = plan_fits(analytics, catalog(slow, fast, acme="slow"), now=NOW)
    assert (fit.fit, fit.better) == ("too_small", "fast")


def test_products_are_used_by_those_entitled_and_by_others(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    known = Catalog(
        products=(Product(name="core"), Product(name="extra")),
        plans=(Plan(name="core", product="core", quota_per_month=10), Plan(name="all")),
        consumers=(
            Consumer(name="acme", plan="core"),
            Consumer(name="big", plan="all"),
            Consumer(name="nobody"),
        ),
    )
    store(
        [call(product="core")] * 3
        + [call(product="extra"), call(product="extra", consumer="stranger")]
        + [call(product="extra", consumer="big", outcome="unauthorized")]
        + [call(product="core", consumer=None), call(product=None)]
    )
    core, extra = entitlement_use(analytics, known, HOURS)
    assert (core.product, core.entitled, core.active, core.requests) == ("core", 2, 1, 3)
    assert (core.quota, core.without_plan) == (None, ())
    assert (extra.entitled, extra.active, extra.requests) == (1, 0, 0)
    assert (extra.without_plan, extra.requests_without_plan) == (("acme", "stranger"), 2)


def test_gateway_numbers_stand_beside_ours(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    store(
        [
            call(0, quota_limit=10, quota_remaining=9, gateway="kong"),
            call(5, quota_limit=10, quota_remaining=7, gateway="kong"),
            call(5, quota_limit=10, quota_remaining=6, gateway="kong"),
            call(9, quota_limit=60, quota_remaining=59, gateway="kong"),  # another window's limit
            call(9, consumer="silent"),
        ]
    )
    known = catalog(Plan(name="gold", quota_per_day=10), acme="gold", silent="gold")
    ours = quota_usage(analytics, known, now=NOW, forecast=False)
    pairs = {p.ours.consumer: p for p in side_by_side(ours, gateway_quotas(analytics, now=NOW))}
    acme = pairs["acme"]
    assert acme.gateway is not None
    assert (acme.gateway.used, acme.ours.used, acme.difference) == (4, 4, 0)
    assert acme.gateway.at == NOON + timedelta(seconds=5)
    assert (pairs["silent"].gateway, pairs["silent"].difference) == (None, None)


@pytest.mark.parametrize(
    ("moment", "day", "first", "after"),
    [
        ((2026, 11, 20), 15, (2026, 11, 15), (2026, 12, 15)),
        ((2026, 11, 14), 15, (2026, 10, 15), (2026, 11, 15)),
        ((2026, 2, 27), 31, (2026, 1, 31), (2026, 2, 28)),
        ((2026, 2, 28), 31, (2026, 2, 28), (2026, 3, 31)),
        ((2028, 2, 29), 30, (2028, 2, 29), (2028, 3, 30)),
        ((2026, 1, 1), 31, (2025, 12, 31), (2026, 1, 31)),
        ((2026, 3, 1), 1, (2026, 3, 1), (2026, 4, 1)),
    ],
)
def test_month_begins_on_its_anchor_day(
    moment: tuple[int, int, int], day: int, first: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    window = window_of("month", datetime(*moment, 12, tzinfo=UTC), anchor_day=day)
    assert (window.start, window.end) == (
        datetime(*first, tzinfo=UTC),
        datetime(*after, tzinfo=UTC),
    )


def test_quota_of_a_month_counts_from_the_consumers_anchor(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    store([call(-86_400 * days) for days in (1, 3, 10)])
    known = Catalog(
        plans=(Plan(name="gold", quota_per_month=10, month_anchor_day=15),),
        consumers=(
            Consumer(name="acme", plan="gold"),
            Consumer(name="own", plan="gold", month_anchor_day=3),
        ),
    )
    found = {u.consumer: u for u in quota_usage(analytics, known, now=NOW)}
    assert found["acme"].used == 2
    assert found["acme"].window.start == datetime(2026, 11, 15, tzinfo=UTC)
    assert found["own"].window.start == datetime(2026, 11, 3, tzinfo=UTC)
