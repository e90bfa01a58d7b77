"""The four numbers of an API's page that switch its main chart, and that chart.

`show` of the URL says which is chosen; figures/api_main.py draws it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import polars as pl
from dash import html

from dashboards import format as fmt
from dashboards import ids
from dashboards.components import Component, Stat, chart_menu, chosen_of
from dashboards.data import Data
from dashboards.figures import api_main, series
from dashboards.figures.base import Figure, TimeAxis
from dashboards.measured import column_on, over_all, rate_on, without_outages
from dashboards.panels.api_glance import DATA_SENT, Glance
from dashboards.panels.state_row import Traffic, traffic_stats
from dashboards.theme import tokens
from dashboards.view import View

SHOWN = {
    "requests": ("Requests", "requests_per_s", "requests per second, by route"),
    "errors": ("Error rate", "error_rate", "shares of 5xx and 4xx answers"),
    "latency": ("Latency", "p95_ms", "p50, p95, p99 of the whole time"),
    "bytes": ("Data", "bandwidth_bytes_per_s", "bytes per second"),
}
"""`show` of the URL -> title, measure of a rule made from the chart, note."""

_TITLES = {key: title for key, (title, _, _) in SHOWN.items()}


def chosen(view: View) -> str:
    """Which of SHOWN the URL says; the first one where it says none of them."""
    return chosen_of(_TITLES, view.extra.get("show"))


def chart_head(shown: str) -> list[Component]:
    """Title of the chart, what it shows, and what one can do from it."""
    title, measure, note = SHOWN[shown]
    return [
        html.H2(title, className="gl-panel-title"),
        html.Span(note, className="gl-panel-note"),
        html.Div(chart_menu(title, measure), className="gl-panel-action"),
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
    return api_main.requests_chart(frame, axis, "route", data.route_colours.colour, empty=nothing)


async def draw_before(data: Data, view: View, axis: TimeAxis, shown: str, figure: Figure) -> None:
    """The same number over the equal range just before, dotted."""
    past = view.previous()
    earlier = TimeAxis(past.start, past.end, past.interval_s, past.mode)
    if shown == "latency":
        line = column_on(earlier, await data.latency(past), "p95_ms")
    else:
        usage, outages = await asyncio.gather(
            data.usage(past, "api", over_time=True), data.outages(past)
        )
        earlier, total = without_outages(earlier, outages, usage), over_all(usage)
        line = (
            column_on(earlier, total, "error_rate")
            if shown == "errors"
            else rate_on(earlier, total)
        )
    if shown != "bytes":
        series.before(figure, line, axis, tokens(view.mode).muted)
