"""From counted requests and a plan to the lines of a month. Values in, values out.

    flat       price_per_month, whatever was used
    free       free_calls_per_month: the first calls, at no price; what follows is over the rest
    included   calls within quota_per_month of a plan with a monthly price or an overage price
    overage    calls over quota_per_month, at price_per_overage_call, else price_per_call
    calls      every call left, at price_per_call
    tier       calls of one step (graduated), or all calls at the last step reached (volume)
    tier_flat  what reaching a step costs once

Amounts are decimals, each line rounded to the cent (half to even), so that lines add up to the
total exactly. Every counted request is on exactly one line with a quantity of requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Literal

from storage.catalog import Plan

CENT = Decimal("0.01")

LineKind = Literal["flat", "free", "calls", "included", "overage", "tier", "tier_flat"]

_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
"""Wide enough for any count times any price: nothing is rounded before the cent."""


@dataclass(frozen=True, slots=True)
class LineItem:
    kind: LineKind
    quantity: int
    """Requests, or 1 for a flat price."""
    unit_price: Decimal
    amount: Decimal
    """quantity x unit_price, rounded to the cent."""


def has_price(plan: Plan) -> bool:
    prices = (plan.price_per_month, plan.price_per_call, plan.price_per_overage_call)
    return bool(plan.tiers) or any(price is not None for price in prices)


def line_items(plan: Plan, requests: int) -> list[LineItem]:
    """Lines of a month with so many counted requests; none for a plan without a price."""
    lines = []
    if plan.price_per_month is not None:
        lines.append(_line("flat", 1, _decimal(plan.price_per_month)))
    if not _charges_calls(plan):
        return lines
    free = min(requests, plan.free_calls_per_month)
    if plan.free_calls_per_month:
        lines.append(_line("free", free, Decimal(0)))
    return lines + _call_lines(plan, requests - free)


def total(lines: list[LineItem]) -> Decimal:
    return sum((line.amount for line in lines), Decimal("0.00"))


def month_cost(plan: Plan, requests: int) -> Decimal:
    """What a month with so many requests costs; 0 for a plan without a price."""
    return total(line_items(plan, requests))


def _charges_calls(plan: Plan) -> bool:
    prices = (plan.price_per_call, plan.price_per_overage_call)
    return bool(plan.tiers) or any(price is not None for price in prices)


def _call_lines(plan: Plan, requests: int) -> list[LineItem]:
    quota, over_price = plan.quota_per_month, plan.price_per_overage_call
    included_in_price = plan.price_per_month is not None and not plan.tiers
    if quota is None or not (included_in_price or over_price is not None):
        return _priced(plan, requests)
    # the quota speaks of all calls of the month, free ones included
    within = min(requests, max(0, quota - plan.free_calls_per_month))
    priced_within = bool(plan.tiers) or (plan.price_per_month is None and plan.price_per_call)
    lines = _priced(plan, within) if priced_within else [_line("included", within, Decimal(0))]
    if requests > within:
        price = over_price if over_price is not None else _decimal(plan.price_per_call)
        lines.append(_line("overage", requests - within, price))
    return lines


def _priced(plan: Plan, requests: int) -> list[LineItem]:
    if not plan.tiers:
        return [_line("calls", requests, _decimal(plan.price_per_call))]
    return _volume(plan, requests) if plan.tier_mode == "volume" else _graduated(plan, requests)


def _graduated(plan: Plan, requests: int) -> list[LineItem]:
    lines, begun = [], 0
    for number, tier in enumerate(plan.tiers):
        # a step is reached by its first request; the first one by having the plan at all
        if number and requests <= begun:
            break
        upto = requests if tier.up_to is None else min(requests, tier.up_to)
        lines.append(_line("tier", upto - begun, tier.price_per_call))
        if tier.flat:
            lines.append(_line("tier_flat", 1, tier.flat))
        begun = upto if tier.up_to is None else tier.up_to
    return lines


def _volume(plan: Plan, requests: int) -> list[LineItem]:
    tier = next(t for t in plan.tiers if t.up_to is None or requests <= t.up_to)
    lines = [_line("tier", requests, tier.price_per_call)]
    return [*lines, _line("tier_flat", 1, tier.flat)] if tier.flat else lines


def _decimal(price: float | Decimal | None) -> Decimal:
    # through text: 0.1 means a tenth, not the nearest binary fraction
    return Decimal(0) if price is None else Decimal(str(price))


def _line(kind: LineKind, quantity: int, unit_price: Decimal) -> LineItem:
    amount = _EXACT.quantize(_EXACT.multiply(unit_price, Decimal(quantity)), CENT)
    return LineItem(kind, quantity, unit_price, amount)
