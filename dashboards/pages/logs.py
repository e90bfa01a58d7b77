"""Logs: how many by severity, search, facets, patterns, newest first, the jump to the trace."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import polars as pl
from dash import Dash, Input, Output, html

from dashboards import format as fmt
from dashboards import ids
from dashboards.components import Component, grid, page_head, panel, time_chart, waiting
from dashboards.controls import chip, field, register_fields
from dashboards.data import Data
from dashboards.figures.severity import COLOURS, level, severity_bars
from dashboards.guard import guarded
from dashboards.limits import LOG_ROWS_MAX
from dashboards.log_panels import facet_list, patterns, patterns_table
from dashboards.log_queries import COUNTS, FACETS, PATTERNS, ROWS, asked
from dashboards.measured import axis_of, without_outages
from dashboards.view import View

CONTEXT = timedelta(seconds=30)
"""How much before and after one record its context shows."""

COLUMNS: list[dict[str, object]] = [
    {"field": "time", "headerName": "Time", "width": 188},
    {"field": "level", "headerName": "Level", "cellRenderer": "Level", "width": 82},
    {"field": "service", "headerName": "Service", "width": 150},
    {"field": "body", "headerName": "Message", "flex": 1, "minWidth": 200, "tooltipField": "body"},
    {"field": "links", "headerName": "", "cellRenderer": "Links", "width": 132,
     "cellDataType": False},
]  # fmt: skip


def layout(_data: Data) -> Component:
    return html.Div(
        [
            page_head("Logs", html.Span(id="logs-sub")),
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
                        "Facets", "logs-facets", note="click one to narrow", className="w3 flush"
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
                        className="flush gl-records w9",
                    ),
                    waiting(
                        "Patterns",
                        "logs-patterns",
                        rows=5,
                        note="messages without what varies in them",
                    ),
                ],
                className="gl-grid",
            ),
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
        rows_sql, wanted = asked(view, ROWS)
        counts_sql, _ = asked(view, COUNTS)
        rows, counts, outages = await asyncio.gather(
            data.sql(view, rows_sql, **wanted),
            data.sql(view, counts_sql, step=view.interval_s, **wanted),
            data.outages(view),
        )
        came = counts.select("time", requests="logs")
        axis = without_outages(axis_of(view, None), outages, came)
        total = int(counts["logs"].sum())
        shown = f", the newest {LOG_ROWS_MAX} shown" if total > rows.height else ""
        return (
            severity_bars(counts, axis, empty="No log record in this time range matches."),
            log_rows(rows, view),
            f"{view.label} · {fmt.whole(total)} records{shown}",
        )

    @app.callback(
        Output("logs-facets", "children"),
        Output("logs-patterns", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=2, show_in=1)
    async def facets(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        facets_sql, wanted = asked(view, FACETS)
        patterns_sql, _ = asked(view, PATTERNS)
        values, texts = await asyncio.gather(
            data.sql(view, facets_sql, **wanted), data.sql(view, patterns_sql, **wanted)
        )
        found = await asyncio.to_thread(patterns, texts)
        return (
            facet_list(values, view.extra.get("q"), data),
            patterns_table(found, data.clock()),
        )


def context_href(time: datetime, service: str | None, view: View) -> str:
    """The records of the same service just before and after one, with that one marked."""
    start, end = time - CONTEXT, time + CONTEXT
    asked_for = {
        "from": f"{start:%Y-%m-%dT%H:%M:%S}",
        "to": f"{end + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}",
        "focus": time.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "refresh": "off",
        **({"service": service} if service else {}),
        **({"env": view.filters["env"][0]} if "env" in view.filters else {}),
    }
    return "/logs?" + urlencode(asked_for)


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
                "time": fmt.clock_ms(row["time"]),
                "level": name,
                "service": fmt.plain(row["service_name"], 40),
                "body": fmt.plain(row["body"], 2000),
                "colour": COLOURS[name],
                "links": links,
                "focus": row["time"].strftime("%Y-%m-%dT%H:%M:%S.%f") == focus,
            }
        )
    return out
