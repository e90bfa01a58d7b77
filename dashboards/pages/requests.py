"""Requests: the raw rows behind every chart, newest first; a click on a cell narrows further."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import polars as pl
from dash import Dash, Input, Output, html

from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    grid,
    number_column,
    page_head,
    panel,
    skeleton_stats,
    stat_row,
    time_chart,
)
from dashboards.data import Data
from dashboards.doorkeeper import opens
from dashboards.figures.status import status_bars
from dashboards.guard import guarded
from dashboards.limits import REQUEST_ROWS_MAX
from dashboards.measured import axis_of
from dashboards.panels.state_row import QUANTILES_MS, ask_traffic, traffic_stats
from dashboards.theme import STATUS_CLASS, status_class
from dashboards.view import View

COLUMNS: list[dict[str, object]] = [
    {"field": "time", "headerName": "Time", "width": 165},
    {"field": "status", "headerName": "Status", "cellRenderer": "Filter", "width": 96},
    {"field": "method", "headerName": "Method", "cellRenderer": "Filter", "width": 92},
    {"field": "api", "headerName": "API", "cellRenderer": "Filter", "width": 130},
    {"field": "route", "headerName": "Route", "cellRenderer": "Filter", "flex": 2, "minWidth": 200},
    {"field": "consumer", "headerName": "Consumer", "cellRenderer": "Filter", "flex": 1,
     "minWidth": 150},
    number_column("duration_ms", "Total", width=92),
    number_column("upstream_ms", "Upstream", width=100),
    {"field": "outcome", "headerName": "Outcome", "cellRenderer": "Filter", "width": 122},
    {"field": "country", "headerName": "Country", "cellRenderer": "Filter", "width": 90},
    {"field": "client", "headerName": "Client", "cellRenderer": "Filter", "width": 96},
    {"field": "gateway", "headerName": "Gateway", "cellRenderer": "Filter", "width": 106},
    {"field": "trace", "headerName": "", "cellRenderer": "PlainLink", "width": 76,
     "pinned": "right"},
]  # fmt: skip

_FILTERS = {
    "status": "status_code",
    "method": "method",
    "api": "api",
    "route": "route",
    "consumer": "consumer",
    "outcome": "outcome",
    "country": "country",
    "client": "client_kind",
    "gateway": "gateway",
}
"""Column of the grid, which is also the URL's parameter -> column of the lake."""


def layout(_data: Data) -> Component:
    return html.Div(
        [
            page_head("Requests", html.Span(id="requests-sub")),
            html.Div(skeleton_stats(5), id="requests-stats"),
            html.Div(
                [
                    time_chart(
                        "Answers by status",
                        "requests-status",
                        note="drag to narrow the time",
                        height=150,
                        alert="error_rate",
                    ),
                    panel(
                        "Raw requests",
                        grid("requests-grid", COLUMNS, fixed=600, row_height=30),
                        note="a click on a value filters by it",
                        className="flush",
                    ),
                ],
                className="gl-grid",
            ),
        ]
    )


def register(app: Dash, data: Data) -> None:
    @app.callback(Output("requests-stats", "children"), Input(ids.VIEW, "data"))
    @guarded(show_in=0)
    async def state(stored: object) -> Component:
        view = data.view(stored)
        traffic = await ask_traffic(data, view)
        return stat_row(traffic_stats("requests", traffic, view, quantiles=QUANTILES_MS), view.mode)

    @app.callback(
        Output("requests-grid", "rowData"),
        Output("requests-sub", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=2, show_in=1)
    async def rows(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        found = await data.sample(view, REQUEST_ROWS_MAX)
        cut = f"the newest {found.height}" if found.height == REQUEST_ROWS_MAX else found.height
        return request_rows(found, view), f"{view.label} · {cut} requests"

    @app.callback(Output(ids.time_graph("requests-status"), "figure"), Input(ids.VIEW, "data"))
    @guarded()
    async def chart(stored: object) -> Any:
        view = data.view(stored)
        usage = await data.usage(view, "status_code", over_time=True)
        completeness = await data.completeness(view)
        axis = axis_of(view, completeness, usage)
        return status_bars(usage, axis, empty=ids.NO_DATA_IN_RANGE)


def request_rows(rows: pl.DataFrame, view: View) -> list[dict[str, Any]]:
    out = []
    for index, row in enumerate(rows.iter_rows(named=True)):
        trace = row["trace_id"] if opens("/traces") else None
        status = row["status_code"]
        out.append(
            {
                "id": str(index),
                "time": fmt.clock_ms(row["time"]),
                **{
                    name: None if row[column] is None else fmt.cleaned(str(row[column]), 200)
                    for name, column in _FILTERS.items()
                },
                "colour": STATUS_CLASS[status_class(status)],
                "duration_ms": row["duration_ms"],
                "duration_ms_text": fmt.milliseconds(row["duration_ms"]),
                "upstream_ms": row["upstream_ms"],
                "upstream_ms_text": fmt.milliseconds(row["upstream_ms"]),
                "upstream_ms_tone": "muted",
                "trace": "trace" if trace else "",
                "href": f"/traces/{quote(trace, safe='')}{view.query()}" if trace else "",
            }
        )
    return out
