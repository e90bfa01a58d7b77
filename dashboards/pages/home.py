"""Home: is it well? One row of numbers, what moves per API, who moved most, what is firing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl
from dash import Dash, Input, Output, dcc, html

from analytics.query import Completeness, Overview
from dashboards import format as fmt
from dashboards import ids
from dashboards.alert_panels import alert_list
from dashboards.alert_state import active_alerts, alert_changes
from dashboards.components import (
    Head,
    Stat,
    api_link,
    empty_installation,
    number,
    page_head,
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
from dashboards.theme import tokens
from dashboards.view import View, api_path

Component = Any

MOVERS_SHOWN = 10


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
                        height=268,
                        className="w8",
                    ),
                    panel(
                        "Alerts",
                        html.Div(skeleton_rows(5), id="home-alerts"),
                        action=dcc.Link("All alerts", href="/alerts", id="home-alerts-link"),
                        className="w4 flush",
                    ),
                    time_chart(
                        "Errors",
                        "errors",
                        note="share of requests failed by the server",
                        className="w6",
                    ),
                    time_chart(
                        "Latency p95", "latency", note="whole time at the gateway", className="w6"
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
        what = await data.ask("home-state", view, lambda: load_state(data, view))
        alerts = await data.cache.get("alerts", lambda: active_alerts(data.state))
        firing = sum(1 for a in alerts if a.state == "firing")
        stats = state_stats(what, view, firing=firing, now=data.clock())
        empty = None
        if not what.overview.requests and not await ever_any(data):
            empty = empty_installation()
        sub = f"{view.label} · {fmt.whole(what.overview.apis)} APIs"
        return (
            stat_row(stats, view.mode),
            sub,
            empty,
            f"/alerts{view.query()}",
            f"/apis{view.query()}",
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
        usage, latency, until = await data.ask("home-charts", view, lambda: load_charts(data, view))
        return chart_figures(usage, latency, axis_of(view, until), data)

    @app.callback(Output("home-movers", "children"), Input(ids.VIEW, "data"))
    @guarded(show_in=0)
    async def movers(stored: object) -> Component:
        view = data.view(stored)
        rows, usage = await data.ask("home-movers", view, lambda: load_movers(data, view))
        return movers_table(rows, usage, view, data)

    @app.callback(Output("home-alerts", "children"), Input(ids.VIEW, "data"))
    @guarded(show_in=0)
    async def alerts(stored: object) -> Component:
        view = data.view(stored)
        active = await data.cache.get("alerts", lambda: active_alerts(data.state))
        recent = await data.cache.get("alert-changes", lambda: alert_changes(data.state, 30))
        return alert_list(active, recent, view, data.clock())


class State:
    """What the state row is made of."""

    def __init__(
        self,
        overview: Overview,
        completeness: Completeness,
        usage: pl.DataFrame,
        latency: pl.DataFrame,
    ) -> None:
        self.overview = overview
        self.completeness = completeness
        self.usage = usage
        self.latency = latency


def load_state(data: Data, view: View) -> State:
    where, filters = view.time_range, view.analytics_filters
    ask = data.analytics
    return State(
        ask.overview(where, filters),
        ask.completeness(where, filters),
        ask.usage(where, filters, interval_s=view.interval_s),
        ask.latency(where, filters, interval_s=view.interval_s, quantiles=(0.95,)),
    )


def load_charts(data: Data, view: View) -> tuple[pl.DataFrame, pl.DataFrame, datetime | None]:
    where, filters = view.time_range, view.analytics_filters
    ask, step = data.analytics, view.interval_s
    return (
        ask.usage(where, filters, by=("api",), interval_s=step),
        ask.latency(where, filters, by=("api",), interval_s=step, quantiles=(0.95,)),
        ask.completeness(where, filters).data_until,
    )


def load_movers(data: Data, view: View) -> tuple[pl.DataFrame, pl.DataFrame]:
    where, filters = view.time_range, view.analytics_filters
    rows = data.analytics.breakdown(where, filters, by="api", limit=50)
    usage = data.analytics.usage(where, filters, by=("api",), interval_s=view.interval_s)
    return rows, usage


async def ever_any(data: Data) -> bool:
    """Whether any request was ever stored."""

    def look() -> bool:
        return data.session.lake.existing("requests") is not None and bool(
            data.session.query("SELECT 1 FROM requests LIMIT 1").num_rows
        )

    return await data.cache.get("ever-any", look)


def axis_of(view: View, data_until: datetime | None) -> TimeAxis:
    """The chart axis of a view. Data that ends just before now ends the measured span; data that
    ended long ago does not: then nothing came, which the chart shows as zero."""
    until = None
    if data_until is not None and (view.end - data_until).total_seconds() < max(
        60, view.interval_s
    ):
        until = data_until
    return TimeAxis(view.start, view.end, view.interval_s, view.mode, until)


def state_stats(what: State, view: View, *, firing: int, now: datetime) -> list[Stat]:
    now_, then = what.overview, what.overview.previous
    axis = axis_of(view, what.completeness.data_until)
    t = tokens(view.mode)
    requests = column_on(axis, what.usage, "requests", zero=True)
    errors = column_on(axis, what.usage, "error_rate")
    p95 = column_on(axis, what.latency, "p95_ms")
    query = view.query()
    bad_rate = (now_.error_rate or 0) >= 0.05
    return [
        Stat(
            "home-requests", "Requests", now_.requests, fmt.count(now_.requests),
            previous=then.requests if then else None, spark=requests, href=f"/apis{query}",
        ),
        Stat(
            "home-rate", "Traffic", now_.requests_per_s, fmt.rate(now_.requests_per_s),
            previous=then.requests_per_s if then else None, spark=requests, href=f"/apis{query}",
        ),
        Stat(
            "home-error-rate", "Error rate", now_.error_rate, fmt.percent(now_.error_rate),
            previous=then.error_rate if then else None, better="down", spark=errors, colour="#e2605f",
            href=f"/apis{query}&sort=error_rate", tone="bad" if bad_rate else "",
        ),
        Stat(
            "home-p95", "Latency p95", now_.p95_ms, fmt.milliseconds(now_.p95_ms),
            previous=then.p95_ms if then else None, better="down", spark=p95, colour="#8f7df0",
            href=f"/apis{query}&sort=p95_ms",
        ),
        Stat(
            "home-consumers", "Active consumers", now_.consumers, fmt.count(now_.consumers),
            previous=then.consumers if then else None, better="up", href=f"/consumers{query}",
        ),
        Stat(
            "home-firing", "Firing alerts", firing, str(firing), href=f"/alerts{query}",
            tone="bad" if firing else "good", hint="needs a look" if firing else "all quiet",
        ),
        completeness_stat(what.completeness, query, now, warn=t.warn),
    ]  # fmt: skip


def completeness_stat(c: Completeness, query: str, now: datetime, *, warn: str) -> Stat:
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
        "home-completeness", "Counted", share, fmt.percent(share), href=f"/operate{query}",
        tone="warn" if odd else "", hint=" · ".join(told), colour=warn,
    )  # fmt: skip


def column_on(
    axis: TimeAxis, frame: pl.DataFrame, column: str, *, zero: bool = False
) -> list[float | None]:
    """One column on the axis's grid. Missing intervals: 0 where `zero`, else a gap."""
    if "time" not in frame.columns:
        return []
    cells = dict(frame.select("time", column).iter_rows())
    return [(cells.get(t, 0 if zero else None) if axis.measured(t) else None) for t in axis.times()]


def chart_figures(
    usage: pl.DataFrame, latency: pl.DataFrame, axis: TimeAxis, data: Data
) -> tuple[Any, Any, Any]:
    names = series.largest(usage, "api")
    data.colours.learn(n for n in usage["api"].unique().to_list() if n)
    colour = data.colours.colour
    traffic = series.rates(usage, axis, by="api", names=names, colour=colour)
    errors = series.measured_lines(
        usage, axis, by="api", value="error_rate", names=names, colour=colour
    )
    p95 = series.measured_lines(latency, axis, by="api", value="p95_ms", names=names, colour=colour)
    nothing = ids.NO_DATA_IN_RANGE
    return (
        series.stacked(traffic, axis, fmt.rate, empty=nothing),
        series.overlaid(errors, axis, fmt.percent, empty=nothing),
        series.overlaid(p95, axis, fmt.milliseconds, empty=nothing),
    )


def movers_table(rows: pl.DataFrame, usage: pl.DataFrame, view: View, data: Data) -> Component:
    axis = axis_of(view, None)
    sparks = {
        (name[0] if isinstance(name, tuple) else name): column_on(axis, part, "requests", zero=True)
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
                sparkline(sparks.get(name, []), colour, height=22),
                number(fmt.count(row["requests"]), row["requests"], id=f"mover-requests-{name}"),
                number(fmt.change(row["growth"]), row["growth"]),
                share_bar(row["share"], colour),
                number(
                    fmt.percent(row["error_rate"]), row["error_rate"],
                    tone=error_tone(row["error_rate"]),
                ),
                number(fmt.milliseconds(row["p50_ms"]), row["p50_ms"], tone="muted"),
                number(fmt.milliseconds(row["p95_ms"]), row["p95_ms"]),
                number(fmt.milliseconds(row["p99_ms"]), row["p99_ms"], tone="muted"),
            ]
        )  # fmt: skip
    heads = (
        Head("API"), Head("Requests over time", width="16%"), Head("Requests", True), Head("Change", True),
        Head("Share", width="12%"), Head("Errors", True), Head("p50", True), Head("p95", True),
        Head("p99", True),
    )  # fmt: skip
    return table(heads, lines, empty=ids.NO_DATA_IN_RANGE)


def error_tone(rate: float | None) -> str:
    """How an error rate is coloured: from 1 % a warning, from 5 % bad."""
    if rate is None or rate < 0.01:
        return ""
    return "bad" if rate >= 0.05 else "warn"
