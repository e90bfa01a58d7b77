"""One trace: every span in its place, virtualised, so that ten thousand scroll smoothly."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import polars as pl
from dash import Dash, Input, Output, State, dcc, html

from dashboards import format as fmt
from dashboards import ids
from dashboards.components import Component, crumbs, grid, page_head, page_link, panel
from dashboards.data import Data
from dashboards.guard import guarded
from dashboards.limits import WATERFALL_SPANS_MAX
from dashboards.view import View
from dashboards.waterfall import Span, place

NAME = "trace-id"

AROUND = timedelta(days=1)
"""How far before and after the page's range the trace is looked for."""

_SPANS = """
SELECT
    span_id,
    parent_span_id,
    start_time_unix_nano,
    duration_ns,
    name,
    kind,
    status,
    status_message,
    service_name,
    to_json(attributes)::VARCHAR AS attributes
FROM spans
WHERE trace_id = $trace_id
  AND time >= $start
  AND time < $end
ORDER BY start_time_unix_nano
LIMIT $shown
"""

COLUMNS: list[dict[str, object]] = [
    {
        "field": "name",
        "headerName": "Span",
        "cellRenderer": "SpanName",
        "flex": 3,
        "minWidth": 300,
        "sortable": False,
        "tooltipField": "detail",
    },
    {"field": "service", "headerName": "Service", "width": 170, "sortable": False},
    {"field": "bar", "headerName": "", "cellRenderer": "SpanBar", "flex": 4, "sortable": False},
    {
        "field": "duration",
        "headerName": "Duration",
        "width": 110,
        "type": "rightAligned",
        "sortable": False,
    },
]


def layout(_data: Data, name: str) -> Component:
    return html.Div(
        [
            dcc.Store(id=NAME, data=name),
            html.Div(id="trace-crumbs"),
            page_head(
                ["Trace ", html.Span(fmt.plain(name, 40), className="gl-mono")],
                html.Span(id="trace-sub"),
                page_link(
                    "Its logs", f"/logs?from=now-24h&trace={quote(name, safe='')}", "gl-button"
                ),
            ),
            panel(
                "Waterfall",
                grid("trace-grid", COLUMNS, fixed=640, row_height=28),
                note="hover a span for its attributes",
                className="flush",
            ),
        ]
    )


def register(app: Dash, data: Data) -> None:
    @app.callback(
        Output("trace-grid", "rowData"),
        Output("trace-sub", "children"),
        Output("trace-crumbs", "children"),
        Input(ids.VIEW, "data"),
        State(NAME, "data"),
    )
    @guarded(outputs=3, show_in=1)
    async def show(stored: object, name: object) -> tuple[Any, ...]:
        view = data.view(stored)
        trace_id = str(name)[:64].lower()
        wide = view.widened(AROUND)
        spans = await data.sql(wide, _SPANS, trace_id=trace_id, shown=WATERFALL_SPANS_MAX)
        trail = crumbs(("Traces", f"/traces{view.query()}"), (fmt.plain(trace_id, 40), ""))
        return waterfall_rows(spans, data), summary(spans, view), trail


def summary(spans: pl.DataFrame, view: View) -> str:
    if spans.is_empty():
        return f"No span of this trace is stored within a day of: {view.label}."
    ends: list[int] = (spans["start_time_unix_nano"] + spans["duration_ns"]).to_list()
    took = fmt.milliseconds((max(ends) - min(spans["start_time_unix_nano"].to_list())) / 1e6)
    services = spans["service_name"].n_unique()
    failed = spans.filter(pl.col("status") == "ERROR").height
    text = f"{spans.height} spans · {services} services · {took}"
    if failed:
        text += f" · {failed} failed"
    if spans.height == WATERFALL_SPANS_MAX:
        text += f" · the first {WATERFALL_SPANS_MAX} are shown"
    return text


def waterfall_rows(spans: pl.DataFrame, data: Data) -> list[dict[str, Any]]:
    found = list(spans.iter_rows(named=True))
    placed = place(
        [
            Span(
                s["span_id"] or "",
                s["parent_span_id"],
                s["start_time_unix_nano"] or 0,
                s["duration_ns"] or 0,
            )
            for s in found
        ]
    )
    rows = []
    for spot in placed:
        span = found[spot.index]
        detail = " · ".join(
            part for part in (span["kind"], span["status_message"], span["attributes"]) if part
        )
        rows.append(
            {
                "id": str(spot.index),
                "name": fmt.plain(span["name"], 120),
                "service": fmt.plain(span["service_name"], 60),
                "depth": spot.depth,
                "left": spot.left,
                "width": spot.width,
                "colour": data.service_colours.colour(span["service_name"]),
                "error": span["status"] == "ERROR",
                "duration": fmt.milliseconds((span["duration_ns"] or 0) / 1e6),
                "detail": fmt.plain(detail, 600),
            }
        )
    return rows
