"""Metrics: every metric that came in, and one of them over time, per service."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl
from dash import Dash, Input, Output, html

from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    Head,
    attrs,
    badge,
    number,
    page_head,
    panel,
    skeleton_rows,
    skeleton_stats,
    stat_row,
    table,
    tabs,
    time_chart,
    when,
)
from dashboards.controls import chip, field, register_fields
from dashboards.data import Data
from dashboards.figures import series
from dashboards.guard import guarded
from dashboards.measured import axis_of, without_outages
from dashboards.panels.metric_state import metric_stats, sent_of
from dashboards.panels.no_signal import no_signal
from dashboards.questions.metric_queries import KEYS, METRICS_SHOWN, OVER_TIME, POINTS, SENT

KEYS_NEVER = ("service.name", "telemetry.sdk.name", "telemetry.sdk.language",
              "telemetry.sdk.version")  # fmt: skip
"""Attributes that tell no two lines apart, or what `service` tells already."""

KEYS_SHOWN = 10

EXPORTED_EVERY_S = 60

_MEANING = {
    "gauge": "mean of the interval",
    "sum": "per second",
    "histogram": "mean of the observations",
    "exponential_histogram": "mean of the observations",
    "summary": "mean of the observations",
}
"""What the chart shows of each type of metric."""


def layout(_data: Data) -> Component:
    return html.Div(
        [
            page_head("Metrics", html.Span(id="metrics-sub")),
            html.Div(skeleton_stats(6), id="metrics-stats"),
            html.Div(
                [
                    field("metrics", "q", "Part of a name", grow=True),
                    field("metrics", "by", "Lines by an attribute"),
                    chip("Clear", "q=&metric=&by="),
                ],
                className="gl-toolbar",
            ),
            html.Div(id="metrics-by", className="gl-toolbar"),
            html.Div(
                [
                    time_chart(
                        "Over time",
                        "metrics-chart",
                        note=html.Span(id="metrics-told"),
                        height=260,
                        rule="sql",
                    ),
                    panel(
                        "Every metric",
                        html.Div(skeleton_rows(8), id="metrics-list"),
                        note="a click shows it above",
                        className="flush",
                    ),
                ],
                className="gl-grid",
            ),
        ]
    )


def register(app: Dash, data: Data) -> None:
    register_fields(app, "metrics", "q", "by")

    @app.callback(
        Output("metrics-stats", "children"),
        Output(ids.time_graph("metrics-chart"), "figure"),
        Output("metrics-list", "children"),
        Output("metrics-sub", "children"),
        Output("metrics-told", "children"),
        Output("metrics-by", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=6, show_in=0)
    async def show(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        q, asked = view.extra.get("q") or None, view.extra.get("metric") or ""
        environment = next(iter(view.filters.get("env", ())), None)
        rows, over_time = await asyncio.gather(
            data.sql(view, SENT, q=q, name=asked, environment=environment),
            data.settled_rows(
                view, "metrics", POINTS, step=view.interval_s, q=q, environment=environment
            ),
        )
        known = rows.filter(pl.col("all_names") == 0)
        name = asked or (known["name"].to_list()[0] if known.height else "")
        by = view.extra.get("by") or "service"
        # Exporters send once a minute by default: shorter steps would be holes, not lines.
        step = max(view.interval_s, EXPORTED_EVERY_S)
        points, keys, outages = await asyncio.gather(
            data.sql(view, OVER_TIME, name=name, step=step, by=by, environment=environment),
            data.sql(view, KEYS, name=name, environment=environment),
            data.outages(view),
        )
        came = points.select("time", pl.lit(1).alias("requests"))
        axis = without_outages(replace(axis_of(view, None), interval_s=step), outages, came)
        names = series.largest(points, "part") if points.height else []
        data.service_colours.learn(names)
        lines = series.measured_lines(
            points,
            axis,
            by="part",
            value="value",
            names=names,
            colour=data.service_colours.colour,
        )
        chosen = known.filter(pl.col("name") == name)
        kind = chosen["type"].to_list()[0] if chosen.height else None
        meaning = _MEANING.get(kind or "", "")
        told = f"{fmt.plain(name, 80)}, {meaning}, one line per {fmt.plain(by, 40)}" if name else ""
        unit = chosen["unit"].to_list()[0] if chosen.height else None
        figure = series.overlaid(
            lines,
            axis,
            formatter_of(unit, kind, name),
            empty="No metric came in during this time range.",
        )
        now = data.clock()
        sent = sent_of(rows)
        cut = f", {METRICS_SHOWN} of them listed" if sent.metrics > METRICS_SHOWN else ""
        sparks = without_outages(axis_of(view, None), outages, over_time)
        stats = metric_stats(sent, over_time, sparks, view, now)
        state = [
            stat_row(stats, view.mode),
            None if known.height else await no_signal(data, "metrics"),
        ]
        return (
            state,
            figure,
            metrics_table(known, name, now),
            f"{view.label} · {fmt.counted(sent.metrics, 'metric')}{cut}",
            told,
            by_tabs(keys, by),
        )


def formatter_of(unit: str | None, kind: str | None, name: str) -> fmt.Formatter:
    """How the chart's numbers are written: sums are drawn per second."""
    shown = fmt.of_unit(unit, share=kind == "gauge" and name.endswith(("utilization", "ratio")))
    if kind != "sum":
        return shown
    return lambda value: shown(value) + ("" if fmt.is_missing(value) else f"{fmt.THIN}/s")


def by_tabs(keys: pl.DataFrame, by: str) -> Component:
    """What the chosen metric's lines may be told apart by: its service, then its attributes."""
    known = [key for key in keys["key"].to_list() if key and key not in KEYS_NEVER]
    words = list(dict.fromkeys(["service", by, *known]))[:KEYS_SHOWN]
    options = {fmt.url_part(word): fmt.plain(word, 40) for word in words}
    return tabs("by", options, fmt.url_part(by))


def metrics_table(rows: pl.DataFrame, chosen: str, now: datetime) -> Component:
    lines = [
        [
            html.Span(
                fmt.plain(row["name"], 80),
                className="gl-mono gl-name" + (" on" if row["name"] == chosen else ""),
                style={"cursor": "pointer"},
                title=fmt.plain(row["description"] or "", 300),
                **attrs({"data-gl-set": f"metric={fmt.url_part(row['name'] or '')}"}),
            ),
            badge(fmt.plain(row["type"], 24)),
            html.Span(fmt.plain(row["unit"] or "", 16), className="gl-when"),
            number(fmt.count(row["points"]), row["points"]),
            number(fmt.count(row["series"]), row["series"], tone="muted"),
            number(fmt.whole(row["services"]), row["services"], tone="muted"),
            when(row["last_seen"], now),
        ]
        for row in rows.iter_rows(named=True)
    ]
    heads = (
        Head("Name"),
        Head("Type"),
        Head("Unit"),
        Head("Points", True),
        Head("Series", True),
        Head("Services", True),
        Head("Last"),
    )
    return table(heads, lines, empty="No metric came in during this time range; send OTLP metrics.")
