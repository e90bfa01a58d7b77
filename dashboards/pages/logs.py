"""Logs: how many by severity, search in the text, newest first, a jump to the trace."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import polars as pl
from dash import Dash, Input, Output, html

from dashboards import format as fmt
from dashboards import ids
from dashboards.components import Component, page_head, panel, time_chart
from dashboards.controls import chip, field, register_fields
from dashboards.data import Data
from dashboards.figures.base import TimeAxis
from dashboards.figures.severity import COLOURS, level, severity_bars
from dashboards.guard import guarded
from dashboards.limits import LOG_ROWS_MAX
from dashboards.pages.apis import grid
from dashboards.view import View

_WHERE = """
WHERE time >= $start
  AND time < $end
  AND ($environment IS NULL OR environment = $environment)
  AND ($service IS NULL OR service_name = $service)
  AND ($least IS NULL OR severity_number >= $least)
  AND ($trace IS NULL OR trace_id = $trace)
  AND ($q IS NULL OR contains(lower(body), lower($q)))
"""

_ROWS = f"""
SELECT time, severity_number, severity_text, service_name, body, trace_id
FROM logs
{_WHERE}
ORDER BY time DESC
LIMIT {LOG_ROWS_MAX}
"""  # noqa: S608 - constants of ours

_COUNTS = f"""
SELECT time_bucket(to_seconds($step), time) AS time, severity_number, count(*) AS logs
FROM logs
{_WHERE}
GROUP BY ALL
"""  # noqa: S608 - constants of ours

_LEAST = {"info": 9, "warn": 13, "error": 17}


COLUMNS: list[dict[str, object]] = [
    {"field": "time", "headerName": "Time (UTC)", "width": 170},
    {"field": "level", "headerName": "Level", "cellRenderer": "Level", "width": 92},
    {"field": "service", "headerName": "Service", "width": 180},
    {"field": "body", "headerName": "Message", "flex": 1, "tooltipField": "body"},
    {"field": "trace", "headerName": "", "cellRenderer": "PlainLink", "width": 84},
]


def layout(_data: Data) -> Component:
    return html.Div(
        [
            page_head("Logs", html.Span(id="logs-sub")),
            html.Div(
                [
                    field("logs", "q", "Text in the message", grow=True),
                    field("logs", "service", "Service"),
                    field("logs", "trace", "Trace id"),
                    chip("Warnings and up", "least=warn"),
                    chip("Errors only", "least=error"),
                    chip("Clear", "q=&service=&trace=&least="),
                ],
                className="gl-toolbar",
            ),
            html.Div(
                [
                    time_chart("Records by severity", "logs-count", height=190),
                    panel(
                        "Records",
                        grid("logs-grid", COLUMNS, fixed=560, row_height=26),
                        className="flush gl-records",
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
        wanted = parameters(view)
        rows, counts = await asyncio.gather(
            data.sql(view, _ROWS, **wanted),
            data.sql(view, _COUNTS, step=view.interval_s, **wanted),
        )
        axis = TimeAxis(view.start, view.end, view.interval_s, view.mode)
        total = int(counts["logs"].sum())
        shown = f", the newest {LOG_ROWS_MAX} shown" if total > rows.height else ""
        return (
            severity_bars(counts, axis, empty="No log record in this time range matches."),
            log_rows(rows, view),
            f"{view.label} · {fmt.whole(total)} records{shown}",
        )


def parameters(view: View) -> dict[str, Any]:
    return {
        "q": view.extra.get("q") or None,
        "service": view.extra.get("service") or None,
        "trace": (view.extra.get("trace") or "").lower() or None,
        "least": _LEAST.get(view.extra.get("least", "")),
        "environment": next(iter(view.filters.get("env", ())), None),
    }


def log_rows(rows: pl.DataFrame, view: View) -> list[dict[str, Any]]:
    out = []
    for index, row in enumerate(rows.iter_rows(named=True)):
        trace = row["trace_id"]
        name = level(row["severity_number"])
        out.append(
            {
                "id": str(index),
                "time": row["time"].strftime("%d %b %H:%M:%S.%f")[:-3],
                "level": name,
                "service": fmt.plain(row["service_name"], 40),
                "body": fmt.plain(row["body"], 2000),
                "colour": COLOURS[name],
                "trace": "trace" if trace else "",
                "href": f"/traces/{quote(trace, safe='')}{view.query()}" if trace else "",
            }
        )
    return out
