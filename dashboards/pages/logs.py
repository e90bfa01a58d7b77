"""Logs: how many by severity, search, facets, patterns, newest first, the jump to the trace."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any
from urllib.parse import quote

import polars as pl
from dash import Dash, Input, Output, html

from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    grid,
    page_head,
    panel,
    skeleton_stats,
    stat_row,
    time_chart,
    waiting,
)
from dashboards.controls import chip, field, register_fields
from dashboards.data import Data
from dashboards.figures.severity import COLOURS, level, severity_bars
from dashboards.guard import guarded
from dashboards.limits import LOG_ROWS_MAX
from dashboards.measured import axis_of, without_outages
from dashboards.panels.log_context import context_href
from dashboards.panels.log_panels import by_service, facet_list, patterns_table
from dashboards.panels.log_record import record_drawer, record_key
from dashboards.panels.log_state import log_stats
from dashboards.panels.no_signal import no_signal
from dashboards.questions.log_queries import (
    counted,
    facet_values,
    found_patterns,
    newest_rows,
    without_least,
)
from dashboards.view import View

DAY_S = 86_400

COLUMNS: list[dict[str, object]] = [
    {"field": "time", "headerName": "Time", "width": 130, "tooltipField": "moment"},
    {"field": "level", "headerName": "Level", "cellRenderer": "Level", "width": 74},
    {"field": "service", "headerName": "Service", "width": 148},
    {"field": "body", "headerName": "Message", "cellRenderer": "Message", "flex": 1,
     "minWidth": 240, "tooltipField": "body"},
    {"field": "links", "headerName": "", "cellRenderer": "Links", "width": 126,
     "cellDataType": False},
]  # fmt: skip


def layout(_data: Data) -> Component:
    return html.Div(
        [
            page_head("Logs", html.Span(id="logs-sub")),
            html.Div(skeleton_stats(6), id="logs-stats"),
            html.Div(
                [
                    field(
                        "logs", "q", "Text in the message, or attributes: order.id=17", grow=True
                    ),
                    field("logs", "service", "Service"),
                    field("logs", "trace", "Trace id"),
                    chip("Warnings and up", "least=warn"),
                    chip("Errors only", "least=error"),
                    chip("Live tail", "from=now-5m&to=now&refresh=5s"),
                    chip("Clear", "q=&service=&trace=&least=&focus="),
                ],
                className="gl-toolbar",
            ),
            html.Div(
                [
                    time_chart("Records by severity", "logs-count", height=190, rule="log_match"),
                    waiting(
                        "Facets",
                        "logs-facets",
                        note="click one to narrow",
                        className="w3 flush late",
                    ),
                    panel(
                        "Records",
                        grid(
                            "logs-grid",
                            COLUMNS,
                            fixed=560,
                            row_height=26,
                            row_classes={"focus": "params.data.focus"},
                        ),
                        note="click a message for all it carries",
                        className="flush gl-records w9",
                    ),
                    waiting(
                        "Patterns",
                        "logs-patterns",
                        rows=5,
                        note="messages without what varies in them",
                        className="flush late",
                    ),
                ],
                className="gl-grid",
            ),
            html.Div(id="logs-drawer", className="gl-drawer-place"),
        ]
    )


def register(app: Dash, data: Data) -> None:
    register_fields(app, "logs", "q", "service", "trace")

    @app.callback(
        Output(ids.time_graph("logs-count"), "figure"),
        Output("logs-grid", "rowData"),
        Output("logs-sub", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=3, show_in=2)
    async def search(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        counts, rows, outages = await asyncio.gather(
            counted(data, view), newest_rows(data, view), data.outages(view)
        )
        over_time = counts.drop_nulls("time")
        axis = without_outages(axis_of(view, None), outages, over_time.rename({"logs": "requests"}))
        total = int(over_time["logs"].sum())
        shown = f", the newest {LOG_ROWS_MAX} shown" if total > rows.height else ""
        nothing = "No log record in this time range matches."
        return (
            severity_bars(over_time, axis, empty=nothing),
            log_rows(rows, view),
            f"{view.label} · {fmt.whole(total)} records{shown}",
        )

    @app.callback(Output("logs-drawer", "children"), Input(ids.VIEW, "data"))
    @guarded(show_in=0)
    async def look(stored: object) -> Component:
        return await record_drawer(data, data.view(stored))

    @app.callback(
        Output("logs-stats", "children"),
        Output("logs-facets", "children"),
        Output("logs-patterns", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=3, show_in=0)
    async def state(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        any_severity = without_least(view)
        counts, everything, before, patterns, values, outages = await asyncio.gather(
            counted(data, view),
            counted(data, any_severity),
            data.before(any_severity, "logs", lambda past: counted(data, past)),
            found_patterns(data, view),
            facet_values(data, view),
            data.outages(view),
        )
        came = everything.drop_nulls("time").rename({"logs": "requests"})
        axis = without_outages(axis_of(view, None), outages, came)
        stats = log_stats(everything, patterns, axis, view, before=before)
        return (
            [
                stat_row(stats, view.mode),
                None if everything.height else await no_signal(data, "logs"),
            ],
            facet_list(by_service(counts), values, view.extra.get("q"), data),
            patterns_table(patterns, data.clock()),
        )


def time_text(time: datetime, view: View) -> str:
    """With the day where the range is longer than one, else to the millisecond; room is short."""
    if view.seconds > DAY_S:
        return fmt.clock(time)
    return fmt.local(time).strftime("%H:%M:%S.%f")[:-3]


def log_rows(rows: pl.DataFrame, view: View) -> list[dict[str, Any]]:
    out = []
    focus = view.extra.get("focus")
    for index, row in enumerate(rows.iter_rows(named=True)):
        trace = row["trace_id"]
        name = level(row["severity_number"])
        links = [["context", context_href(row["time"], row["service_name"], view)]]
        if trace:
            links.insert(0, ["trace", f"/traces/{quote(trace, safe='')}{view.query()}"])
        out.append(
            {
                "id": str(index),
                "time": time_text(row["time"], view),
                "moment": fmt.clock_ms(row["time"]),
                "level": name,
                "service": fmt.plain(row["service_name"], 40),
                "body": fmt.plain(row["body"], 2000),
                "colour": COLOURS[name],
                "links": links,
                "open": f"open={fmt.url_part(record_key(row['time'], row['service_name']))}",
                "focus": row["time"].strftime("%Y-%m-%dT%H:%M:%S.%f") == focus,
            }
        )
    return out
