from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.billing import invoices, line_items
from analytics.query import Analytics
from storage.catalog import Catalog, Consumer, Plan
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
