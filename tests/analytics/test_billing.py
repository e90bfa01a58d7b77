from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.billing import Adjustment, close_month, invoice_frame, invoices, line_items
from analytics.errors import QueryRefused
from analytics.query import Analytics
from storage.catalog import Catalog, Consumer, Plan, PriceTier
from storage.lake import Lake
from tests.analytics.oracle import Row

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("plan", "requests", "amounts"),
    [
        ({"price_per_month": 49.9}, 1000, {"flat": "49.90"}),
        ({"price_per_call": 0.001}, 1005, {"calls": "1.00"}),
        ({"price_per_call": 0.001}, 1015, {"calls": "1.02"}),
        ({"price_per_month": 10, "price_per_call": 0.1, "quota_per_month": 100}, 99,
         {"flat": "10.00", "included": "0.00"}),
        ({"price_per_month": 10, "price_per_call": 0.1, "quota_per_month": 100}, 103,
         {"flat": "10.00", "included": "0.00", "overage": "0.30"}),
        ({"price_per_month": 10, "price_per_call": 0.1}, 3, {"flat": "10.00", "calls": "0.30"}),
        ({"price_per_call": 0.25}, 0, {"calls": "0.00"}),
    ],
)  # fmt: skip
def test_lines_follow_the_plan(
    plan: dict[str, float], requests: int, amounts: dict[str, str]
) -> None:
    found = line_items(Plan(name="p", **plan), requests)  # type: ignore[arg-type]
    assert {line.kind: str(line.amount) for line in found} == amounts


@given(
    requests=st.integers(0, 10**12),
    price=st.floats(0, 100).map(lambda p: round(p, 6)),
    quota=st.integers(0, 10**9),
)
def test_every_request_is_on_one_line_and_lines_are_whole_cents(
    requests: int, price: float, quota: int
) -> None:
    plan = Plan(name="p", price_per_month=1, price_per_call=price, quota_per_month=quota)
    lines = [line for line in line_items(plan, requests) if line.kind != "flat"]
    assert sum(line.quantity for line in lines) == requests
    assert all(line.amount == line.amount.quantize(Decimal("0.01")) for line in lines)


def test_month_is_metered_per_consumer(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    def call(day: int, outcome: str, consumer: str = "acme") -> Row:
        moment = datetime(2026, 10, day, tzinfo=UTC)
        return {"time": moment, "tenant": "default", "consumer": consumer, "outcome": outcome}

    store(
        [call(1, "ok")] * 3
        + [call(31, "server_error"), call(31, "rate_limited"), call(5, "ok", "other")]
    )
    catalog = Catalog(
        plans=(Plan(name="metered", price_per_call=0.5), Plan(name="unpriced")),
        consumers=(
            Consumer(name="acme", plan="metered"),
            Consumer(name="idle", plan="metered"),
            Consumer(name="other", plan="unpriced"),
        ),
    )
    october = datetime(2026, 10, 15, tzinfo=UTC)
    found = invoices(analytics, catalog, october, now=NOW)
    assert [(i.consumer, i.requests, i.total, i.closed) for i in found] == [
        ("acme", 4, Decimal("2.00"), True),
        ("idle", 0, Decimal("0.00"), True),
    ]
    assert not invoices(analytics, catalog, NOW, now=NOW)[0].closed


TIERS = (
    PriceTier(up_to=10, price_per_call=Decimal("0.5")),
    PriceTier(up_to=100, price_per_call=Decimal("0.1"), flat=Decimal("2")),
    PriceTier(price_per_call=Decimal("0.01")),
)


@pytest.mark.parametrize(
    ("plan", "requests", "amounts"),
    [
        ({"tiers": TIERS}, 0, [("tier", 0, "0.00")]),
        ({"tiers": TIERS}, 10, [("tier", 10, "5.00")]),
        ({"tiers": TIERS}, 11, [("tier", 10, "5.00"), ("tier", 1, "0.10"),
                                ("tier_flat", 1, "2.00")]),
        ({"tiers": TIERS}, 150, [("tier", 10, "5.00"), ("tier", 90, "9.00"),
                                 ("tier_flat", 1, "2.00"), ("tier", 50, "0.50")]),
        ({"tiers": TIERS, "tier_mode": "volume"}, 100, [("tier", 100, "10.00"),
                                                        ("tier_flat", 1, "2.00")]),
        ({"tiers": TIERS, "tier_mode": "volume"}, 101, [("tier", 101, "1.01")]),
        ({"price_per_call": 0.1, "free_calls_per_month": 5}, 3, [("free", 3, "0.00"),
                                                                 ("calls", 0, "0.00")]),
        ({"price_per_call": 0.1, "free_calls_per_month": 5}, 8, [("free", 5, "0.00"),
                                                                 ("calls", 3, "0.30")]),
        ({"price_per_month": 9, "quota_per_month": 10, "price_per_overage_call": "0.05"}, 14,
         [("flat", 1, "9.00"), ("included", 10, "0.00"), ("overage", 4, "0.20")]),
        ({"price_per_call": 0.1, "quota_per_month": 10, "price_per_overage_call": "0.5"}, 12,
         [("calls", 10, "1.00"), ("overage", 2, "1.00")]),
        ({"quota_per_month": 10, "free_calls_per_month": 4, "price_per_overage_call": 1}, 11,
         [("free", 4, "0.00"), ("included", 6, "0.00"), ("overage", 1, "1.00")]),
        ({"price_per_month": 3}, 12, [("flat", 1, "3.00")]),
    ],
)  # fmt: skip
def test_prices_of_every_kind_make_their_lines(
    plan: dict[str, Any], requests: int, amounts: list[tuple[str, int, str]]
) -> None:
    found = line_items(Plan(name="p", **plan), requests)
    assert [(line.kind, line.quantity, str(line.amount)) for line in found] == amounts


@given(
    requests=st.integers(0, 10**9),
    free=st.integers(0, 10**6),
    quota=st.none() | st.integers(0, 10**8),
    bounds=st.lists(st.integers(1, 10**8), max_size=4, unique=True).map(sorted),
    mode=st.sampled_from(["graduated", "volume"]),
)
def test_every_request_of_a_tiered_plan_is_on_exactly_one_line(
    requests: int, free: int, quota: int | None, bounds: list[int], mode: Any
) -> None:
    tiers = [PriceTier(up_to=b, price_per_call=Decimal("0.003")) for b in bounds]
    plan = Plan(
        name="p",
        free_calls_per_month=free,
        quota_per_month=quota,
        price_per_overage_call=Decimal("0.01"),
        tiers=(*tiers, PriceTier(price_per_call=Decimal("0.0001"))),
        tier_mode=mode,
    )
    lines = line_items(plan, requests)
    counted = [line.quantity for line in lines if line.kind not in ("flat", "tier_flat")]
    assert sum(counted) == requests
    assert all(q >= 0 for q in counted)


def test_closed_month_can_be_made_again_and_late_rows_are_adjustments(
    lake: Lake, store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    october = datetime(2026, 10, 15, tzinfo=UTC)

    def catalog(price: float) -> Catalog:
        plan = Plan(name="metered", price_per_call=price)
        return Catalog(plans=(plan,), consumers=(Consumer(name="acme", plan="metered"),))

    call: Row = {"time": october, "tenant": "default", "consumer": "acme", "outcome": "ok"}
    store([call] * 3)
    with pytest.raises(QueryRefused, match="not over"):
        close_month(lake, analytics, catalog(0.5), october, now=october)
    [first] = close_month(lake, analytics, catalog(0.5), october, now=NOW)
    assert (first.requests, first.total, first.closed_at) == (3, Decimal("1.50"), NOW)
    assert first.adjustment is None
    store([call] * 2)
    again = close_month(lake, analytics, catalog(0.5), october, now=NOW + timedelta(days=1))
    assert again == invoices(analytics, catalog(0.5), october, now=NOW)
    [late] = again
    assert (late.lines, late.total, late.closed_at) == (first.lines, first.total, NOW)
    assert late.adjustment == Adjustment(2, Decimal("1.00"))
    rows = invoice_frame(again).select("kind", "quantity", "amount").rows()
    assert rows == [("calls", 3, "1.50"), ("adjustment", 2, "1.00")]
    [dearer] = invoices(analytics, catalog(9.0), october, now=NOW)
    assert dearer.total == Decimal("1.50")
    [november] = invoices(analytics, catalog(9.0), NOW, now=NOW)
    assert november.closed_at is None


@pytest.mark.parametrize(
    "plan",
    [
        {"tiers": [{"price_per_call": 1}], "price_per_call": 1},
        {"tiers": [{"up_to": 5, "price_per_call": 1}]},
        {"tiers": [{"price_per_call": 1}, {"price_per_call": 1}]},
        {"tiers": [{"up_to": 9, "price_per_call": 1}, {"up_to": 5, "price_per_call": 1},
                   {"price_per_call": 1}]},
        {"month_anchor_day": 32},
    ],
)  # fmt: skip
def test_prices_that_make_no_sense_are_refused(plan: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Plan(name="p", **plan)
