"""Products and plans: use against entitlement, who outgrows a plan, what the month earns."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
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
    Stat,
    file_links,
    screen,
    stat_row,
    time_chart,
    waiting,
)
from dashboards.data import Data
from dashboards.figures import series
from dashboards.guard import guarded
from dashboards.measured import axis_of
from dashboards.panels.plan_panels import (
    ROWS_SHOWN,
    WRONG,
    fit_table,
    plan_uses,
    plans_table,
    revenue_table,
    too_early,
)
from dashboards.panels.quota_panels import NOT_COUNTED, NOT_YOURS, at_risk, quota_table

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
        axis = axis_of(view, completeness, usage)
        names = series.largest(usage, "product")
        data.product_colours.learn(names)
        lines = series.rates(
            usage, axis, by="product", names=names, colour=data.product_colours.colour
        )
        return series.stacked(lines, axis, fmt.rate, empty=ids.NO_DATA_IN_RANGE)


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
    wrong, early = sum(f.fit in WRONG for f in fits), too_early(fits)
    text = " + ".join(fmt.money(amount, currency) for currency, amount in sorted(earned.items()))
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
             tone="warn" if wrong else "" if early else "good",
             hint="too small so far; 30 days tell more" if early
             else "another would suit the last 30 days",
             href="#products-fit"),
    ]  # fmt: skip
