"""Metrics: every metric that came in, and one of them over time, per service."""

from __future__ import annotations

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
    table,
    time_chart,
    when,
)
from dashboards.controls import chip, field, register_fields
from dashboards.data import Data
from dashboards.figures import series
from dashboards.guard import guarded
from dashboards.measured import axis_of

_LIST = """
SELECT
    name,
    any_value(type) AS type,
    any_value(unit) AS unit,
    any_value(description) AS description,
    count(*) AS points,
    count(DISTINCT series) AS series,
    count(DISTINCT service_name) AS services,
    max(time) AS last_seen
FROM metrics
WHERE time >= $start
  AND time < $end
  AND ($q IS NULL OR contains(lower(name), lower($q)))
GROUP BY name
ORDER BY name
LIMIT 200
"""

_OVER_TIME = """
WITH per_series AS (
    SELECT
        time_bucket(to_seconds($step), time) AS time,
        service_name,
        series,
        any_value(type) AS type,
        any_value(temporality) AS temporality,
        avg(value) AS mean_value,
        sum(value) AS sum_value,
        max(value) - min(value) AS grown,
        CASE WHEN any_value(temporality) = 'CUMULATIVE' THEN max(sum) - min(sum) ELSE sum(sum) END
            AS total,
        CASE
            WHEN any_value(temporality) = 'CUMULATIVE' THEN max(count) - min(count)
            ELSE sum(count)
        END AS observations
    FROM metrics
    WHERE time >= $start
      AND time < $end
      AND name = $name
    GROUP BY ALL
)
SELECT
    time,
    coalesce(service_name, '(no service)') AS service,
    CASE
        WHEN any_value(type) = 'gauge' THEN avg(mean_value)
        WHEN any_value(type) = 'sum' AND any_value(temporality) = 'DELTA'
            THEN sum(sum_value) / $step
        WHEN any_value(type) = 'sum' THEN sum(grown) / $step
        ELSE sum(total) / nullif(sum(observations), 0)
    END AS value,
    sum(1) AS requests
FROM per_series
GROUP BY ALL
"""

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
            html.Div(
                [field("metrics", "q", "Part of a name", grow=True), chip("Clear", "q=&metric=")],
                className="gl-toolbar",
            ),
            html.Div(
                [
                    time_chart(
                        "Over time", "metrics-chart", note="one line per service", height=260
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
    register_fields(app, "metrics", "q")

    @app.callback(
        Output(ids.time_graph("metrics-chart"), "figure"),
        Output("metrics-list", "children"),
        Output("metrics-sub", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=3, show_in=1)
    async def show(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        known = await data.sql(view, _LIST, q=view.extra.get("q") or None)
        name = view.extra.get("metric") or (known["name"].to_list()[0] if known.height else "")
        points = await data.sql(view, _OVER_TIME, name=name, step=view.interval_s)
        axis = axis_of(view, None)
        names = series.largest(points, "service") if points.height else []
        lines = series.measured_lines(
            points,
            axis,
            by="service",
            value="value",
            names=names,
            colour=data.service_colours.colour,
        )
        chosen = known.filter(pl.col("name") == name)
        kind = chosen["type"].to_list()[0] if chosen.height else None
        told = f"{name}, {_MEANING.get(kind or '', '')}" if name else "nothing came in"
        figure = series.overlaid(
            lines, axis, fmt.count, empty="No metric came in during this time range."
        )
        return figure, metrics_table(known, name, data.clock()), f"{view.label} · {told}"


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
