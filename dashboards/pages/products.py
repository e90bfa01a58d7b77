"""Products and plans: use against entitlement, who outgrows a plan, what the month earns."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dash import Dash, Input, Output, html

from analytics.billing import Invoice
from analytics.plan_fit import PlanFit
from analytics.quota import QuotaUsage
from dashboards import format as fmt
from dashboards import identity, ids
from dashboards.components import (
    Component,
    Head,
    Stat,
    badge,
    file_links,
    number,
    page_link,
    screen,
    share_bar,
    stat_row,
    table,
    time_chart,
    waiting,
)
from dashboards.data import Data
from dashboards.figures import series
from dashboards.guard import guarded
from dashboards.measured import axis_of
from dashboards.quota_panels import NOT_COUNTED, NOT_YOURS, at_risk, quota_table, told
from dashboards.theme import SERIES
from dashboards.view import View
from storage.catalog import Catalog

ROWS_SHOWN = 25
WRONG = {"too_small": "too small", "dearer": "dearer than another", "too_large": "too large"}
"""How a plan can fail to fit, in words."""


UNSEEN = {
    "revenue-month": "Revenue this month",
    "risk": "Quotas at risk",
    "over": "Used up",
    "refused": "Refused",
    "wrong": "Plans that do not fit",
}
"""Cards that say nothing to those who see only some APIs."""


def layout(_data: Data) -> Component:
    return screen(
        "products",
        "Products and plans",
        time_chart(
            "Traffic by product",
            "products-traffic",
            note="requests per second",
            height=230,
            alert="requests_per_s",
            className="w7",
        ),
        waiting(
            "Revenue by consumer",
            "products-revenue",
            rows=6,
            note="this month so far",
            className="w5 flush",
            scroll=True,
        ),
        waiting("Plans", "products-plans", rows=5, note="use against entitlement"),
        waiting(
            "Quotas",
            "products-quotas",
            note="fullest first; light = expected at the end of the window",
            action=file_links("quota"),
        ),
        waiting(
            "Plans that do not fit",
            "products-fit",
            rows=4,
            note="by the last 30 days: calls, busiest minute, cost",
            action=file_links("plan-fit"),
        ),
        stats=5,
    )


def register(app: Dash, data: Data) -> None:
    @app.callback(
        Output("products-stats", "children"),
        Output("products-sub", "children"),
        Output("products-revenue", "children"),
        Output("products-plans", "children"),
        Output("products-quotas", "children"),
        Output("products-fit", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=6, show_in=3)
    async def show(stored: object) -> tuple[Component, ...]:
        view = data.view(stored)
        quotas, bills, fits = await asyncio.gather(data.quotas(), data.invoices(), data.plan_fits())
        catalog, now = data.catalog, data.clock()
        known = f"{len(catalog.products)} products, {len(catalog.plans)} plans, "
        known += f"{len(catalog.consumers)} consumers in the catalog"
        if not identity.sees_quotas():
            plans: Component = html.Div(NOT_YOURS, className="gl-none")
            known = f"{len(catalog.products)} products, {len(catalog.plans)} plans in the catalog"
        else:
            plans = plans_table(plan_uses(catalog, quotas, bills, fits))
        return (
            stat_row(state_stats(quotas, bills, fits), view.mode),
            known,
            revenue_table(bills, view),
            plans,
            quota_table(quotas[:ROWS_SHOWN], view, now),
            fit_table(fits, catalog, view),
        )

    @app.callback(Output(ids.time_graph("products-traffic"), "figure"), Input(ids.VIEW, "data"))
    @guarded()
    async def traffic(stored: object) -> Any:
        view = data.view(stored)
        usage, completeness = await asyncio.gather(
            data.usage(view, "product", over_time=True), data.completeness(view)
        )
        axis = axis_of(view, completeness)
        names = series.largest(usage, "product")
        data.product_colours.learn(names)
        lines = series.rates(
            usage, axis, by="product", names=names, colour=data.product_colours.colour
        )
        return series.stacked(lines, axis, fmt.rate, empty=ids.NO_DATA_IN_RANGE)


def money(amount: Decimal, currency: str) -> str:
    """'1,234.50 EUR'; cents only where they matter."""
    return (
        f"{amount:,.0f}{fmt.THIN}{currency}"
        if amount >= 1000
        else f"{amount:,.2f}{fmt.THIN}{currency}"
    )


def totals(bills: Sequence[Invoice]) -> dict[str, Decimal]:
    """Sum per currency: currencies are never added up."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for bill in bills:
        found[bill.currency] += bill.total
    return dict(found)


def state_stats(
    quotas: Sequence[QuotaUsage], bills: Sequence[Invoice], fits: Sequence[PlanFit]
) -> list[Stat]:
    if not identity.sees_quotas():
        return [
            Stat(f"products-{key}", label, None, fmt.MISSING, hint=NOT_COUNTED)
            for key, label in UNSEEN.items()
        ]
    earned = totals(bills)
    risk = sum(1 for u in quotas if at_risk(u))
    over = sum(1 for u in quotas if u.percent >= 100)
    refused = sum(u.refused for u in quotas)
    wrong = sum(f.fit in WRONG for f in fits)
    text = " + ".join(money(amount, currency) for currency, amount in sorted(earned.items()))
    single = float(next(iter(earned.values()))) if len(earned) == 1 else None
    return [
        Stat("products-revenue-month", "Revenue this month", single, text or fmt.MISSING,
             hint="metered so far, before tax", href="#products-revenue"),
        Stat("products-risk", "Quotas at risk", risk, str(risk), tone="warn" if risk else "good",
             hint="80 % used, or runs out early", href="#products-quotas"),
        Stat("products-over", "Used up", over, str(over), tone="bad" if over else "good",
             hint="limits reached in their window", href="#products-quotas"),
        Stat("products-refused", "Refused", refused, fmt.count(refused),
             hint="rate limit or quota, in the windows", href="#products-quotas"),
        Stat("products-wrong", "Plans that do not fit", wrong, str(wrong),
             tone="warn" if wrong else "good", hint="another would suit the last 30 days",
             href="#products-fit"),
    ]  # fmt: skip


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
            faint(f"{p.wrong} do not fit" if p.wrong else ""),
            number(money(p.revenue, p.currency), float(p.revenue)),
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
    return table(heads, rows, empty=told("Every consumer's plan fits what it does."))


def _cost(amount: Decimal | None, currency: str) -> Component:
    return faint("no price") if amount is None else number(money(amount, currency), float(amount))


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
            number(money(b.total, b.currency), float(b.total)),
        ]
        for b in ranked
    ]
    heads = (Head("Consumer"), Head("Plan"), Head("", width="26%"), Head("Amount", True))
    return table(heads, rows, empty=told("No plan of the catalog has a price."))
