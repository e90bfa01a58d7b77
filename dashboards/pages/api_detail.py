"""One API: use, failures, where the time goes, its routes and its largest consumers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import polars as pl
from dash import Dash, Input, Output, State, dcc, html

from analytics.query import UNKNOWN, Completeness, Overview
from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    Head,
    Stat,
    attrs,
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
from dashboards.figures.base import TimeAxis
from dashboards.figures.heatmap import latency_heatmap
from dashboards.figures.status import status_bars
from dashboards.guard import guarded
from dashboards.limits import SERIES_MAX
from dashboards.measured import axis_of, column_on, error_tone, rate_on
from dashboards.theme import PARTS, QUANTILES, STATUS_CLASS, status_class, tokens
from dashboards.view import View

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
            html.Div(skeleton_stats(7), id="api-stats"),
            html.Div(
                [
                    time_chart(
                        "Answers by status",
                        "api-status",
                        alert="error_rate",
                        note="requests per interval",
                        height=236,
                        className="w6",
                    ),
                    time_chart(
                        "Latency",
                        "api-latency",
                        alert="p95_ms",
                        note="p50, p95, p99 of the whole time",
                        height=236,
                        className="w6",
                    ),
                    time_chart(
                        "Where the time goes",
                        "api-split",
                        alert="p95_ms",
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
                        "Routes",
                        html.Div(skeleton_rows(8), id="api-routes"),
                        note="click one to filter this page",
                        className="w7 flush",
                    ),
                    panel(
                        "Top consumers",
                        html.Div(skeleton_rows(8), id="api-consumers"),
                        className="w5 flush",
                    ),
                    time_chart(
                        "Traffic by consumer",
                        "api-consumer-traffic",
                        alert="requests_per_s",
                        note="requests per second, in the same colours",
                        height=236,
                        className="w7",
                    ),
                    panel(
                        "Status codes",
                        html.Div(skeleton_rows(6), id="api-codes"),
                        className="w5 flush",
                    ),
                ],
                className="gl-grid",
            ),
        ]
    )


def register(app: Dash, data: Data) -> None:
    @app.callback(
        Output("api-stats", "children"),
        Output("api-sub", "children"),
        Output("api-crumbs", "children"),
        Input(ids.VIEW, "data"),
        State(NAME, "data"),
    )
    @guarded(outputs=3, show_in=0)
    async def stats(stored: object, name: object) -> tuple[Component, ...]:
        full, view = views(data, stored, name)
        what = ApiState(
            *await asyncio.gather(
                data.overview(view),
                data.completeness(view),
                data.usage(view, over_time=True),
                data.latency(view),
                data.measure(view, "upstream_p95_ms"),
                data.measure(view, "gateway_p95_ms"),
            )
        )
        return (
            stat_row(state_stats(what, view), view.mode),
            api_sub(view, what.overview),
            crumbs(("APIs", f"/apis{full.query()}"), (fmt.plain(str(name), 60), "")),
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
        what = Charts(
            *await asyncio.gather(
                data.usage(view, "status_code", over_time=True),
                data.latency(view),
                data.latency(view, part="upstream", quantiles=(0.95,)),
                data.latency(view, part="gateway", quantiles=(0.95,)),
                data.histogram(view),
                data.completeness(view),
            )
        )
        figures = chart_figures(what, view)
        if view.compared:
            past = view.previous()
            earlier = TimeAxis(past.start, past.end, past.interval_s, past.mode)
            latency = await data.latency(past)
            axis = axis_of(view, what.completeness.data_until)
            line = column_on(earlier, latency, "p95_ms")
            series.before(figures[1], line, axis, tokens(view.mode).muted)
        return figures

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
        what = Tables(
            *await asyncio.gather(
                data.breakdown(view, "route", ROWS_SHOWN),
                data.breakdown(view, "consumer", ROWS_SHOWN),
                data.usage(view, "status_code"),
                data.usage(view, "consumer", over_time=True),
                data.completeness(view),
            )
        )
        axis = axis_of(view, what.completeness.data_until)
        top = what.consumers["consumer"].head(SERIES_MAX).to_list()
        data.consumer_colours.learn(top)
        traffic = series.rates(
            what.consumer_usage, axis, by="consumer", names=top, colour=data.consumer_colours.colour
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


def api_sub(view: View, overview: Overview) -> list[Component]:
    return [
        f"{view.label} · ",
        number(fmt.rate(overview.requests_per_s), overview.requests_per_s, id="api-rate"),
        " · ",
        number(fmt.whole(overview.consumers), overview.consumers, id="api-consumers-count"),
        " consumers",
    ]


@dataclass(frozen=True, slots=True)
class ApiState:
    overview: Overview
    completeness: Completeness
    usage: pl.DataFrame
    latency: pl.DataFrame
    upstream_p95_ms: float | None
    gateway_p95_ms: float | None


def state_stats(what: ApiState, view: View) -> list[Stat]:
    now, then = what.overview, what.overview.previous
    axis = axis_of(view, what.completeness.data_until)
    requests = rate_on(axis, what.usage)
    errors = column_on(axis, what.usage, "error_rate")
    latency = {q: column_on(axis, what.latency, q) for q in QUANTILES}
    cards = [
        Stat(
            "api-requests",
            "Requests",
            now.requests,
            fmt.count(now.requests),
            previous=then.requests if then else None,
            spark=requests,
        ),
        Stat(
            "api-error-rate",
            "Error rate",
            now.error_rate,
            fmt.percent(now.error_rate),
            previous=then.error_rate if then else None,
            better="down",
            spark=errors,
            colour="#e2605f",
            tone="bad" if error_tone(now.error_rate) == "bad" else "",
        ),
    ]
    for q, label in (("p50_ms", "p50"), ("p95_ms", "p95"), ("p99_ms", "p99")):
        value = getattr(now, q)
        cards.append(
            Stat(
                f"api-{label}",
                f"Latency {label}",
                value,
                fmt.milliseconds(value),
                previous=getattr(then, q) if then else None,
                better="down",
                spark=latency[q],
                colour=QUANTILES[q],
            )
        )
    up, gw = what.upstream_p95_ms, what.gateway_p95_ms
    cards.append(
        Stat(
            "api-gateway-p95",
            "Gateway p95",
            gw,
            fmt.milliseconds(gw),
            hint=f"upstream p95 {fmt.milliseconds(up)}",
        )
    )
    return cards


@dataclass(frozen=True, slots=True)
class Charts:
    statuses: pl.DataFrame
    latency: pl.DataFrame
    upstream: pl.DataFrame
    gateway: pl.DataFrame
    heat: pl.DataFrame
    completeness: Completeness


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
    completeness: Completeness


def chosen(dimension: str, value: str | None) -> dict[str, str]:
    """Attributes of an element whose click narrows the page to one value."""
    return {"data-gl-set": f"{dimension}={quote(value or UNKNOWN, safe='')}"}


def routes_table(rows: pl.DataFrame, view: View) -> Component:
    lines = [
        [
            html.Span(
                fmt.plain(row["route"] or "(no route)", 60),
                className="gl-name gl-mono",
                style={"cursor": "pointer"},
                title=row["route"] or "",
                **attrs(chosen("route", row["route"])),
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
        Head("Route"),
        Head("Requests", True),
        Head("Change", True),
        Head("Errors", True),
        Head("p50", True),
        Head("p95", True),
        Head("p99", True),
    )
    return table(heads, lines, empty=ids.NO_DATA_IN_RANGE)


def consumers_table(rows: pl.DataFrame, view: View, data: Data) -> Component:
    lines = [
        [
            html.Span(
                [
                    dot(data.consumer_colours.colour(row["consumer"])),
                    html.Span(
                        fmt.plain(row["consumer"] or "(anonymous)", 40),
                        className="gl-name",
                        style={"cursor": "pointer"},
                        **attrs(chosen("consumer", row["consumer"])),
                    ),
                ],
                className="gl-api",
            ),
            number(fmt.count(row["requests"]), row["requests"]),
            share_bar(row["share"], data.consumer_colours.colour(row["consumer"])),
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
        Head("Consumer"),
        Head("Requests", True),
        Head("Share", width="24%"),
        Head("Change", True),
        Head("Errors", True),
    )
    return table(heads, lines, empty=ids.NO_DATA_IN_RANGE)


def codes_table(rows: pl.DataFrame) -> Component:
    total = rows["requests"].sum() or 1
    lines = []
    for row in rows.sort("requests", descending=True).head(8).iter_rows(named=True):
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
