"""One consumer: how is it doing? Its quota, its errors and where they come from, its bill."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from dash import Dash, Input, Output, State

from analytics.billing import Invoice
from analytics.quota import QuotaUsage
from dashboards import format as fmt
from dashboards import identity, ids
from dashboards.about_one import ONE_CONSUMER
from dashboards.components import (
    Component,
    Stat,
    badge,
    dot,
    screen,
    stat_row,
    time_chart,
    waiting,
)
from dashboards.data import Data
from dashboards.figures import series
from dashboards.figures.status import status_bars
from dashboards.guard import guarded
from dashboards.measured import axis_of
from dashboards.panels.api_panels import codes_table
from dashboards.panels.consumer_panels import calls_table, failing_calls
from dashboards.panels.quota_panels import NOT_COUNTED, at_risk, quota_cards, quota_tone
from dashboards.panels.state_row import Traffic, ask_traffic, traffic_stats
from dashboards.view import View

NAME = ONE_CONSUMER.name
ROWS_SHOWN = 12


def layout(data: Data, name: str) -> Component:
    known = data.catalog.consumer(name=name)
    marks: list[Component] = []
    if known and known.plan:
        marks.append(badge(f"plan {known.plan}"))
    if known and known.group:
        marks.append(badge(f"group {known.group}"))
    if not known and identity.sees_quotas():
        marks.append(badge("not in the catalog", "warn"))
    title = known.title or name if known else name
    return screen(
        "consumer",
        [dot(data.consumer_colours.colour(name)), fmt.plain(title, 80), *marks],
        waiting("Quota", "consumer-quota", rows=3, className="w4"),
        time_chart(
            "Calls by API",
            "consumer-apis",
            note="requests per second",
            height=220,
            alert="requests_per_s",
            className="w8",
        ),
        time_chart(
            "Answers by status",
            "consumer-status",
            note="requests per interval",
            alert="error_rate",
            className="w6",
        ),
        waiting("Status codes", "consumer-codes", rows=6, className="w6 flush"),
        waiting(
            "Why calls fail",
            "consumer-errors",
            rows=6,
            note="answers of 400 and above, by route; a click filters",
            className="w7 flush",
        ),
        waiting("APIs it calls", "consumer-calls", rows=6, className="w5 flush"),
        stats=6,
        above=ONE_CONSUMER.above(name),
    )


@dataclass(frozen=True, slots=True)
class Doing:
    """What one consumer's state row is made of."""

    traffic: Traffic
    quotas: list[QuotaUsage]
    bill: Invoice | None


def register(app: Dash, data: Data) -> None:
    @app.callback(
        Output("consumer-stats", "children"),
        Output("consumer-sub", "children"),
        Output("consumer-crumbs", "children"),
        Output("consumer-quota", "children"),
        Input(ids.VIEW, "data"),
        State(NAME, "data"),
    )
    @guarded(outputs=4, show_in=0)
    async def state(stored: object, name: object) -> tuple[Component, ...]:
        full, view = ONE_CONSUMER.views(data, stored, name)
        traffic, quotas, bills = await asyncio.gather(
            ask_traffic(data, view), data.quotas(), data.invoices()
        )
        mine = [u for u in quotas if u.consumer == name]
        bill = next((b for b in bills if b.consumer == name), None)
        what = Doing(traffic, mine, bill)
        apis = traffic.overview.apis
        return (
            stat_row(state_stats(what, view, str(name)), view.mode),
            f"{view.label} · {apis} API{'' if apis == 1 else 's'}",
            ONE_CONSUMER.way_back(full, name),
            quota_cards(mine, data.clock()),
        )

    @app.callback(
        Output(ids.time_graph("consumer-apis"), "figure"),
        Output(ids.time_graph("consumer-status"), "figure"),
        Output("consumer-codes", "children"),
        Output("consumer-errors", "children"),
        Output("consumer-calls", "children"),
        Input(ids.VIEW, "data"),
        State(NAME, "data"),
    )
    @guarded(outputs=5, show_in=3)
    async def details(stored: object, name: object) -> tuple[Any, ...]:
        full, view = ONE_CONSUMER.views(data, stored, name)
        by_api, by_status, codes, failing, apis, completeness = await asyncio.gather(
            data.usage(view, "api", over_time=True),
            data.usage(view, "status_code", over_time=True),
            data.usage(view, "status_code"),
            data.usage(view, "api", "route", "status_code"),
            data.breakdown(view, "api", ROWS_SHOWN),
            data.completeness(view),
        )
        axis = axis_of(view, completeness, by_api)
        names = series.largest(by_api, "api")
        lines = series.rates(by_api, axis, by="api", names=names, colour=data.colours.colour)
        return (
            series.stacked(lines, axis, fmt.rate, empty=ids.NO_DATA_IN_RANGE),
            status_bars(by_status, axis, empty=ids.NO_DATA_IN_RANGE),
            codes_table(codes, "consumer"),
            failing_calls(failing),
            calls_table(apis, full, data),
        )


def state_stats(what: Doing, view: View, name: str) -> list[Stat]:
    fullest = max(what.quotas, key=lambda u: u.percent, default=None)
    percent = None if fullest is None else fullest.percent
    bill = what.bill
    if not identity.sees_quotas():
        cards = (("quota-used", "Quota used"), ("refused", "Refused"), ("bill", "Bill so far"))
        return [
            *traffic_stats("consumer", what.traffic, view),
            *(Stat(f"consumer-{k}", t, None, fmt.MISSING, hint=NOT_COUNTED) for k, t in cards),
        ]
    return [
        *traffic_stats("consumer", what.traffic, view),
        Stat("consumer-quota-used", "Quota used", None if percent is None else percent / 100,
             fmt.percent(None if percent is None else percent / 100),
             hint=f"this {fullest.kind}" if fullest else "no quota", href="#consumer-quota",
             tone="" if quota_tone(percent) == "good" else quota_tone(percent)),
        Stat("consumer-refused", "Refused", fullest.refused if fullest else None,
             fmt.count(fullest.refused if fullest else None),
             hint=f"rate limit or quota, this {fullest.kind}" if fullest else "no quota",
             href="#consumer-quota",
             tone="warn" if fullest and at_risk(fullest) and fullest.refused else ""),
        Stat("consumer-bill", "Bill so far", float(bill.total) if bill else None,
             fmt.money(bill.total, bill.currency) if bill else fmt.MISSING,
             hint=f"{fmt.count(bill.requests)} counted this month" if bill else "no price",
             href=f"/reports?report=consumer:{fmt.url_part(name)}&period=month"),
    ]  # fmt: skip
