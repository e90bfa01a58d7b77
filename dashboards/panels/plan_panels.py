"""Plans against what their consumers do: use of the entitlement, fit, and what they earn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from dash import html

from analytics.billing import Invoice
from analytics.plan_fit import PlanFit
from analytics.quota import QuotaUsage
from dashboards import format as fmt
from dashboards.components import (
    Component,
    Head,
    badge,
    number,
    page_link,
    share_bar,
    table,
)
from dashboards.panels.quota_panels import at_risk, told
from dashboards.theme import SERIES
from dashboards.view import View
from storage.catalog import Catalog

ROWS_SHOWN = 25

EVERY_FITS = "Every consumer's plan fits what it does."
TOO_EARLY = "Whose plan is too large is told once 30 days are stored; none is too small so far."
WRONG = {"too_small": "too small", "dearer": "dearer than another", "too_large": "too large"}
"""How a plan can fail to fit, in words."""


@dataclass(frozen=True, slots=True)
class PlanUse:
    """One plan of the catalog with what its consumers do."""

    plan: str
    product: str
    consumers: int
    requests: int
    share: float | None
    """Of all the quotas of its consumers, in the running windows; None = without a quota."""
    risk: int
    wrong: int
    """Consumers whom another plan would suit better."""
    revenue: Decimal
    currency: str


def plan_uses(
    catalog: Catalog,
    quotas: Sequence[QuotaUsage],
    bills: Sequence[Invoice],
    fits: Sequence[PlanFit],
) -> list[PlanUse]:
    found = []
    for plan in catalog.plans:
        mine = [u for u in quotas if u.plan == plan.name]
        paid = [b for b in bills if b.plan == plan.name]
        limit = sum(u.limit for u in mine)
        found.append(
            PlanUse(
                plan=plan.title or plan.name,
                product=plan.product or "",
                consumers=sum(1 for c in catalog.consumers if c.plan == plan.name),
                requests=sum(b.requests for b in paid) or sum(u.used for u in mine),
                share=sum(u.used for u in mine) / limit if limit else None,
                risk=sum(1 for u in mine if at_risk(u)),
                wrong=sum(f.fit in WRONG for f in fits if f.plan == plan.name),
                revenue=sum((b.total for b in paid), Decimal(0)),
                currency=plan.currency,
            )
        )
    return sorted(found, key=lambda p: (-p.revenue, -p.requests, p.plan))


def faint(text: str) -> Component:
    return html.Span(text, className="gl-when")


def plans_table(uses: Sequence[PlanUse]) -> Component:
    rows = [
        [
            html.Span(fmt.plain(p.plan, 40), className="gl-name"),
            html.Span(fmt.plain(p.product, 30) if p.product else "any", className="gl-when"),
            number(fmt.whole(p.consumers), p.consumers),
            number(fmt.count(p.requests), p.requests),
            share_bar(p.share, SERIES[0]) if p.share is not None else faint("no quota"),
            number(fmt.percent(p.share), p.share, tone="muted"),
            badge(f"{p.risk} at risk", "warn") if p.risk else faint("none"),
            faint(f"{p.wrong} {'does' if p.wrong == 1 else 'do'} not fit" if p.wrong else ""),
            number(fmt.money(p.revenue, p.currency), float(p.revenue)),
        ]
        for p in uses
    ]  # fmt: skip
    heads = (
        Head("Plan"),
        Head("Product"),
        Head("Consumers", True),
        Head("Requests", True),
        Head("Quota used", width="16%"),
        Head("", True),
        Head("At risk"),
        Head("Fit"),
        Head("Revenue", True),
    )
    return table(heads, rows, empty="The catalog has no plans; add `plans` to catalog.yaml.")


def fit_table(fits: Sequence[PlanFit], catalog: Catalog, view: View) -> Component:
    """Consumers on a wrong plan, those over a limit first, and what would serve them."""
    rows = []
    for fit in [f for f in fits if f.fit in WRONG][:ROWS_SHOWN]:
        plan = catalog.plan(fit.plan)
        currency = "" if plan is None else plan.currency
        address = f"/consumers/{fmt.url_part(fit.consumer)}{view.query()}"
        rows.append(
            [
                page_link(fmt.plain(fit.consumer, 40), address, "gl-name"),
                html.Span(fmt.plain(fit.plan, 30), className="gl-when"),
                badge(WRONG[fit.fit], "bad" if fit.fit == "too_small" else "warn"),
                number(fmt.count(fit.requests), fit.requests),
                _cost(fit.cost, currency),
                html.Span("none" if fit.better is None else fmt.plain(fit.better, 30)),
                _cost(fit.better_cost, currency),
            ]
        )
    heads = (
        Head("Consumer"),
        Head("Plan"),
        Head("Is"),
        Head("Calls", True),
        Head("Cost", True),
        Head("Better"),
        Head("Cost there", True),
    )
    return table(heads, rows, empty=told(TOO_EARLY if too_early(fits) else EVERY_FITS))


def too_early(fits: Sequence[PlanFit]) -> bool:
    """Whether there is not enough data to tell whose plan is too large."""
    return any(fit.fit == "early" for fit in fits)


def _cost(amount: Decimal | None, currency: str) -> Component:
    return (
        faint("no price") if amount is None else number(fmt.money(amount, currency), float(amount))
    )


def revenue_table(bills: Sequence[Invoice], view: View) -> Component:
    ranked = sorted(bills, key=lambda b: (-b.total, b.consumer))[:ROWS_SHOWN]
    top = float(ranked[0].total) if ranked else 0.0
    rows = [
        [
            page_link(
                fmt.plain(b.consumer, 40),
                f"/consumers/{fmt.url_part(b.consumer)}{view.query()}",
                "gl-name",
            ),
            html.Span(fmt.plain(b.plan, 24), className="gl-when"),
            share_bar(float(b.total) / top if top else None, SERIES[2]),
            number(fmt.money(b.total, b.currency), float(b.total)),
        ]
        for b in ranked
    ]
    heads = (Head("Consumer"), Head("Plan"), Head("", width="26%"), Head("Amount", True))
    return table(heads, rows, empty=told("No plan of the catalog has a price."))
