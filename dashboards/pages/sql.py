"""SQL: one read-only statement over the lake, its rows, and the tables one may ask.

The statement runs where analysts' statements always run: behind the allow-list, in a killable
process, with a deadline (storage/sql_worker.py).
"""

from __future__ import annotations

import asyncio
from typing import Any

import dash_ag_grid as dag
import pyarrow as pa
from dash import Dash, Input, Output, State, dcc, html, no_update

from dashboards import format as fmt
from dashboards.components import Component, page_head, panel
from dashboards.data import Data
from dashboards.guard import guarded
from storage.errors import SqlError
from storage.schemas import TABLES
from storage.sql_worker import SqlLimits, run_sql

CELL_CHARS_MAX = 2_000
"""Longest text of one cell; the HTTP API gives everything."""

EXAMPLE = """SELECT
    api,
    count(*) AS requests,
    round(quantile_cont(duration_ms, 0.95), 1) AS p95_ms
FROM requests
WHERE time >= now() - INTERVAL 1 HOUR
GROUP BY api
ORDER BY requests DESC"""


def layout(data: Data) -> Component:
    return html.Div(
        [
            page_head(
                "SQL",
                "Read-only, over every table; the same as `gatelens sql` and POST /api/v1/sql",
            ),
            html.Div(
                [
                    html.Div(
                        [
                            dcc.Textarea(
                                id="sql-text",
                                value=EXAMPLE,
                                className="gl-input",
                                rows=10,
                                maxLength=65_536,
                                spellCheck=False,
                            ),
                            html.Div(
                                [
                                    html.Button("Run", id="sql-run", className="gl-button primary"),
                                    html.Span(id="sql-status", className="gl-sub", role="status"),
                                ],
                                className="gl-toolbar",
                            ),
                            panel("Result", html.Div(id="sql-result"), className="flush"),
                        ],
                        className="w8",
                    ),
                    panel("Tables", _schema(), note="columns on click", className="w4"),
                ],
                className="gl-grid",
            ),
        ]
    )


def _schema() -> Component:
    return html.Div(
        [
            html.Details(
                [
                    html.Summary(
                        [html.Span(spec.name, className="gl-mono")], title=spec.description
                    ),
                    html.Dl(
                        [
                            part
                            for column in spec.columns
                            for part in (
                                html.Dt(column.name, className="gl-mono"),
                                html.Dd(column.description),
                            )
                        ],
                        className="gl-kv",
                    ),
                ]
            )
            for spec in TABLES.values()
        ],
        className="gl-schema",
    )


def register(app: Dash, data: Data) -> None:
    settings = data.settings

    @app.callback(
        Output("sql-result", "children"),
        Output("sql-status", "children"),
        Input("sql-run", "n_clicks"),
        State("sql-text", "value"),
        running=[(Output("sql-run", "disabled"), True, False)],
    )
    @guarded(outputs=2, show_in=1)
    async def run(clicks: object, text: object) -> tuple[Any, ...]:
        if not clicks or not isinstance(text, str) or not text.strip():
            return html.Div("Press Run to ask.", className="gl-none"), ""
        if not settings.sql_enabled:
            return no_update, "SQL is switched off in this installation."
        limits = SqlLimits(rows_max=settings.sql_rows_max, seconds_max=settings.sql_timeout_s)
        try:
            result = await asyncio.to_thread(run_sql, data.storage, text, limits=limits)
        except SqlError as err:
            return no_update, html.Span(str(err), className="bad-text")
        cut = ", cut there" if result.truncated else ""
        status = f"{fmt.whole(result.table.num_rows)} rows{cut} in {result.elapsed_ms:.0f} ms"
        return result_grid(result.table), status


def result_grid(table: pa.Table) -> Component:
    """Rows as they are; columns go by position, since names may repeat or hold dots."""
    columns = [
        {
            "field": f"c{index}",
            "headerName": column.name,
            "type": "rightAligned" if _is_number(column.type) else "",
            "cellDataType": False,
            "minWidth": 110,
            "flex": 1,
        }
        for index, column in enumerate(table.schema)
    ]
    rows = [
        {f"c{index}": cell(value) for index, value in enumerate(row.values())}
        for row in table.rename_columns([f"c{i}" for i in range(table.num_columns)]).to_pylist()
    ]
    return html.Div(
        dag.AgGrid(
            columnDefs=columns,
            rowData=rows,
            defaultColDef={"sortable": True, "resizable": True},
            dashGridOptions={"rowHeight": 30, "headerHeight": 32, "enableCellTextSelection": True},
            style={"width": "100%", "height": "440px"},
        ),
        className="gl-ag",
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def cell(value: object) -> object:
    """What JSON can hold stays; anything else is text. None is an empty cell."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:CELL_CHARS_MAX]
