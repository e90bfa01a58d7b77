"""SQL: one read-only statement over the lake, its rows, and the tables one may ask.

The statement runs where analysts' statements always run: behind the allow-list, in a killable
process, with a deadline (storage/sql_worker.py).
"""

from __future__ import annotations

import json
import secrets
import threading
from typing import Any

import dash_ag_grid as dag
import pyarrow as pa
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from dashboards import format as fmt
from dashboards import identity, ids
from dashboards.components import Component, attrs, graph, page_head, panel
from dashboards.data import Data
from dashboards.figures.result import result_chart
from dashboards.guard import guarded
from dashboards.sql_queries import IdTaken
from dashboards.theme import Mode
from storage.describe import ColumnInfo, TableInfo, describe_macros, describe_tables
from storage.errors import SqlError
from storage.sql_worker import SqlLimits, SqlResult

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
    session = secrets.token_hex(12)
    return html.Div(
        [
            # Made anew with every visit: names this screen's run, for Cancel and for its progress,
            # which assets/gl_sql.js asks GET /api/v1/sql/{id} for.
            dcc.Store(id="sql-session", data=session),
            page_head(
                "SQL",
                "Read-only, over every table; the same as `gatelens sql` and POST /api/v1/sql",
            ),
            html.Div(
                [
                    html.Div(
                        [
                            html.Label(
                                [
                                    html.Span("SQL statement", className="gl-unseen"),
                                    dcc.Textarea(
                                        id="sql-text",
                                        value=EXAMPLE,
                                        className="gl-input",
                                        rows=11,
                                        maxLength=65_536,
                                        spellCheck=False,
                                    ),
                                ],
                                className="gl-editor",
                            ),
                            html.Div(
                                [
                                    html.Button(
                                        "Run",
                                        id="sql-run",
                                        className="gl-button primary",
                                        title="Ctrl Enter",
                                    ),
                                    html.Button(
                                        "Cancel",
                                        id="sql-cancel",
                                        className="gl-button",
                                        type="button",
                                        disabled=True,
                                    ),
                                    _tool("Save", "save"),
                                    _tool("Saved and history", "history"),
                                    _tool("Copy link", "share"),
                                    _tool("CSV", "csv"),
                                    _tool("Arrow", "arrow"),
                                    html.Span(
                                        id="sql-running",
                                        className="gl-running",
                                        **attrs({"data-gl-run": session}),
                                    ),
                                    html.Span(id="sql-status", className="gl-sub", role="status"),
                                ],
                                className="gl-toolbar",
                            ),
                            panel(
                                "Result",
                                html.Div(
                                    html.Div("Press Run to ask.", className="gl-none"),
                                    id="sql-result",
                                ),
                                className="flush",
                            ),
                            html.Div(id="sql-chart"),
                        ],
                        className="w8",
                    ),
                    panel("Tables", _schema(), note="columns on click", className="w4"),
                ],
                className="gl-grid",
            ),
        ]
    )


def _tool(text: str, what: str) -> Component:
    return html.Button(text, className="gl-button", type="button", **attrs({"data-gl-sql": what}))


def _schema() -> Component:
    tables = describe_tables()
    known = {table.name: [c.name for c in table.columns] for table in tables}
    return html.Div(
        [
            # Read by assets/gl_sql.js for completion.
            html.Div(json.dumps({"tables": known}), id="sql-schema-data", hidden=True),
            *(_table(table) for table in tables),
            html.Details(
                [
                    html.Summary("functions of our own"),
                    html.Dl(
                        [
                            part
                            for macro in describe_macros()
                            for part in (
                                html.Dt(_into_statement(macro.signature)),
                                html.Dd(macro.description),
                            )
                        ],
                        className="gl-kv",
                    ),
                ]
            ),
        ],
        className="gl-schema",
    )


def _table(table: TableInfo) -> Component:
    return html.Details(
        [
            html.Summary(html.Span(table.name, className="gl-mono"), title=table.description),
            html.Div(
                [
                    html.Span(table.description),
                    html.Button(
                        "Example",
                        className="gl-button",
                        type="button",
                        title=table.example,
                        **attrs({"data-gl-sql": f"example:{table.example}"}),
                    ),
                ],
                className="gl-schema-head gl-sub",
            ),
            html.Dl(
                [part for column in table.columns for part in _column(column)],
                className="gl-kv",
            ),
        ]
    )


def _column(column: ColumnInfo) -> tuple[Component, Component]:
    kind = f"{column.type}, {column.unit}" if column.unit else column.type
    return (
        html.Dt(_into_statement(column.name)),
        html.Dd([html.Span(kind, className="gl-schema-type"), column.description]),
    )


def _into_statement(text: str) -> Component:
    return html.Button(
        text,
        className="gl-cell-filter gl-mono",
        type="button",
        title="Put it into the statement",
        **attrs({"data-gl-sql": f"insert:{text}"}),
    )


def result_graph(table: pa.Table, mode: Mode) -> Component:
    shown = graph("sql-graph", height=260, label="Chart of the result")
    shown.children.figure = result_chart(table, mode)
    return shown


def register(app: Dash, data: Data) -> None:
    settings = data.settings
    clientside: Any = app.clientside_callback
    clientside(
        ClientsideFunction("gatelens", "sqlFromLink"),
        Output("sql-text", "value"),
        Input("sql-text", "id"),
        State("sql-text", "value"),
    )
    clientside(
        ClientsideFunction("gatelens", "sqlRan"),
        Output("sql-run", "title"),
        Input("sql-run", "n_clicks"),
        State("sql-text", "value"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("sql-result", "children"),
        Output("sql-status", "children"),
        Output("sql-chart", "children"),
        Input("sql-run", "n_clicks"),
        State("sql-text", "value"),
        State(ids.VIEW, "data"),
        State("sql-session", "data"),
        running=[
            (Output("sql-run", "disabled"), True, False),
            (Output("sql-cancel", "disabled"), False, True),
            (Output("sql-running", "className"), "gl-running on", "gl-running"),
        ],
        prevent_initial_call=True,  # nothing runs before somebody asks
    )
    @guarded(outputs=3, show_in=1)
    async def run(clicks: object, text: object, stored: object, session: object) -> tuple[Any, ...]:
        if not clicks or not isinstance(text, str) or not text.strip():
            return no_update, "There is no statement to run.", no_update
        if not settings.sql_enabled:
            return no_update, "SQL is switched off in this installation.", no_update
        limits = SqlLimits(rows_max=settings.sql_rows_max, seconds_max=settings.sql_timeout_s)
        try:
            key = (identity.current().id, str(session))
            with data.running.entered(key, threading.Event()) as query:
                result = await data.run_sql(
                    text, limits=limits, cancelled=query.cancelled, progress=query.note
                )
        except IdTaken:
            return no_update, "The statement before is still running.", no_update
        except SqlError as err:
            return no_update, html.Span(str(err), className="bad-text"), no_update
        chart = panel("Chart", result_graph(result.table, data.view(stored).mode))
        return result_grid(result.table), _cost(result), chart

    @app.callback(
        Output("sql-cancel", "title"),
        Input("sql-cancel", "n_clicks"),
        State("sql-session", "data"),
        prevent_initial_call=True,
    )
    @guarded()
    async def cancel(clicks: object, session: object) -> Any:
        identity.require("sql")
        query = data.running.find((identity.current().id, str(session)))
        if not clicks or query is None:
            return "Nothing runs"
        query.cancelled.set()
        return "Cancelled"


def _cost(result: SqlResult) -> str:
    cut = ", cut there" if result.truncated else ""
    size = fmt.bytes_size(result.table.nbytes)
    read = fmt.bytes_size(result.file_bytes)
    return (
        f"{fmt.whole(result.table.num_rows)} rows{cut}, {size} in "
        f"{fmt.milliseconds(result.elapsed_ms)}, out of {fmt.whole(result.files)} "
        f"file{'' if result.files == 1 else 's'} of {read}"
    )


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
