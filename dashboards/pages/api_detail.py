"""One API: use, failures, where the time goes, versions, its routes and its largest consumers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import polars as pl
from dash import Dash, Input, Output, State, dcc, html

from analytics.query import Overview
from dashboards import format as fmt
from dashboards import ids
from dashboards.api_glance import DATA_SENT, Glance, ask_glance, glance_list
from dashboards.api_panels import (
    codes_table,
    consumers_table,
    failures_by,
    routes_table,
    versions_table,
)
from dashboards.components import (
    Component,
    Stat,
    badge,
    chart_menu,
    chosen_of,
    crumbs,
    dot,
    graph,
    number,
    page_link,
    panel,
    screen,
    skeleton_rows,
    skeleton_stats,
    stat_row,
    tabs,
    time_chart,
    waiting,
)
from dashboards.data import Data
from dashboards.figures import api_main, series
from dashboards.figures.base import Figure, TimeAxis
from dashboards.figures.heatmap import latency_heatmap
from dashboards.figures.histogram import latency_histogram
from dashboards.figures.markers import Mark, mark
from dashboards.figures.status import status_bars
from dashboards.guard import guarded
from dashboards.limits import SERIES_MAX
from dashboards.measured import axis_of, column_on, over_all, rate_on
from dashboards.state_row import Traffic, ask_traffic, traffic_stats
from dashboards.theme import PARTS, tokens
from dashboards.view import View

NAME = "api-name"
ROWS_SHOWN = 12

SHOWN = {
    "requests": ("Requests", "requests_per_s", "requests per second, by route"),
    "errors": ("Error rate", "error_rate", "shares of 5xx and 4xx answers"),
    "latency": ("Latency", "p95_ms", "p50, p95, p99 of the whole time"),
    "bytes": ("Data", "bandwidth_bytes_per_s", "bytes per second"),
}
"""`show` of the URL -> title, measure of a rule made from the chart, note."""

FAILURES = {"status": "Status", "route": "Route", "consumer": "Consumer"}


def layout(data: Data, name: str) -> Component:
    known = data.catalog.api(name)
    title = known.title or name if known else name
    marks: list[Component] = []
    if known and known.owner:
        marks.append(badge(f"owner {known.owner}"))
    if known and known.product:
        marks.append(badge(f"product {known.product}"))
    if name == fmt.OVERFLOW:
        marks.append(html.Span("many names", className="gl-badge warn", title=fmt.OVERFLOW_WHY))
    elif not known:
        marks.append(badge("uncatalogued", "warn"))
    return screen(
        "api",
        [dot(data.colours.colour(name)), fmt.plain(title, 80), *marks],
        html.Section(
            [
                html.Div(skeleton_stats(4), id="api-stats", className="gl-switch"),
                html.Div(id="api-main-head", className="gl-panel-head"),
                html.Div(
                    graph(ids.time_graph("api-main"), height=262, label="The chosen number"),
                    className="gl-panel-body",
                ),
            ],
            className="gl-panel w9",
        ),
        waiting("At a glance", "api-glance", className="w3 flush"),
        time_chart(
            "Answers by status",
            "api-status",
            alert="error_rate",
            note="requests per interval",
            height=236,
            className="w6",
        ),
        time_chart(
            "Where the time goes",
            "api-split",
            alert="upstream_p95_ms",
            note="p95 at the upstream and in the gateway",
            height=236,
            className="w6",
        ),
        time_chart(
            "Latency heat-map",
            "api-heat",
            alert="p95_ms",
            note="how many requests took how long",
            height=236,
            className="w6",
        ),
        panel(
            "Latency histogram",
            graph("api-histogram", height=236, label="Latency histogram"),
            note="the whole range",
            action=chart_menu("Latency histogram", "p95_ms"),
            className="w6",
        ),
        waiting("Routes", "api-routes", note="click one to filter this page", className="w7 flush"),
        waiting("Top consumers", "api-consumers", className="w5 flush"),
        time_chart(
            "Traffic by consumer",
            "api-consumer-traffic",
            alert="requests_per_s",
            note="requests per second, in the same colours",
            height=236,
            className="w7",
        ),
        panel(
            "Failures",
            html.Div(skeleton_rows(6), id="api-failures"),
            action=html.Div(id="api-failures-by"),
            className="w5 flush",
        ),
        waiting("Versions", "api-versions", rows=3, note="of the API, and of what serves it"),
        above=(dcc.Store(id=NAME, data=name), html.Div(id="api-crumbs")),
    )


def register(app: Dash, data: Data) -> None:
    @app.callback(
        Output("api-stats", "children"),
        Output("api-sub", "children"),
        Output("api-crumbs", "children"),
        Output("api-main-head", "children"),
        Output("api-glance", "children"),
        Input(ids.VIEW, "data"),
        State(NAME, "data"),
    )
    @guarded(outputs=5, show_in=0)
    async def stats(stored: object, name: object) -> tuple[Component, ...]:
        full, view = views(data, stored, name)
        traffic, glance = await asyncio.gather(
            ask_traffic(data, view), ask_glance(data, view, str(name))
        )
        shown = chosen_of(TITLES, view.extra.get("show"))
        title, measure, note = SHOWN[shown]
        return (
            stat_row(switch(traffic, glance, view, shown), view.mode),
            api_sub(view, traffic.overview),
            crumbs(("APIs", f"/apis{full.query()}"), (fmt.plain(str(name), 60), "")),
            [
                html.H2(title, className="gl-panel-title"),
                html.Span(note, className="gl-panel-note"),
                html.Div(chart_menu(title, measure), className="gl-panel-action"),
            ],
            glance_list(traffic.overview, glance, view),
        )

    @app.callback(
        Output(ids.time_graph("api-main"), "figure"),
        Input(ids.VIEW, "data"),
        State(NAME, "data"),
    )
    @guarded()
    async def main_chart(stored: object, name: object) -> Any:
        _, view = views(data, stored, name)
        shown = chosen_of(TITLES, view.extra.get("show"))
        known = data.catalog.api(str(name))
        completeness, versions, frame = await asyncio.gather(
            data.completeness(view),
            data.service_versions(view, known.services if known else ()),
            ask_chosen(data, view, shown),
        )
        axis = axis_of(view, completeness)
        figure = chosen_chart(frame, axis, shown, data)
        if view.compared:
            await draw_before(data, view, axis, shown, figure)
        marks = [Mark(v.first_seen, f"{v.service} {v.version}") for v in versions if v.deployed]
        mark(figure, marks, axis)
        return figure

    @app.callback(
        Output(ids.time_graph("api-status"), "figure"),
        Output(ids.time_graph("api-split"), "figure"),
        Output(ids.time_graph("api-heat"), "figure"),
        Output("api-histogram", "figure"),
        Input(ids.VIEW, "data"),
        State(NAME, "data"),
    )
    @guarded(outputs=4)
    async def charts(stored: object, name: object) -> tuple[Component, ...]:
        _, view = views(data, stored, name)
        statuses, upstream, gateway, heat, overview, completeness = await asyncio.gather(
            data.usage(view, "status_code", over_time=True),
            data.latency(view, part="upstream", quantiles=(0.95,)),
            data.latency(view, part="gateway", quantiles=(0.95,)),
            data.histogram(view),
            data.overview(view),
            data.completeness(view),
        )
        axis = axis_of(view, completeness)
        nothing = ids.NO_DATA_IN_RANGE
        split = [
            series.Line(part, column_on(axis, frame, "p95_ms"), PARTS[part])
            for part, frame in (("upstream", upstream), ("gateway", gateway))
        ]
        quantiles = {q: getattr(overview, q) for q in ("p50_ms", "p95_ms", "p99_ms")}
        untold = "This gateway does not report upstream times"
        return (
            status_bars(statuses, axis, empty=nothing),
            series.overlaid(split, axis, fmt.milliseconds, empty=untold),
            latency_heatmap(heat, axis, empty=nothing),
            latency_histogram(heat, quantiles, view.mode, empty=nothing),
        )

    @app.callback(
        Output("api-routes", "children"),
        Output("api-consumers", "children"),
        Output(ids.time_graph("api-consumer-traffic"), "figure"),
        Output("api-versions", "children"),
        Input(ids.VIEW, "data"),
        State(NAME, "data"),
    )
    @guarded(outputs=4, show_in=0)
    async def tables(stored: object, name: object) -> tuple[Component, ...]:
        _, view = views(data, stored, name)
        known = data.catalog.api(str(name))
        routes, consumers, versions, services, usage, completeness = await asyncio.gather(
            data.breakdown(view, "route", ROWS_SHOWN),
            data.breakdown(view, "consumer", ROWS_SHOWN, latency=False),
            data.breakdown(view, "api_version", ROWS_SHOWN),
            data.service_versions(view, known.services if known else ()),
            data.usage(view, "consumer", over_time=True),
            data.completeness(view),
        )
        axis = axis_of(view, completeness)
        top = consumers["consumer"].head(SERIES_MAX).to_list()
        data.consumer_colours.learn(top)
        traffic = series.rates(
            usage, axis, by="consumer", names=top, colour=data.consumer_colours.colour
        )
        return (
            routes_table(routes),
            consumers_table(consumers, data),
            series.stacked(traffic, axis, fmt.rate, empty=ids.NO_DATA_IN_RANGE),
            versions_table(versions, services, data.clock()),
        )

    @app.callback(
        Output("api-failures", "children"),
        Output("api-failures-by", "children"),
        Input(ids.VIEW, "data"),
        State(NAME, "data"),
    )
    @guarded(outputs=2, show_in=0)
    async def failures(stored: object, name: object) -> tuple[Component, ...]:
        _, view = views(data, stored, name)
        by = chosen_of(FAILURES, view.extra.get("failures"))
        choice = tabs("failures", FAILURES, by)
        if by == "status":
            return codes_table(await data.usage(view, "status_code"), failed=True), choice
        return failures_by(await data.usage(view, by, "status_code"), by, by), choice


TITLES = {key: title for key, (title, _, _) in SHOWN.items()}


def views(data: Data, stored: object, name: object) -> tuple[View, View]:
    """The page's view as the URL says it, and the same narrowed to this API."""
    full = data.view(stored)
    return full, full.narrowed(api=str(name)[:300])


def api_sub(view: View, overview: Overview) -> list[Component]:
    consumers = number(fmt.whole(overview.consumers), overview.consumers, id="api-consumers-count")
    return [
        f"{view.label} · ",
        number(fmt.rate(overview.requests_per_s), overview.requests_per_s, id="api-rate"),
        " · ",
        page_link([consumers, " consumers"], f"/consumers{view.query()}"),
    ]


def switch(traffic: Traffic, glance: Glance, view: View, shown: str) -> list[Stat]:
    """The four numbers over the main chart; choosing one shows it there."""
    requests, errors, p95 = traffic_stats("api", traffic, view)
    sent = Stat(
        "api-bytes",
        "Data sent",
        glance.measures[DATA_SENT],
        fmt.bytes_size(glance.measures[DATA_SENT]),
        hint="to clients, as gateways count it",
    )
    return [
        chooser(card, key, shown)
        for key, card in zip(SHOWN, (requests, errors, p95, sent), strict=True)
    ]


def chooser(card: Stat, key: str, shown: str) -> Stat:
    return replace(card, choose=f"show={key}", chosen=key == shown, href="")


async def ask_chosen(data: Data, view: View, shown: str) -> pl.DataFrame:
    """What the main chart shows of one number, over time."""
    if shown == "latency":
        return await data.latency(view)
    by = {"errors": ("status_code",), "bytes": ()}.get(shown, ("route",))
    return await data.usage(view, *by, over_time=True)


def chosen_chart(frame: pl.DataFrame, axis: TimeAxis, shown: str, data: Data) -> Figure:
    nothing = ids.NO_DATA_IN_RANGE
    if shown == "errors":
        return api_main.errors_chart(frame, axis, empty=nothing)
    if shown == "latency":
        return api_main.latency_chart(frame, axis, empty=nothing)
    if shown == "bytes":
        return api_main.bytes_chart(frame, axis, empty="This gateway does not report sizes")
    return api_main.requests_chart(frame, axis, "route", data.colours.colour, empty=nothing)


async def draw_before(data: Data, view: View, axis: TimeAxis, shown: str, figure: Figure) -> None:
    """The same number over the equal range just before, dotted."""
    past = view.previous()
    earlier = TimeAxis(past.start, past.end, past.interval_s, past.mode)
    if shown == "latency":
        line = column_on(earlier, await data.latency(past), "p95_ms")
    else:
        total = over_all(await data.usage(past, "api", over_time=True))
        line = (
            column_on(earlier, total, "error_rate")
            if shown == "errors"
            else rate_on(earlier, total)
        )
    if shown != "bytes":
        series.before(figure, line, axis, tokens(view.mode).muted)
