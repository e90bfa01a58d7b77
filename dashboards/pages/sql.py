"""SQL: one read-only statement over the lake, its rows, and the tables one may ask.

The statement runs where analysts' statements always run: behind the allow-list, in a killable
process, with a deadline (storage/sql_worker.py).
"""

from __future__ import annotations

import secrets
import threading
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from dashboards import identity, ids
from dashboards.components import Component, attrs, page_head, panel
from dashboards.data import Data
from dashboards.guard import guarded
from dashboards.panels.sql_result import cost, result_graph, result_grid
from dashboards.panels.sql_schema import schema_list
from dashboards.questions.sql_queries import IdTaken
from storage.errors import SqlError
from storage.sql_worker import SqlLimits

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
                    panel("Tables", schema_list(), note="columns on click", className="w4"),
                ],
                className="gl-grid",
            ),
        ]
    )


def _tool(text: str, what: str) -> Component:
    return html.Button(text, className="gl-button", type="button", **attrs({"data-gl-sql": what}))


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
        return result_grid(result.table), cost(result), chart

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
