"""Logs: how many by severity, search in the text, newest first, a jump to the trace."""

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
    Head,
    attrs,
    dot,
    grid,
    number,
    page_head,
    panel,
    share_bar,
    skeleton_rows,
    table,
    time_chart,
    when,
)
from dashboards.controls import chip, field, register_fields
from dashboards.data import Data
from dashboards.figures.base import TimeAxis
from dashboards.figures.severity import COLOURS, level, severity_bars
from dashboards.guard import guarded
from dashboards.limits import LOG_ROWS_MAX
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

_SERVICES = f"""
SELECT service_name, count(*) AS logs
FROM logs
{_WHERE}
GROUP BY service_name
ORDER BY logs DESC
LIMIT 12
"""  # noqa: S608 - constants of ours

_PATTERNS = f"""
SELECT
    regexp_replace(left(body, 300), '[0-9a-fA-F-]{{8,}}|[0-9]+', '#', 'g') AS pattern,
    max(severity_number) AS severity_number,
    count(*) AS logs,
    count(DISTINCT service_name) AS services,
    max(time) AS last_seen
FROM logs
{_WHERE}
  AND body IS NOT NULL
GROUP BY pattern
ORDER BY logs DESC
LIMIT 15
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
                    chip("Live tail", "from=now-5m&to=now&refresh=5s"),
                    chip("Clear", "q=&service=&trace=&least="),
                ],
                className="gl-toolbar",
            ),
            html.Div(
                [
                    time_chart("Records by severity", "logs-count", height=190, className="w8"),
                    panel(
                        "Services",
                        html.Div(skeleton_rows(5), id="logs-services", className="gl-scroll low"),
                        note="click one to filter",
                        className="w4 flush",
                    ),
                    panel(
                        "Records",
                        grid("logs-grid", COLUMNS, fixed=560, row_height=26),
                        className="flush gl-records",
                    ),
                    panel(
                        "Patterns",
                        html.Div(skeleton_rows(5), id="logs-patterns"),
                        note="messages without their numbers and ids",
                        className="flush",
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

    @app.callback(
        Output("logs-services", "children"),
        Output("logs-patterns", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=2, show_in=1)
    async def facets(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        wanted = parameters(view)
        services, patterns = await asyncio.gather(
            data.sql(view, _SERVICES, **wanted), data.sql(view, _PATTERNS, **wanted)
        )
        return services_list(services, data), patterns_table(patterns, data.clock())


def services_list(rows: pl.DataFrame, data: Data) -> Component:
    most = max(rows["logs"].to_list(), default=0) or 1
    lines = [
        [
            html.Span(
                fmt.plain(row["service_name"] or "(no service)", 40),
                className="gl-name",
                style={"cursor": "pointer"},
                **attrs({"data-gl-set": f"service={fmt.url_part(row['service_name'] or '')}"}),
            ),
            share_bar(row["logs"] / most, data.service_colours.colour(row["service_name"])),
            number(fmt.count(row["logs"]), row["logs"]),
        ]
        for row in rows.iter_rows(named=True)
    ]
    heads = (Head("Service"), Head("", width="34%"), Head("Records", True))
    return table(heads, lines, empty="No log record matches.")


def patterns_table(rows: pl.DataFrame, now: datetime) -> Component:
    lines = [
        [
            html.Span(
                [
                    dot(COLOURS[level(row["severity_number"])]),
                    html.Span(fmt.plain(row["pattern"], 120), className="gl-mono"),
                ],
                className="gl-api",
            ),
            number(fmt.count(row["logs"]), row["logs"]),
            number(fmt.whole(row["services"]), row["services"], tone="muted"),
            when(row["last_seen"], now),
        ]
        for row in rows.iter_rows(named=True)
    ]
    heads = (Head("Pattern"), Head("Records", True), Head("Services", True), Head("Last"))
    return table(heads, lines, empty="No log record matches.")


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
