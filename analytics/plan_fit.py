"""Consumers on the wrong plan, and what of each product the plans' holders really use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from analytics.filters import UNKNOWN, Filters
from analytics.headroom import Headroom, rate_headroom
from analytics.pricing import has_price, month_cost
from analytics.query import Analytics
from analytics.quota import COUNTED, counted_requests
from analytics.timerange import TimeRange
from storage.catalog import Catalog, Plan

MONTH_DAYS = 30
"""Days that stand for a month, so that fits do not hang on the calendar."""

Fit = Literal["fits", "too_small", "too_large", "dearer", "idle", "early"]


@dataclass(frozen=True, slots=True)
class PlanFit:
    """A consumer's last 30 days against its plan, and the plan that would serve it best."""

    consumer: str
    plan: str
    requests: int
    """Counted requests of the last 30 days."""
    fit: Fit
    """too_small: over a limit. too_large: another plan with less would do and costs no more (or
    less). dearer: another plan of at least the same limits costs less. idle: no requests. early:
    not too small so far, and less than 30 days are stored, so no more can be told."""
    cost: Decimal | None
    """Of these 30 days on its plan; None = the plan has no price."""
    better: str | None
    """Cheapest plan of the same product and currency that holds the usage; None = none is."""
    better_cost: Decimal | None


@dataclass(frozen=True, slots=True)
class EntitlementUse:
    """One product: who may use it and who does."""

    product: str
    entitled: int
    """Consumers whose plan is of the product, or of none (all products)."""
    active: int
    """Of those, how many sent at least one counted request."""
    requests: int
    """Counted requests of entitled consumers."""
    quota: int | None
    """Sum of their monthly quotas; None when one of them has no limit."""
    without_plan: tuple[str, ...]
    """Consumers that used the product with a plan of another one, or with none; by name."""
    requests_without_plan: int


def plan_fits(
    analytics: Analytics,
    catalog: Catalog,
    *,
    now: datetime,
    filters: Filters = Filters(),  # noqa: B008 - frozen
) -> list[PlanFit]:
    """Every consumer with a plan; those on a wrong plan first, then by name."""
    plans = {c.name: p for c in catalog.consumers if (p := catalog.plan(c.plan)) is not None}
    if not plans:
        return []
    window = TimeRange(now - timedelta(days=MONTH_DAYS), now)
    counts = counted_requests(analytics, plans, window, filters)
    heads = {h.consumer: h for h in rate_headroom(analytics, catalog, window, filters)}
    whole = analytics.stored_whole(window)
    found = [
        _fit(catalog, name, plan, counts[name], heads.get(name), whole)
        for name, plan in plans.items()
    ]
    order = {"too_small": 0, "dearer": 1, "too_large": 2, "idle": 3, "early": 4, "fits": 5}
    return sorted(found, key=lambda f: (order[f.fit], f.consumer))


def _fit(
    catalog: Catalog, name: str, plan: Plan, requests: int, head: Headroom | None, whole: bool
) -> PlanFit:
    cost = month_cost(plan, requests) if has_price(plan) else None
    peak = head.minute.requests if head is not None and head.minute is not None else 0
    holds = _holds(plan, requests, peak)
    better = _better(catalog.plans, plan, requests, peak, cost if holds else None)
    fit: Fit = "fits"
    if not holds:
        fit = "too_small"
    elif not whole:
        better, fit = None, "early"
    elif requests == 0:
        better, fit = None, "idle"
    elif better is not None:
        fit = "too_large" if _smaller(better, plan) else "dearer"
    return PlanFit(
        consumer=name,
        plan=plan.name,
        requests=requests,
        fit=fit,
        cost=cost,
        better=None if better is None else better.name,
        better_cost=None if better is None else month_cost(better, requests),
    )


def _holds(plan: Plan, requests: int, peak_per_minute: int) -> bool:
    """Whether a plan lets such a month through without a limit being met."""
    limit = plan.rate_limit_per_minute
    if limit is not None and peak_per_minute > limit:
        return False
    months_of_limits = (
        (plan.quota_per_month, 1.0),
        (plan.quota_per_week, MONTH_DAYS / 7),
        (plan.quota_per_day, float(MONTH_DAYS)),
    )
    # a priced overage is a limit one may pass
    if plan.price_per_overage_call is not None:
        return True
    return all(quota is None or requests <= quota * times for quota, times in months_of_limits)


def _better(
    plans: Sequence[Plan], current: Plan, requests: int, peak: int, cost: Decimal | None
) -> Plan | None:
    """The cheapest other plan that holds the usage, if it costs less than `cost` (None = any)."""
    if cost is None and not has_price(current) and _holds(current, requests, peak):
        return None
    options = [
        plan
        for plan in plans
        if plan.name != current.name
        and plan.product == current.product
        and plan.currency == current.currency
        and has_price(plan)
        and _holds(plan, requests, peak)
        and (cost is None or month_cost(plan, requests) < cost)
    ]
    return min(options, key=lambda p: (month_cost(p, requests), p.name), default=None)


def _smaller(plan: Plan, current: Plan) -> bool:
    if plan.quota_per_month is None:
        return False
    return current.quota_per_month is None or plan.quota_per_month < current.quota_per_month


def entitlement_use(
    analytics: Analytics,
    catalog: Catalog,
    time_range: TimeRange,
    filters: Filters = Filters(),  # noqa: B008 - frozen
) -> list[EntitlementUse]:
    """Every product of the catalog, and every other one that was used, by name."""
    rows = analytics.usage(
        time_range, filters, by=("product", "consumer", "outcome"), limit=1_000_000
    )
    used: dict[str, dict[str, int]] = {}
    for product, consumer, outcome, requests in rows.select(
        "product", "consumer", "outcome", "requests"
    ).iter_rows():
        if product is None or consumer is None or (outcome or UNKNOWN) not in COUNTED:
            continue
        members = used.setdefault(product, {})
        members[consumer] = members.get(consumer, 0) + requests
    names = {p.name for p in catalog.products} | used.keys()
    return [_entitlement(catalog, name, used.get(name, {})) for name in sorted(names)]


def _entitlement(catalog: Catalog, product: str, used: Mapping[str, int]) -> EntitlementUse:
    entitled = {
        c.name: plan
        for c in catalog.consumers
        if (plan := catalog.plan(c.plan)) is not None and plan.product in (None, product)
    }
    quotas = [plan.quota_per_month for plan in entitled.values()]
    others = {name: n for name, n in used.items() if name not in entitled}
    return EntitlementUse(
        product=product,
        entitled=len(entitled),
        active=sum(name in used for name in entitled),
        requests=sum(n for name, n in used.items() if name in entitled),
        quota=None if None in quotas else sum(q for q in quotas if q is not None),
        without_plan=tuple(sorted(others)),
        requests_without_plan=sum(others.values()),
    )
