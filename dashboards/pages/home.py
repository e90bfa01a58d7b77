"""Home: is it well? One row of numbers, what moves per API, who moved most, what is firing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
from dash import Dash, Input, Output, dcc, html

from analytics.query import Completeness, Overview
from analytics.quota import QuotaUsage
from analytics.slo import SloStatus
from dashboards import format as fmt
from dashboards import ids
from dashboards.alert_panels import alert_list
from dashboards.components import (
    Head,
    Stat,
    api_link,
    empty_installation,
    number,
    page_head,
    page_link,
    panel,
    share_bar,
    skeleton_rows,
    skeleton_stats,
    sparkline,
    stat_row,
    table,
    time_chart,
)
from dashboards.data import Data
from dashboards.figures import series
from dashboards.figures.base import TimeAxis
from dashboards.guard import guarded
from dashboards.measured import axis_of, column_on, error_tone, over_all, rate_on
from dashboards.quota_panels import at_risk, forecast_text, quota_bar
from dashboards.slo_panels import budget_bar, budget_tone
from dashboards.theme import tokens
from dashboards.view import View, api_path

Component = Any

MOVERS_SHOWN = 10
ATTENTION_SHOWN = 3


def layout(_data: Data) -> Component:
    return html.Div(
        [
            page_head("Home", html.Span(id="home-sub")),
            html.Div(id="home-empty"),
            html.Div(skeleton_stats(6), id="home-stats"),
            html.Div(
                [
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
                        html.Div(
                            [
                                html.Div(skeleton_rows(4), id="home-alerts"),
                                html.Div(id="home-plans"),
                            ],
                            className="gl-scroll gl-attention",
                        ),
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
                    panel(
                        "Top movers",
                        html.Div(skeleton_rows(8), id="home-movers"),
                        note="APIs by change against the equal range before",
                        action=dcc.Link("All APIs", href="/apis", id="home-apis-link"),
                        className="flush",
                    ),
                ],
                className="gl-grid",
            ),
        ]
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
        overview, completeness, usage, latency, alerts, any_data = await asyncio.gather(
            data.overview(view),
            data.completeness(view),
            data.usage(view, "api", over_time=True),
            data.latency(view),
            data.active_alerts(),
            data.ever_any(),
        )
        firing = sum(1 for a in alerts if a.state == "firing")
        what = State(overview, completeness, over_all(usage), latency, firing)
        query = view.query()
        return (
            stat_row(state_stats(what, view, now=data.clock()), view.mode),
            home_sub(view, overview),
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
        axis = axis_of(view, completeness.data_until)
        figures = chart_figures(usage, latency, axis, data)
        if view.compared:
            await draw_before(data, view, axis, figures)
        return figures

    @app.callback(Output("home-movers", "children"), Input(ids.VIEW, "data"))
    @guarded(show_in=0)
    async def movers(stored: object) -> Component:
        view = data.view(stored)
        rows, usage, completeness = await asyncio.gather(
            data.breakdown(view, "api"),
            data.usage(view, "api", over_time=True),
            data.completeness(view),
        )
        axis = axis_of(view, completeness.data_until)
        return movers_table(rows, usage, axis, view, data)

    @app.callback(Output("home-alerts", "children"), Input(ids.VIEW, "data"))
    @guarded(show_in=0)
    async def alerts(stored: object) -> Component:
        view = data.view(stored)
        active, recent = await asyncio.gather(data.active_alerts(), data.alert_changes(30))
        return alert_list(active, recent, view, data.clock())

    @app.callback(Output("home-plans", "children"), Input(ids.VIEW, "data"))
    @guarded(show_in=0)
    async def plans(stored: object) -> Component:
        view = data.view(stored)
        slos, quotas = await data.plans_soon()
        return attention(slos or [], quotas or [], view, data.clock())


async def draw_before(data: Data, view: View, axis: TimeAxis, figures: tuple[Any, ...]) -> None:
    """Traffic, error rate and p95 of the range just before, over all APIs, as dotted lines."""
    past = view.previous()
    usage, latency = await asyncio.gather(
        data.usage(past, "api", over_time=True), data.latency(past, quantiles=(0.95,))
    )
    # The whole range before was measured, or is a gap of its own.
    earlier = TimeAxis(past.start, past.end, past.interval_s, past.mode)
    total = over_all(usage)
    colour = tokens(axis.mode).muted
    lines = (
        rate_on(earlier, total),
        column_on(earlier, total, "error_rate"),
        column_on(earlier, latency, "p95_ms"),
    )
    for drawn, values in zip(figures, lines, strict=True):
        series.before(drawn, values, axis, colour)


def attention(
    slos: Sequence[SloStatus], quotas: Sequence[QuotaUsage], view: View, now: datetime
) -> Component:
    """The error budgets and quotas that are nearest their end."""
    burnt = [s for s in slos if s.budget_left is not None][:ATTENTION_SHOWN]
    full = quotas[:ATTENTION_SHOWN]
    parts: list[Component] = []
    if burnt:
        parts.append(html.H3("Error budgets, worst first"))
        parts += [
            page_link(
                [
                    html.Span(fmt.plain(s.slo.name, 40)),
                    budget_bar(s.budget_left),
                    number(
                        f"{fmt.percent(s.budget_left)} left",
                        s.budget_left,
                        tone=budget_tone(s.budget_left),
                    ),
                ],
                api_path(s.slo.api) + view.query(),
                "gl-line",
            )
            for s in burnt
        ]
    if full:
        parts.append(html.H3("Quotas, fullest first"))
        parts += [
            page_link(
                [
                    html.Span(fmt.plain(u.consumer, 40)),
                    quota_bar(u),
                    html.Span(
                        forecast_text(u, now), className="bad-text" if at_risk(u) else "gl-when"
                    ),
                ],
                f"/consumers/{fmt.url_part(u.consumer)}{view.query()}",
                "gl-line",
            )
            for u in full
        ]
    return parts


def home_sub(view: View, overview: Overview) -> list[Component]:
    return [
        f"{view.label} · ",
        number(fmt.rate(overview.requests_per_s), overview.requests_per_s, id="home-rate"),
        " · ",
        number(fmt.whole(overview.apis), overview.apis, id="home-apis"),
        " APIs",
    ]


@dataclass(frozen=True, slots=True)
class State:
    """What the state row is made of."""

    overview: Overview
    completeness: Completeness
    usage: pl.DataFrame
    latency: pl.DataFrame
    firing: int


def state_stats(what: State, view: View, *, now: datetime) -> list[Stat]:
    now_, then = what.overview, what.overview.previous
    axis = axis_of(view, what.completeness.data_until)
    requests = rate_on(axis, what.usage)
    errors = column_on(axis, what.usage, "error_rate")
    p95 = column_on(axis, what.latency, "p95_ms")
    query = view.query()
    bad_rate = (now_.error_rate or 0) >= 0.05
    return [
        Stat(
            "home-requests",
            "Requests",
            now_.requests,
            fmt.count(now_.requests),
            previous=then.requests if then else None,
            spark=requests,
            href=f"/apis{query}",
        ),
        Stat(
            "home-error-rate",
            "Error rate",
            now_.error_rate,
            fmt.percent(now_.error_rate),
            previous=then.error_rate if then else None,
            better="down",
            spark=errors,
            colour="#e2605f",
            href=f"/apis{query}&sort=error_rate",
            tone="bad" if bad_rate else "",
        ),
        Stat(
            "home-p95",
            "Latency p95",
            now_.p95_ms,
            fmt.milliseconds(now_.p95_ms),
            previous=then.p95_ms if then else None,
            better="down",
            spark=p95,
            colour="#8f7df0",
            href=f"/apis{query}&sort=p95_ms",
        ),
        Stat(
            "home-consumers",
            "Active consumers",
            now_.consumers,
            fmt.count(now_.consumers),
            previous=then.consumers if then else None,
            better="up",
            href=f"/consumers{query}",
        ),
        Stat(
            "home-firing",
            "Firing alerts",
            what.firing,
            str(what.firing),
            href=f"/alerts{query}",
            tone="bad" if what.firing else "good",
            hint="needs a look" if what.firing else "all quiet",
        ),
        completeness_stat(what.completeness, query, now),
    ]


def completeness_stat(c: Completeness, query: str, now: datetime) -> Stat:
    share = None
    if c.requests_raw:
        share = min(1.0, c.requests_counted / c.requests_raw)
    told = [f"data {fmt.ago(c.data_until, now)}"] if c.data_until else ["no data in range"]
    if c.rejects:
        told.append(f"{fmt.count(c.rejects)} rejected")
    if c.silent_gateways:
        told.append(f"silent: {fmt.plain(', '.join(c.silent_gateways), 30)}")
    odd = bool(c.silent_gateways) or (share is not None and share < 0.99)
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


def movers_table(
    rows: pl.DataFrame, usage: pl.DataFrame, axis: TimeAxis, view: View, data: Data
) -> Component:
    sparks = {
        (name[0] if isinstance(name, tuple) else name): rate_on(axis, part)
        for name, part in usage.partition_by("api", as_dict=True).items()
    }
    moved = rows.with_columns(
        (pl.col("requests") - pl.col("requests_previous").fill_null(0)).abs().alias("_moved")
    ).sort("_moved", "requests", descending=True, nulls_last=True)
    lines = []
    for row in moved.head(MOVERS_SHOWN).iter_rows(named=True):
        name = row["api"]
        colour = data.colours.colour(name)
        lines.append(
            [
                api_link(name or "(no name)", api_path(name or "(none)") + view.query(), colour),
                sparkline(sparks.get(name, []), colour, height=22, className="gl-cell-spark"),
                number(fmt.count(row["requests"]), row["requests"], id=f"mover-requests-{name}"),
                number(fmt.change(row["growth"]), row["growth"]),
                share_bar(row["share"], colour),
                number(
                    fmt.percent(row["error_rate"]),
                    row["error_rate"],
                    tone=error_tone(row["error_rate"]),
                ),
                number(fmt.milliseconds(row["p50_ms"]), row["p50_ms"], tone="muted"),
                number(fmt.milliseconds(row["p95_ms"]), row["p95_ms"]),
                number(fmt.milliseconds(row["p99_ms"]), row["p99_ms"], tone="muted"),
            ]
        )
    heads = (
        Head("API"),
        Head("Requests over time", width="16%"),
        Head("Requests", True),
        Head("Change", True),
        Head("Share", width="12%"),
        Head("Errors", True),
        Head("p50", True),
        Head("p95", True),
        Head("p99", True),
    )
    return table(heads, lines, empty=ids.NO_DATA_IN_RANGE)
