"""One API: use, failures, where the time goes, its routes and its largest consumers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import polars as pl
from dash import Dash, Input, Output, State, dcc, html

from analytics.query import Completeness, Overview
from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    Head,
    Stat,
    badge,
    crumbs,
    dot,
    number,
    page_head,
    panel,
    share_bar,
    skeleton_rows,
    skeleton_stats,
    stat_row,
    table,
    time_chart,
)
from dashboards.data import Data
from dashboards.figures import series
from dashboards.figures.heatmap import latency_heatmap
from dashboards.figures.status import status_bars
from dashboards.guard import guarded
from dashboards.limits import SERIES_MAX
from dashboards.pages.home import axis_of, column_on, error_tone
from dashboards.theme import PARTS, QUANTILES, STATUS_CLASS, status_class
from dashboards.view import FILTERS, View

NAME = "api-name"
ROWS_SHOWN = 12

def layout(data: Data, name: str) -> Component:
    known = data.catalog.api(name)
    title = known.title or name if known else name
    marks: list[Component] = []
    if known and known.owner:
        marks.append(badge(f"owner {known.owner}"))
    if known and known.product:
        marks.append(badge(f"product {known.product}"))
    if not known:
        marks.append(badge("uncatalogued", "warn"))
    return html.Div(
        [
            dcc.Store(id=NAME, data=name),
            html.Div(id="api-crumbs"),
            page_head(
                [dot(data.colours.colour(name)), fmt.plain(title, 80), *marks],
                html.Span(id="api-sub"),
            ),
            html.Div(id="api-filters", className="gl-toolbar"),
            html.Div(skeleton_stats(7), id="api-stats"),
            html.Div(
                [
                    time_chart("Answers by status", "api-status", note="requests per interval", height=236, className="w6"),
                    time_chart("Latency", "api-latency", note="p50, p95, p99 of the whole time", height=236, className="w6"),
                    time_chart("Where the time goes", "api-split", note="p95 at the upstream and in the gateway", height=236, className="w6"),
                    time_chart("Latency heat-map", "api-heat", note="how many requests took how long", height=236, className="w6"),
                    panel("Routes", html.Div(skeleton_rows(8), id="api-routes"), note="click one to filter this page", className="w7 flush"),
                    panel("Top consumers", html.Div(skeleton_rows(8), id="api-consumers"), className="w5 flush"),
                    time_chart("Traffic by consumer", "api-consumer-traffic", note="requests per second, in the same colours", height=236, className="w7"),
                    panel("Status codes", html.Div(skeleton_rows(6), id="api-codes"), className="w5 flush"),
                ],
                className="gl-grid",
            ),
        ]
    )  # fmt: skip


def register(app: Dash, data: Data) -> None:
    @app.callback(
        Output("api-stats", "children"),
        Output("api-sub", "children"),
        Output("api-crumbs", "children"),
        Output("api-filters", "children"),
        Input(ids.VIEW, "data"),
        State(NAME, "data"),
    )
    @guarded(outputs=4, show_in=0)
    async def stats(stored: object, name: object) -> tuple[Component, ...]:
        full, view = views(data, stored, name)
        what = await data.ask("api-state", view, lambda: load_state(data, view))
        return (
            stat_row(state_stats(what, view), view.mode),
            view.label,
            crumbs(("APIs", f"/apis{full.query()}"), (fmt.plain(str(name), 60), "")),
            filter_chips(full),
        )

    @app.callback(
        Output(ids.time_graph("api-status"), "figure"),
        Output(ids.time_graph("api-latency"), "figure"),
        Output(ids.time_graph("api-split"), "figure"),
        Output(ids.time_graph("api-heat"), "figure"),
        Input(ids.VIEW, "data"),
        State(NAME, "data"),
    )
    @guarded(outputs=4)
    async def charts(stored: object, name: object) -> tuple[Component, ...]:
        _, view = views(data, stored, name)
        what = await data.ask("api-charts", view, lambda: load_charts(data, view))
        return chart_figures(what, view)

    @app.callback(
        Output("api-routes", "children"),
        Output("api-consumers", "children"),
        Output("api-codes", "children"),
        Output(ids.time_graph("api-consumer-traffic"), "figure"),
        Input(ids.VIEW, "data"),
        State(NAME, "data"),
    )
    @guarded(outputs=4, show_in=0)
    async def tables(stored: object, name: object) -> tuple[Component, ...]:
        full, view = views(data, stored, name)
        what = await data.ask("api-tables", view, lambda: load_tables(data, view))
        data.colours.learn(n for n in what.consumers["consumer"].to_list() if n)
        axis = axis_of(view, None)
        top = what.consumers["consumer"].head(SERIES_MAX).to_list()
        traffic = series.rates(
            what.consumer_usage, axis, by="consumer", names=top, colour=data.colours.colour
        )
        return (
            routes_table(what.routes, full),
            consumers_table(what.consumers, full, data),
            codes_table(what.codes),
            series.stacked(traffic, axis, fmt.rate, empty=ids.NO_DATA_IN_RANGE),
        )


def views(data: Data, stored: object, name: object) -> tuple[View, View]:
    """The page's view as the URL says it, and the same narrowed to this API."""
    full = data.view(stored)
    return full, full.narrowed(api=str(name)[:300])


def filter_chips(view: View) -> list[Component]:
    """What this page is narrowed to, each removable by a click."""
    return [
        html.Button(
            [f"{name} ", html.B(fmt.plain(value, 50)), " ✕"],
            className="gl-chip",
            type="button",
            title="Remove this filter",
            **{"data-gl-set": f"{name}="},
        )
        for name, values in view.filters.items()
        for value in values
        if name in FILTERS and name not in ("api", "env")
    ]


@dataclass(frozen=True, slots=True)
class ApiState:
    overview: Overview
    completeness: Completeness
    usage: pl.DataFrame
    latency: pl.DataFrame
    upstream_p95_ms: float | None
    gateway_p95_ms: float | None


def load_state(data: Data, view: View) -> ApiState:
    where, filters, ask = view.time_range, view.analytics_filters, data.analytics
    split = {
        part: ask.measure(f"{part}_p95_ms", where, filters)["value"].to_list()
        for part in ("upstream", "gateway")
    }
    return ApiState(
        ask.overview(where, filters),
        ask.completeness(where, filters),
        ask.usage(where, filters, interval_s=view.interval_s),
        ask.latency(where, filters, interval_s=view.interval_s),
        split["upstream"][0] if split["upstream"] else None,
        split["gateway"][0] if split["gateway"] else None,
    )


def state_stats(what: ApiState, view: View) -> list[Stat]:
    now, then = what.overview, what.overview.previous
    axis = axis_of(view, what.completeness.data_until)
    requests = column_on(axis, what.usage, "requests", zero=True)
    errors = column_on(axis, what.usage, "error_rate")
    latency = {q: column_on(axis, what.latency, q) for q in QUANTILES}
    cards = [
        Stat(
            "api-requests", "Requests", now.requests, fmt.count(now.requests),
            previous=then.requests if then else None, spark=requests,
        ),
        Stat(
            "api-rate", "Traffic", now.requests_per_s, fmt.rate(now.requests_per_s),
            previous=then.requests_per_s if then else None, spark=requests,
        ),
        Stat(
            "api-error-rate", "Error rate", now.error_rate, fmt.percent(now.error_rate),
            previous=then.error_rate if then else None, better="down", spark=errors, colour="#e2605f",
            tone="bad" if error_tone(now.error_rate) == "bad" else "",
        ),
    ]  # fmt: skip
    for q, label in (("p50_ms", "p50"), ("p95_ms", "p95"), ("p99_ms", "p99")):
        value = getattr(now, q)
        cards.append(
            Stat(
                f"api-{label}", f"Latency {label}", value, fmt.milliseconds(value),
                previous=getattr(then, q) if then else None, better="down", spark=latency[q],
                colour=QUANTILES[q],
            )
        )  # fmt: skip
    up, gw = what.upstream_p95_ms, what.gateway_p95_ms
    cards.append(
        Stat(
            "api-gateway-p95", "Gateway p95", gw, fmt.milliseconds(gw),
            hint=f"upstream p95 {fmt.milliseconds(up)}",
        )
    )  # fmt: skip
    cards.append(
        Stat(
            "api-consumers-count", "Consumers", now.consumers, fmt.count(now.consumers),
            previous=then.consumers if then else None, better="up",
        )
    )  # fmt: skip
    return cards


@dataclass(frozen=True, slots=True)
class Charts:
    statuses: pl.DataFrame
    latency: pl.DataFrame
    upstream: pl.DataFrame
    gateway: pl.DataFrame
    heat: pl.DataFrame
    completeness: Completeness


def load_charts(data: Data, view: View) -> Charts:
    where, filters, ask, step = (
        view.time_range, view.analytics_filters, data.analytics, view.interval_s,
    )  # fmt: skip
    return Charts(
        ask.usage(where, filters, by=("status_code",), interval_s=step),
        ask.latency(where, filters, interval_s=step),
        ask.latency(where, filters, interval_s=step, part="upstream", quantiles=(0.95,)),
        ask.latency(where, filters, interval_s=step, part="gateway", quantiles=(0.95,)),
        ask.latency_histogram(where, filters, interval_s=step),
        ask.completeness(where, filters),
    )


def chart_figures(what: Charts, view: View) -> tuple[Any, ...]:
    axis = axis_of(view, what.completeness.data_until)
    nothing = ids.NO_DATA_IN_RANGE
    quantiles = [
        series.Line(q.removesuffix("_ms"), column_on(axis, what.latency, q), colour)
        for q, colour in QUANTILES.items()
    ]
    split = [
        series.Line(part, column_on(axis, frame, "p95_ms"), PARTS[part])
        for part, frame in (("upstream", what.upstream), ("gateway", what.gateway))
    ]
    return (
        status_bars(what.statuses, axis, empty=nothing),
        series.overlaid(quantiles, axis, fmt.milliseconds, empty=nothing),
        series.overlaid(
            split, axis, fmt.milliseconds, empty="This gateway does not report upstream times"
        ),
        latency_heatmap(what.heat, axis, empty=nothing),
    )


@dataclass(frozen=True, slots=True)
class Tables:
    routes: pl.DataFrame
    consumers: pl.DataFrame
    codes: pl.DataFrame
    consumer_usage: pl.DataFrame


def load_tables(data: Data, view: View) -> Tables:
    where, filters, ask = view.time_range, view.analytics_filters, data.analytics
    return Tables(
        ask.breakdown(where, filters, by="route", limit=ROWS_SHOWN),
        ask.breakdown(where, filters, by="consumer", limit=ROWS_SHOWN),
        ask.usage(where, filters, by=("status_code",)),
        ask.usage(where, filters, by=("consumer",), interval_s=view.interval_s),
    )


def routes_table(rows: pl.DataFrame, view: View) -> Component:
    lines = [
        [
            html.Span(
                fmt.plain(row["route"] or "(no route)", 60),
                className="gl-name gl-mono",
                style={"cursor": "pointer"},
                title=row["route"] or "",
                **{"data-gl-set": f"route={quote(row['route'] or '(none)', safe='')}"},
            ),
            number(fmt.count(row["requests"]), row["requests"]),
            number(fmt.change(row["growth"]), row["growth"], tone="muted"),
            number(
                fmt.percent(row["error_rate"]),
                row["error_rate"],
                tone=error_tone(row["error_rate"]),
            ),
            number(fmt.milliseconds(row["p50_ms"]), row["p50_ms"], tone="muted"),
            number(fmt.milliseconds(row["p95_ms"]), row["p95_ms"]),
            number(fmt.milliseconds(row["p99_ms"]), row["p99_ms"], tone="muted"),
        ]
        for row in rows.iter_rows(named=True)
    ]
    heads = (
        Head("Route"), Head("Requests", True), Head("Change", True), Head("Errors", True),
        Head("p50", True), Head("p95", True), Head("p99", True),
    )  # fmt: skip
    return table(heads, lines, empty=ids.NO_DATA_IN_RANGE)


def consumers_table(rows: pl.DataFrame, view: View, data: Data) -> Component:
    lines = [
        [
            html.Span(
                [
                    dot(data.colours.colour(row["consumer"])),
                    html.Span(
                        fmt.plain(row["consumer"] or "(anonymous)", 40),
                        className="gl-name",
                        style={"cursor": "pointer"},
                        **{
                            "data-gl-set": f"consumer={quote(row['consumer'] or '(none)', safe='')}"
                        },
                    ),
                ],
                className="gl-api",
            ),
            number(fmt.count(row["requests"]), row["requests"]),
            share_bar(row["share"], data.colours.colour(row["consumer"])),
            number(fmt.change(row["growth"]), row["growth"], tone="muted"),
            number(
                fmt.percent(row["error_rate"]),
                row["error_rate"],
                tone=error_tone(row["error_rate"]),
            ),
        ]
        for row in rows.iter_rows(named=True)
    ]
    heads = (
        Head("Consumer"), Head("Requests", True), Head("Share", width="24%"), Head("Change", True),
        Head("Errors", True),
    )  # fmt: skip
    return table(heads, lines, empty=ids.NO_DATA_IN_RANGE)


def codes_table(rows: pl.DataFrame) -> Component:
    total = rows["requests"].sum() or 1
    lines = []
    for row in rows.sort("requests", descending=True).head(ROWS_SHOWN).iter_rows(named=True):
        code = None if row["status_code"] is None else int(row["status_code"])
        colour = STATUS_CLASS[status_class(code)]
        lines.append(
            [
                html.Span(
                    [dot(colour), html.Span(str(code) if code else "no answer")], className="gl-api"
                ),
                number(fmt.count(row["requests"]), row["requests"], id=f"api-code-{code}"),
                share_bar(row["requests"] / total, colour),
                number(fmt.percent(row["requests"] / total), row["requests"] / total, tone="muted"),
            ]
        )
    heads = (Head("Status"), Head("Requests", True), Head("", width="40%"), Head("Share", True))
    return table(heads, lines, empty=ids.NO_DATA_IN_RANGE)
