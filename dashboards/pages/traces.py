"""Traces: search by any attribute, duration or error; each row opens its waterfall."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import polars as pl
from dash import ClientsideFunction, Dash, Input, Output, html

from dashboards import format as fmt
from dashboards import identity, ids
from dashboards.components import (
    Component,
    chosen_of,
    graph,
    grid,
    number_column,
    page_head,
    panel,
    rule_menu,
    skeleton_stats,
    stat_row,
    tabs,
)
from dashboards.controls import chip, field, register_fields
from dashboards.data import Data
from dashboards.figures.red import RED, red_chart
from dashboards.guard import guarded
from dashboards.measured import axis_of, without_outages
from dashboards.panels.no_signal import no_signal
from dashboards.panels.trace_heat import DIFFERENT, HEAT, different_table, draw_box, parse_box
from dashboards.panels.trace_state import trace_stats
from dashboards.search_terms import conditions, parse_search
from dashboards.theme import tokens
from dashboards.view import View

SHOWN = 100

_TERMS = {
    "name": "name",
    "service": "service_name",
    "version": "service_version",
    "kind": "kind",
    "status": "status",
    "duration_ms": "duration_ns / 1e6",
}
"""Keys of a search that are columns; any other is an attribute of the span or its resource."""

_SEARCH = """
WITH hits AS (
    SELECT DISTINCT trace_id
    FROM spans
    WHERE time >= $hits_from
      AND time < $end
      AND trace_id IS NOT NULL
      AND ($environment IS NULL OR environment = $environment)
      AND ($service IS NULL OR service_name = $service)
      AND ($min_ns IS NULL OR duration_ns >= $min_ns)
      AND (NOT $errors OR status = 'ERROR')
      {terms}
      AND (
          $q IS NULL
          OR icontains(name, $q)
          OR icontains(coalesce(url_path, ''), $q)
          OR icontains(coalesce(status_message, ''), $q)
          OR trace_id = lower($q)
          OR list_contains(map_values(attributes), $q)
          OR list_contains(map_values(resource_attributes), $q)
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
HAVING min(time) >= $hits_from
ORDER BY time DESC
LIMIT $shown
"""

TRACE_LENGTH_MAX = timedelta(hours=1)
"""How long before its newest spans a trace may have begun."""

_FIRST_LOOK = timedelta(minutes=10)


COLUMNS: list[dict[str, object]] = [
    {"field": "time", "headerName": "Time", "width": 136},
    {"field": "root", "headerName": "Root", "cellRenderer": "NameLink", "flex": 3, "minWidth": 220},
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
            html.Div(skeleton_stats(6), id="traces-stats"),
            html.Div(
                [
                    field(
                        "traces",
                        "q",
                        "Text, trace id, or attributes: carrier=north http.status_code>=500",
                        grow=True,
                    ),
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
                        "What begins a trace",
                        graph("traces-heat", height=250, label="Rate, errors and duration"),
                        note="draw a box to compare",
                        action=html.Div(
                            [
                                html.Div(id="traces-red", className="gl-chips"),
                                rule_menu("What begins a trace", "trace_match"),
                            ],
                            className="gl-head-actions",
                        ),
                        className="w7",
                    ),
                    panel(
                        "What is different in the box",
                        html.Div(id="traces-different", className="gl-scroll low"),
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
        Output("traces-stats", "children"),
        Output("traces-heat", "figure"),
        Output("traces-different", "children"),
        Output("traces-red", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=4, show_in=0)
    async def heat(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        box = parse_box(view.extra.get("box"))
        asked = {k: v for k, v in parameters(view).items() if k in ("service", "environment")}
        asked["whole"] = identity.current().scope is None
        cells, before, outages = await asyncio.gather(
            began(data, view, asked),
            data.before(view, "spans", lambda past: began(data, past, asked)),
            data.outages(view),
        )
        axis = without_outages(axis_of(view, None), outages, cells)
        shown = chosen_of(RED, view.extra.get("red"))
        figure = red_chart(cells, axis, shown, empty="No trace began in this time range.")
        figure.layout["uirevision"] = shown
        if shown == "heat":
            draw_box(figure, box, axis, tokens(view.mode).text)
        choice = [chip("Clear box", "box=")] if box else []
        choice.append(tabs("red", RED, shown))
        whole = asked["whole"] and asked["service"] is None
        stats = trace_stats(cells, axis, view, whole_traces=whole, before=before)
        row = [stat_row(stats, view.mode), None if cells.height else await no_signal(data, "spans")]
        if box is None:
            return row, figure, None, choice
        rows = await data.sql(
            view,
            DIFFERENT,
            box_start=box.start,
            box_end=box.end,
            low_ns=box.low_ns,
            high_ns=box.high_ns,
            **asked,
        )
        told = html.Div(box.text(), className="gl-sub pad")
        return row, figure, [told, different_table(rows)], choice

    @app.callback(
        Output("traces-grid", "rowData"), Output("traces-sub", "children"), Input(ids.VIEW, "data")
    )
    @guarded(outputs=2, show_in=1)
    async def search(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        asked = parse_search(view.extra.get("q"))
        terms, bound = conditions(asked, _TERMS, ("attributes", "resource_attributes"))
        wanted = {**parameters(view), **bound, "q": asked.text, "shown": SHOWN}
        # Of what was typed only names of our own columns are in the statement; the rest is bound.
        rows = await newest_traces(data, view, _SEARCH.replace("{terms}", terms), wanted)
        cut = f"the newest {SHOWN} traces" if rows.height == SHOWN else f"{rows.height} traces"
        return trace_rows(rows, view, data), f"{view.label} · {cut}"


async def began(data: Data, view: View, asked: dict[str, Any]) -> pl.DataFrame:
    """What begins work: time, bucket, requests, errors (figures/red.py)."""
    cells = await data.settled_rows(view, "spans", HEAT, step=view.interval_s, **asked)
    return cells.group_by("time", "bucket").agg(pl.col("requests", "errors").sum())


async def newest_traces(data: Data, view: View, query: str, wanted: dict[str, Any]) -> pl.DataFrame:
    """The newest traces, looked for in the end of the view first, then further back: what began
    after the point looked back to is complete, so enough of it is the answer."""
    back = _FIRST_LOOK
    while True:
        hits_from = max(view.start, view.end - back)
        near = replace(view, start=max(view.start, hits_from - TRACE_LENGTH_MAX))
        rows = await data.sql(near, query, hits_from=hits_from, **wanted)
        if rows.height == SHOWN or hits_from == view.start:
            return rows
        back *= 6


def parameters(view: View) -> dict[str, Any]:
    """The search of the URL; a duration that is no number counts as not given."""
    least: float | None = None
    with contextlib.suppress(ValueError):
        least = float(view.extra.get("ms", ""))
    return {
        "service": view.extra.get("service") or None,
        "min_ns": None if least is None or not 0 <= least < 1e12 else int(least * 1e6),
        "errors": view.extra.get("errors") == "1",
        "environment": next(iter(view.filters.get("env", ())), None),
    }


def trace_rows(rows: pl.DataFrame, view: View, data: Data) -> list[dict[str, Any]]:
    """Rows of the grid; a grid, since plain tables of this size block the browser for seconds."""
    data.service_colours.learn(rows["service"].to_list())
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
