"""One trace: every span in its place, virtualised, so that ten thousand scroll smoothly; what
decided how long it took; and what is different from another trace."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import polars as pl
from dash import Dash, Input, Output, State, dcc, html

from analytics.trace_compare import compare_traces
from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    crumbs,
    grid,
    number_column,
    page_link,
    panel,
    screen,
)
from dashboards.controls import chip, field, register_fields
from dashboards.data import Data
from dashboards.guard import guarded
from dashboards.limits import WATERFALL_SPANS_MAX
from dashboards.panels.span_record import span_drawer
from dashboards.panels.trace_rows import comparison_table, summary, waterfall_rows
from dashboards.view import View
from storage.log import us_to_time

NAME = "trace-id"

AROUND = timedelta(days=1)
"""How far before and after the page's range the trace is looked for."""

LOGS_AROUND = timedelta(minutes=1)
"""How much before and after a trace its logs are looked for, where it is older than the range."""

TYPICAL = "typical"
"""`with=typical`: compared with a trace of the same root that took the median time."""

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

_TYPICAL = """
WITH root AS (
    SELECT trace_id, duration_ns
    FROM spans
    WHERE time >= $start
      AND time < $end
      AND parent_span_id IS NULL
      AND name = $name
      AND service_name IS NOT DISTINCT FROM $service
      AND trace_id != $trace_id
      AND status != 'ERROR'
    ORDER BY time DESC
    LIMIT 2000
)
SELECT trace_id
FROM root
ORDER BY abs(duration_ns - (SELECT median(duration_ns) FROM root)), trace_id
LIMIT 1
"""

WATERFALL_PX, HEAD_PX, ROW_PX = 560, 52, 28
"""Height of the waterfall at most, of its head, and of a span."""

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
    number_column("path", "Critical path", width=118, sortable=False),
    {
        "field": "duration",
        "headerName": "Duration",
        "width": 110,
        "type": "rightAligned",
        "sortable": False,
    },
]


def layout(_data: Data, name: str) -> Component:
    return screen(
        "trace",
        ["Trace ", html.Span(fmt.plain(name, 40), className="gl-mono")],
        panel(
            "Waterfall",
            grid("trace-grid", COLUMNS, fixed=WATERFALL_PX, row_height=ROW_PX),
            note="click a span for all it carries; outlined = on the critical path",
            className="flush",
        ),
        panel(
            "Against another trace",
            html.Div(
                [
                    html.Div(
                        [
                            field("trace", "with", "Trace id to compare with", grow=True),
                            chip("A typical one of its kind", f"with={TYPICAL}"),
                            chip("Clear", "with="),
                        ],
                        className="gl-toolbar pad",
                    ),
                    html.Div(id="trace-compared"),
                ]
            ),
            note="own time per operation, largest difference first",
            className="flush",
        ),
        above=(
            dcc.Store(id=NAME, data=name),
            html.Div(id="trace-crumbs"),
            html.Div(id="trace-drawer", className="gl-drawer-place"),
        ),
        actions=html.Div(id="trace-logs"),
    )


def register(app: Dash, data: Data) -> None:
    register_fields(app, "trace", "with")

    @app.callback(
        Output("trace-grid", "rowData"),
        Output("trace-sub", "children"),
        Output("trace-crumbs", "children"),
        Output("trace-logs", "children"),
        Output("trace-grid", "style"),
        Input(ids.VIEW, "data"),
        State(NAME, "data"),
    )
    @guarded(outputs=5, show_in=1)
    async def show(stored: object, name: object) -> tuple[Any, ...]:
        view = data.view(stored)
        trace_id = cleaned(name)
        spans = await spans_of(data, view, trace_id)
        trail = crumbs(("Traces", f"/traces{view.query()}"), (fmt.plain(trace_id, 40), ""))
        # Of ten thousand spans half a second of work, which others would wait for.
        rows = await asyncio.to_thread(waterfall_rows, spans, data)
        logs = page_link("Its logs", logs_href(spans, view, trace_id), "gl-button")
        height = min(WATERFALL_PX, HEAD_PX + ROW_PX * max(1, len(rows)))
        style = {"width": "100%", "height": f"{height}px"}
        return rows, summary(spans, view, WATERFALL_SPANS_MAX), trail, logs, style

    @app.callback(Output("trace-drawer", "children"), Input(ids.VIEW, "data"), State(NAME, "data"))
    @guarded(show_in=0)
    async def look(stored: object, name: object) -> Component:
        return await span_drawer(data, data.view(stored).widened(AROUND), cleaned(name))

    @app.callback(
        Output("trace-compared", "children"), Input(ids.VIEW, "data"), State(NAME, "data")
    )
    @guarded(show_in=0)
    async def compare(stored: object, name: object) -> Component:
        view = data.view(stored)
        other = cleaned(view.extra.get("with", ""))
        if not other:
            told = "Choose a trace: what takes longer here than there comes first."
            return html.Div(told, className="gl-none")
        here = await spans_of(data, view, cleaned(name))
        if other == TYPICAL:
            found = await typical(data, view, cleaned(name), here)
            if found is None:
                told = "No other trace of this kind without failures is in the range."
                return html.Div(told, className="gl-none")
            other = found
        there = await spans_of(data, view, other)
        link = page_link(fmt.plain(other, 40), f"/traces/{quote(other, safe='')}{view.query()}")
        head = html.Div(["Compared with ", link], className="gl-sub gl-mono pad")
        different = await asyncio.to_thread(compare_traces, here, there)
        return [head, comparison_table(different, data)]


def logs_href(spans: pl.DataFrame, view: View, trace_id: str) -> str:
    """What was logged in a trace: in the page's range, or around the trace where it lies outside
    of that."""
    times = [us_to_time(ns // 1000) for ns in spans["start_time_unix_nano"].drop_nulls().to_list()]
    around = {}
    if times and not (view.start <= min(times) and max(times) < view.end):
        first, last = min(times) - LOGS_AROUND, max(times) + LOGS_AROUND
        around = {"from": f"{first:%Y-%m-%dT%H:%M:%S}", "to": f"{last:%Y-%m-%dT%H:%M:%S}"}
    return "/logs" + view.query(**around, trace=trace_id)


def cleaned(name: object) -> str:
    return str(name)[:64].strip().lower()


async def spans_of(data: Data, view: View, trace_id: str) -> pl.DataFrame:
    wide = view.widened(AROUND)
    return await data.sql(wide, _SPANS, trace_id=trace_id, shown=WATERFALL_SPANS_MAX)


async def typical(data: Data, view: View, trace_id: str, here: pl.DataFrame) -> str | None:
    """A trace that began like this one, did not fail and took the median time of such."""
    roots = here.filter(pl.col("parent_span_id").is_null())
    if roots.is_empty():
        return None
    root = roots.row(0, named=True)
    found = await data.sql(
        view, _TYPICAL, name=root["name"], service=root["service_name"], trace_id=trace_id
    )
    return None if found.is_empty() else str(found["trace_id"].to_list()[0])
