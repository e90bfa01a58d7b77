"""One API: use, failures, where the time goes, versions, its routes and its largest consumers."""

from __future__ import annotations

import asyncio
from typing import Any

from dash import Dash, Input, Output, State, html

from analytics.query import Overview
from dashboards import format as fmt
from dashboards import ids
from dashboards.about_one import ONE_API
from dashboards.components import (
    Component,
    badge,
    chart_menu,
    chosen_of,
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
from dashboards.figures import series
from dashboards.figures.heatmap import latency_heatmap
from dashboards.figures.histogram import latency_histogram
from dashboards.figures.markers import Mark, mark
from dashboards.figures.status import status_bars
from dashboards.guard import guarded
from dashboards.limits import SERIES_MAX
from dashboards.measured import axis_of, column_on
from dashboards.panels.api_glance import ask_glance, glance_list
from dashboards.panels.api_panels import (
    codes_table,
    consumers_table,
    failures_by,
    routes_table,
    versions_table,
)
from dashboards.panels.api_switch import (
    ask_chosen,
    chart_head,
    chosen,
    chosen_chart,
    draw_before,
    switch,
)
from dashboards.panels.state_row import ask_traffic
from dashboards.theme import PARTS
from dashboards.view import View

NAME = ONE_API.name
ROWS_SHOWN = 12

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
        above=ONE_API.above(name),
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
        full, view = ONE_API.views(data, stored, name)
        traffic, glance = await asyncio.gather(
            ask_traffic(data, view), ask_glance(data, view, str(name))
        )
        shown = chosen(view)
        return (
            stat_row(switch(traffic, glance, view, shown), view.mode),
            api_sub(view, traffic.overview),
            ONE_API.way_back(full, name),
            chart_head(shown),
            glance_list(traffic.overview, glance, view),
        )

    @app.callback(
        Output(ids.time_graph("api-main"), "figure"),
        Input(ids.VIEW, "data"),
        State(NAME, "data"),
    )
    @guarded()
    async def main_chart(stored: object, name: object) -> Any:
        _, view = ONE_API.views(data, stored, name)
        shown = chosen(view)
        known = data.catalog.api(str(name))
        completeness, versions, frame = await asyncio.gather(
            data.completeness(view),
            data.service_versions(view, known.services if known else ()),
            ask_chosen(data, view, shown),
        )
        axis = axis_of(view, completeness, frame)
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
        _, view = ONE_API.views(data, stored, name)
        statuses, upstream, gateway, heat, overview, completeness = await asyncio.gather(
            data.usage(view, "status_code", over_time=True),
            data.latency(view, part="upstream", quantiles=(0.95,)),
            data.latency(view, part="gateway", quantiles=(0.95,)),
            data.histogram(view),
            data.overview(view),
            data.completeness(view),
        )
        axis = axis_of(view, completeness, statuses)
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
        _, view = ONE_API.views(data, stored, name)
        known = data.catalog.api(str(name))
        routes, consumers, versions, services, usage, completeness = await asyncio.gather(
            data.breakdown(view, "route", ROWS_SHOWN),
            data.breakdown(view, "consumer", ROWS_SHOWN, latency=False),
            data.breakdown(view, "api_version", ROWS_SHOWN),
            data.service_versions(view, known.services if known else ()),
            data.usage(view, "consumer", over_time=True),
            data.completeness(view),
        )
        axis = axis_of(view, completeness, usage)
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
        _, view = ONE_API.views(data, stored, name)
        by = chosen_of(FAILURES, view.extra.get("failures"))
        choice = tabs("failures", FAILURES, by)
        if by == "status":
            return codes_table(await data.usage(view, "status_code"), failed=True), choice
        return failures_by(await data.usage(view, by, "status_code"), by, by), choice


def api_sub(view: View, overview: Overview) -> list[Component]:
    consumers = number(fmt.whole(overview.consumers), overview.consumers, id="api-consumers-count")
    return [
        f"{view.label} · ",
        number(fmt.rate(overview.requests_per_s), overview.requests_per_s, id="api-rate"),
        " · ",
        page_link([consumers, " consumers"], f"/consumers{view.query()}"),
    ]
