"""What a month costs each consumer, from its metered requests and the price of its plan.

    price_per_month                        one line, whatever was used
    price_per_call without a monthly price every counted request
    price_per_call with a monthly price    requests over quota_per_month (the quota is included)

Counted are the requests that use up a quota (`quota.COUNTED`). Amounts are decimals, each line
rounded to the cent (half to even), so that lines add up to the total exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from analytics.filters import Filters
from analytics.query import Analytics
from analytics.quota import counted_requests
from analytics.timerange import TimeRange
from analytics.windows import window_of
from storage.catalog import Catalog, Plan

CENT = Decimal("0.01")

LineKind = Literal["flat", "calls", "included", "overage"]


@dataclass(frozen=True, slots=True)
class LineItem:
    kind: LineKind
    quantity: int
    """Requests, or 1 for a flat price."""
    unit_price: Decimal
    amount: Decimal
    """quantity x unit_price, rounded to the cent."""


@dataclass(frozen=True, slots=True)
class Invoice:
    consumer: str
    plan: str
    product: str | None
    currency: str
    month: TimeRange
    closed: bool
    """False = the month is not over yet; numbers will grow."""
    requests: int
    lines: tuple[LineItem, ...]

    @property
    def total(self) -> Decimal:
        return sum((line.amount for line in self.lines), Decimal("0.00"))


def invoices(
    analytics: Analytics,
    catalog: Catalog,
    month: datetime,
    *,
    now: datetime,
    zone: tzinfo = UTC,
    tenant: str = "default",
) -> list[Invoice]:
    """Invoices of the calendar month that holds `month`, by consumer; only plans with a price."""
    window = window_of("month", month, zone)
    priced = {
        consumer.name: plan
        for consumer in catalog.consumers
        if (plan := catalog.plan(consumer.plan)) is not None and _has_price(plan)
    }
    counts = counted_requests(analytics, priced, window, Filters(tenant=tenant))
    return [
        Invoice(
            consumer=name,
            plan=plan.name,
            product=plan.product,
            currency=plan.currency,
            month=window,
            closed=now >= window.end,
            requests=counts[name],
            lines=tuple(line_items(plan, counts[name])),
        )
        for name, plan in sorted(priced.items())
    ]


def line_items(plan: Plan, requests: int) -> list[LineItem]:
    """Lines of a month with so many counted requests."""
    lines = []
    if plan.price_per_month is not None:
        lines.append(_line("flat", 1, plan.price_per_month))
    if plan.price_per_call is None:
        return lines
    if plan.price_per_month is None:
        lines.append(_line("calls", requests, plan.price_per_call))
    elif plan.quota_per_month is not None:
        included = min(requests, plan.quota_per_month)
        lines.append(_line("included", included, 0.0))
        if requests > included:
            lines.append(_line("overage", requests - included, plan.price_per_call))
    else:
        lines.append(_line("calls", requests, plan.price_per_call))
    return lines


def _has_price(plan: Plan) -> bool:
    return plan.price_per_month is not None or plan.price_per_call is not None


def _line(kind: LineKind, quantity: int, unit_price: float) -> LineItem:
    # through text: 0.1 means a tenth, not the nearest binary fraction
    price = Decimal(str(unit_price))
    amount = (price * quantity).quantize(CENT, rounding=ROUND_HALF_EVEN)
    return LineItem(kind, quantity, price, amount)
