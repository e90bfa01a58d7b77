"""Traces: search by service, name, duration or error; each row opens its waterfall."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import quote

import polars as pl
from dash import ClientsideFunction, Dash, Input, Output, html

from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    graph,
    grid,
    number_column,
    page_head,
    panel,
    skeleton_rows,
)
from dashboards.controls import chip, field, register_fields
from dashboards.data import Data
from dashboards.figures.base import TimeAxis
from dashboards.figures.heatmap import latency_heatmap
from dashboards.guard import guarded
from dashboards.theme import tokens
from dashboards.trace_heat import DIFFERENT, HEAT, different_table, draw_box, parse_box
from dashboards.view import View

SHOWN = 100

_SEARCH = """
WITH hits AS (
    SELECT DISTINCT trace_id
    FROM spans
    WHERE time >= $start
      AND time < $end
      AND trace_id IS NOT NULL
      AND ($environment IS NULL OR environment = $environment)
      AND ($service IS NULL OR service_name = $service)
      AND ($min_ns IS NULL OR duration_ns >= $min_ns)
      AND (NOT $errors OR status = 'ERROR')
      AND (
          $q IS NULL
          OR contains(lower(name), lower($q))
          OR contains(lower(coalesce(url_path, '')), lower($q))
          OR trace_id = lower($q)
          OR list_contains(map_values(attributes), $q)
      )
)
SELECT
    trace_id,
    min(time) AS time,
    arg_min(name, (parent_span_id IS NOT NULL, start_time_unix_nano)) AS root,
    arg_min(service_name, (parent_span_id IS NOT NULL, start_time_unix_nano)) AS service,
    (max(start_time_unix_nano + duration_ns) - min(start_time_unix_nano)) / 1e6 AS duration_ms,
    count(*) AS spans,
    count(DISTINCT service_name) AS services,
    count(*) FILTER (WHERE status = 'ERROR') AS errors
FROM spans
SEMI JOIN hits USING (trace_id)
WHERE time >= $start
  AND time < $end
GROUP BY trace_id
ORDER BY time DESC
LIMIT $shown
"""


COLUMNS: list[dict[str, object]] = [
    {"field": "time", "headerName": "Time (UTC)", "width": 150},
    {"field": "root", "headerName": "Root", "cellRenderer": "NameLink", "flex": 3},
    {"field": "service", "headerName": "Service", "width": 180},
    {
        "field": "bar",
        "headerName": "",
        "cellRenderer": "SpanBar",
        "cellDataType": False,
        "sortable": False,
        "flex": 2,
    },
    number_column("duration_ms", "Duration", width=110),
    number_column("spans", "Spans", width=90),
    number_column("services", "Services", width=100),
]


def layout(_data: Data) -> Component:
    return html.Div(
        [
            page_head("Traces", html.Span(id="traces-sub")),
            html.Div(
                [
                    field("traces", "q", "Span name, path, attribute value or trace id", grow=True),
                    field("traces", "service", "Service"),
                    field("traces", "ms", "At least, ms"),
                    chip("Errors only", "errors=1"),
                    chip("Clear", "q=&service=&ms=&errors="),
                ],
                className="gl-toolbar",
            ),
            html.Div(
                [
                    panel(
                        "Latency",
                        graph("traces-heat", height=250, label="Latency heat-map"),
                        note="of what begins a trace; draw a box to compare it with the rest",
                        action=chip("Clear box", "box="),
                        className="w7",
                    ),
                    panel(
                        "What is different in the box",
                        html.Div(
                            skeleton_rows(5), id="traces-different", className="gl-scroll low"
                        ),
                        className="w5 flush",
                    ),
                    panel(
                        "Traces",
                        grid("traces-grid", COLUMNS, fixed=560, row_height=32),
                        className="flush",
                    ),
                ],
                className="gl-grid",
            ),
        ]
    )


def register(app: Dash, data: Data) -> None:
    register_fields(app, "traces", "q", "service", "ms")
    clientside: Any = app.clientside_callback
    clientside(
        ClientsideFunction("gatelens", "box"),
        Output("traces-heat", "clickData"),
        Input("traces-heat", "relayoutData"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("traces-heat", "figure"),
        Output("traces-different", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=2, show_in=1)
    async def heat(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        box = parse_box(view.extra.get("box"))
        asked = {k: v for k, v in parameters(view).items() if k in ("service", "environment")}
        cells = await data.sql(view, HEAT, step=view.interval_s, **asked)
        axis = TimeAxis(view.start, view.end, view.interval_s, view.mode)
        figure = latency_heatmap(cells, axis, empty="No trace began in this time range.")
        draw_box(figure, box, tokens(view.mode).text)
        if box is None:
            return figure, different_table(cells, None)
        rows = await data.sql(
            view,
            DIFFERENT,
            box_start=box.start,
            box_end=box.end,
            low_ns=box.low_ns,
            high_ns=box.high_ns,
            **asked,
        )
        return figure, [html.Div(box.text(), className="gl-sub pad"), different_table(rows, box)]

    @app.callback(
        Output("traces-grid", "rowData"), Output("traces-sub", "children"), Input(ids.VIEW, "data")
    )
    @guarded(outputs=2, show_in=1)
    async def search(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        rows = await data.sql(view, _SEARCH, **parameters(view))
        cut = f"the newest {SHOWN} traces" if rows.height == SHOWN else f"{rows.height} traces"
        return trace_rows(rows, view, data), f"{view.label} · {cut}"


def parameters(view: View) -> dict[str, Any]:
    """The search of the URL; a duration that is no number counts as not given."""
    least: float | None = None
    with contextlib.suppress(ValueError):
        least = float(view.extra.get("ms", ""))
    return {
        "q": view.extra.get("q") or None,
        "service": view.extra.get("service") or None,
        "min_ns": None if least is None or not 0 <= least < 1e12 else int(least * 1e6),
        "errors": view.extra.get("errors") == "1",
        "environment": next(iter(view.filters.get("env", ())), None),
        "shown": SHOWN,
    }


def trace_rows(rows: pl.DataFrame, view: View, data: Data) -> list[dict[str, Any]]:
    """Rows of the grid; a grid, since plain tables of this size block the browser for seconds."""
    longest = max((v for v in rows["duration_ms"].to_list() if v is not None), default=0.0) or 1.0
    out = []
    for row in rows.iter_rows(named=True):
        share = max(0.0, row["duration_ms"] or 0.0) / longest
        out.append(
            {
                "id": row["trace_id"],
                "time": fmt.clock(row["time"]),
                "root": fmt.plain(row["root"] or "(no name)", 90),
                "href": f"/traces/{quote(row['trace_id'], safe='')}{view.query()}",
                "mark": f"{row['errors']} failed" if row["errors"] else "",
                "service": fmt.plain(row["service"], 50),
                "colour": data.service_colours.colour(row["service"]),
                "left": 0,
                "width": round(share * 100, 1),
                "duration_ms": row["duration_ms"],
                "duration_ms_text": fmt.milliseconds(row["duration_ms"]),
                "spans": row["spans"],
                "spans_text": str(row["spans"]),
                "services": row["services"],
                "services_text": str(row["services"]),
            }
        )
    return out
