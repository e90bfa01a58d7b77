"""Home: is it well? One row of numbers, what moves per API, who moved most, what is firing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl
from dash import Dash, Input, Output, dcc, html

from analytics.query import Completeness, Overview
from analytics.slo import SloStatus
from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    Stat,
    empty_installation,
    number,
    page_link,
    panel,
    screen,
    skeleton_rows,
    stat_row,
    time_chart,
    waiting,
)
from dashboards.data import Data
from dashboards.figures import series
from dashboards.figures.base import TimeAxis
from dashboards.guard import guarded
from dashboards.measured import axis_of, column_on, over_all, rate_on, without_outages
from dashboards.panels.alert_panels import alert_list
from dashboards.panels.home_panels import (
    attention,
    compared_range,
    incidents,
    incidents_table,
    movers_table,
    no_changes,
)
from dashboards.panels.quota_panels import quota_stat
from dashboards.panels.slo_panels import budget_tone
from dashboards.panels.state_row import ask_traffic, traffic_stats
from dashboards.theme import tokens
from dashboards.view import View


def layout(_data: Data) -> Component:
    needs = html.Div(
        [html.Div(skeleton_rows(4), id="home-alerts"), html.Div(id="home-plans")],
        className="gl-scroll gl-attention",
    )
    return screen(
        "home",
        "Home",
        time_chart(
            "Traffic",
            "traffic",
            note="requests per second, by API",
            height=326,
            alert="requests_per_s",
            className="w8",
        ),
        panel(
            "Needs attention",
            needs,
            action=dcc.Link("All alerts", href="/alerts", id="home-alerts-link"),
            className="w4 flush",
        ),
        time_chart(
            "Errors",
            "errors",
            note="share of requests failed by the server",
            alert="error_rate",
            raw="outcome=server_error",
            className="w6",
        ),
        time_chart(
            "Latency p95",
            "latency",
            note="whole time at the gateway",
            alert="p95_ms",
            className="w6",
        ),
        waiting(
            "Top movers",
            "home-movers",
            note="APIs by change against last week",
            action=dcc.Link("All APIs", href="/apis", id="home-apis-link"),
            className="w8 flush",
        ),
        waiting("Recent incidents", "home-incidents", rows=6, className="w4 flush"),
        stats=7,
        below_head=(html.Div(id="home-empty"),),
    )


def register(app: Dash, data: Data) -> None:
    @app.callback(
        Output("home-stats", "children"),
        Output("home-sub", "children"),
        Output("home-empty", "children"),
        Output("home-alerts-link", "href"),
        Output("home-apis-link", "href"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=5, show_in=0)
    async def state_row(stored: object) -> tuple[Component, ...]:
        view = data.view(stored)
        traffic, (slos, quotas), alerts, any_data = await asyncio.gather(
            ask_traffic(data, view), data.plans_soon(), data.active_alerts(), data.ever_any()
        )
        firing = sum(1 for a in alerts if a.state == "firing")
        query = view.query()
        cards = [
            *traffic_stats("home", traffic, view, path="/apis"),
            quota_stat(quotas, query, id="home-quota-risk"),
            budget_stat(slos, query),
            Stat(
                "home-firing",
                "Firing alerts",
                firing,
                str(firing),
                href=f"/alerts{query}",
                tone="bad" if firing else "good",
                hint="needs a look" if firing else "all quiet",
            ),
            completeness_stat(traffic.completeness, query, data.clock()),
        ]
        return (
            stat_row(cards, view.mode),
            home_sub(view, traffic.overview),
            None if any_data else empty_installation(),
            f"/alerts{query}",
            f"/apis{query}",
        )

    @app.callback(
        Output(ids.time_graph("traffic"), "figure"),
        Output(ids.time_graph("errors"), "figure"),
        Output(ids.time_graph("latency"), "figure"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=3)
    async def charts(stored: object) -> tuple[Component, ...]:
        view = data.view(stored)
        usage, latency, completeness = await asyncio.gather(
            data.usage(view, "api", over_time=True),
            data.latency(view, "api", quantiles=(0.95,)),
            data.completeness(view),
        )
        axis = axis_of(view, completeness, usage)
        figures = chart_figures(usage, latency, axis, data)
        if view.compared:
            await draw_before(data, view, axis, figures)
        return figures

    @app.callback(Output("home-movers", "children"), Input(ids.VIEW, "data"))
    @guarded(show_in=0)
    async def movers(stored: object) -> Component:
        view = data.view(stored)
        against, told = compared_range(view)
        rows, usage, completeness = await asyncio.gather(
            data.breakdown(view, "api", against=against),
            data.usage(view, "api", over_time=True),
            data.completeness(view),
        )
        axis = axis_of(view, completeness, usage)
        moved = movers_table(rows, usage, axis, view, data)
        why = no_changes(rows, told)
        return [html.Div(why, className="gl-sub pad"), moved] if why else moved

    @app.callback(
        Output("home-alerts", "children"),
        Output("home-incidents", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=2, show_in=0)
    async def alerts(stored: object) -> tuple[Component, ...]:
        view = data.view(stored)
        active, recent = await asyncio.gather(data.active_alerts(), data.alert_changes(200))
        now = data.clock()
        return (
            alert_list(active, recent[:30], view, now),
            incidents_table(incidents(recent), view, now),
        )

    @app.callback(Output("home-plans", "children"), Input(ids.VIEW, "data"))
    @guarded(show_in=0)
    async def plans(stored: object) -> Component:
        view = data.view(stored)
        slos, quotas = await data.plans_soon()
        return attention(slos or [], quotas or [], view, data.clock())


async def draw_before(data: Data, view: View, axis: TimeAxis, figures: tuple[Any, ...]) -> None:
    """Traffic, error rate and p95 of the range just before, over all APIs, as dotted lines."""
    past = view.previous()
    usage, latency, outages = await asyncio.gather(
        data.usage(past, "api", over_time=True),
        data.latency(past, quantiles=(0.95,)),
        data.outages(past),
    )
    # The whole range before was measured, or is a gap of its own.
    earlier = TimeAxis(past.start, past.end, past.interval_s, past.mode)
    earlier, total = without_outages(earlier, outages, usage), over_all(usage)
    colour = tokens(axis.mode).muted
    lines = (
        rate_on(earlier, total),
        column_on(earlier, total, "error_rate"),
        column_on(earlier, latency, "p95_ms"),
    )
    for drawn, values in zip(figures, lines, strict=True):
        series.before(drawn, values, axis, colour)


def home_sub(view: View, overview: Overview) -> list[Component]:
    query = view.query()
    apis = " API" if overview.apis == 1 else " APIs"
    return [
        f"{view.label} · ",
        number(fmt.rate(overview.requests_per_s), overview.requests_per_s, id="home-rate"),
        " · ",
        page_link(
            [number(fmt.whole(overview.apis), overview.apis, id="home-apis"), apis],
            f"/apis{query}",
        ),
        " · ",
        page_link(
            [
                number(fmt.whole(overview.consumers), overview.consumers, id="home-consumers"),
                " consumers",
            ],
            f"/consumers{query}",
        ),
    ]


def budget_stat(slos: Sequence[SloStatus] | None, query: str) -> Stat:
    """The error budget that is nearest its end."""
    known = [s for s in slos or () if s.budget_left is not None]
    worst = min(known, key=lambda s: s.budget_left or 0.0, default=None)
    left = None if worst is None else worst.budget_left
    hint = "being counted" if slos is None else "no objectives" if worst is None else worst.slo.name
    return Stat(
        "home-budget",
        "Error budget, worst",
        left,
        fmt.percent(left),
        href=f"/alerts{query}",
        tone=budget_tone(left),
        hint=fmt.plain(hint, 30),
    )


def completeness_stat(c: Completeness, query: str, now: datetime) -> Stat:
    share = None
    if c.requests_raw:
        share = min(1.0, c.requests_counted / c.requests_raw)
    told = [f"data {fmt.ago(c.data_until, now)}"] if c.data_until else ["no data in range"]
    if c.rejects:
        told.append(f"{fmt.count(c.rejects)} rejected")
    if c.silent_gateways:
        told.append(f"silent: {fmt.plain(', '.join(c.silent_gateways), 30)}")
    if c.outages.spans:
        told.append(f"{fmt.minutes(c.outages.seconds)} without a collector")
    odd = bool(c.silent_gateways or c.outages.spans) or (share is not None and share < 0.99)
    return Stat(
        "home-completeness",
        "Counted",
        share,
        fmt.percent(share),
        href=f"/operate{query}",
        tone="warn" if odd else "",
        hint=" · ".join(told),
    )


def chart_figures(
    usage: pl.DataFrame, latency: pl.DataFrame, axis: TimeAxis, data: Data
) -> tuple[Any, Any, Any]:
    names = series.largest(usage, "api")
    data.colours.learn(n for n in usage["api"].unique().to_list() if n)
    colour = data.colours.colour
    traffic = series.rates(usage, axis, by="api", names=names, colour=colour)
    failing = series.largest(usage.filter(pl.col("errors") > 0), "api", of="errors", count=6)
    errors = series.measured_lines(
        usage, axis, by="api", value="error_rate", names=failing or names, colour=colour
    )
    p95 = series.measured_lines(latency, axis, by="api", value="p95_ms", names=names, colour=colour)
    nothing = ids.NO_DATA_IN_RANGE
    return (
        series.stacked(traffic, axis, fmt.rate, empty=nothing),
        series.overlaid(errors, axis, fmt.percent, empty=nothing),
        series.overlaid(p95, axis, fmt.milliseconds, empty=nothing),
    )
