"""One custom dashboard: its panels, and what it takes to edit them.

The definition being edited lives in the browser (assets/gl_board*.js); the server draws whatever
panel it is shown, and saves through /api/v1/dashboards.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from dash import MATCH, ClientsideFunction, Dash, Input, Output, State, dcc, html
from pydantic import ValidationError

from analytics.measures import MEASURES
from dashboards import identity, ids
from dashboards.components import Component, attrs
from dashboards.custom import grid
from dashboards.custom.board_head import board_head, empty, missing
from dashboards.custom.boards import Boards
from dashboards.custom.checks import first_problem
from dashboards.custom.definition import KINDS, UNITS, Dashboard, Panel
from dashboards.custom.errors import CustomError, DashboardMissing
from dashboards.custom.panel_content import content, read_panel, sentence
from dashboards.custom.source import LATENCY_SPREAD
from dashboards.data import Data
from dashboards.guard import guarded
from dashboards.view import FILTERS, View


def layout(_data: Data, name: str) -> Component:
    return html.Div(
        [
            dcc.Store(id="board-asked", data={"id": name[:60], "rev": 0}),
            dcc.Store(id="board-draft"),
            dcc.Store(id="board-state"),
            dcc.Store(id="board-arrived"),
            html.Div(html.Div(className="gl-row gl-skeleton"), id="board-head"),
            html.Div(id="board-variables", className="gl-variables"),
            html.Div(id="board"),
            html.Div(json.dumps(words()), id="board-words", hidden=True),
            _editor(),
        ],
        id="board-page",
    )


def _editor() -> Component:
    """The panel editor: its form is made by assets/gl_board_form.js, the preview by the server."""
    return html.Dialog(
        html.Div(
            [
                html.Section(
                    [
                        html.Div(id="editor-preview-title", className="gl-panel-head"),
                        html.Div(id="editor-preview", className="gl-cell-body"),
                    ],
                    className="gl-panel gl-editor-preview",
                ),
                html.Div(id="editor-form", className="gl-editor-form"),
                dcc.Store(id="editor-panel"),
            ],
            className="gl-editor-columns",
        ),
        id="panel-editor",
        className="gl-dialog gl-panel-editor",
        **attrs({"aria-label": "Panel editor"}),
    )


def words() -> dict[str, Any]:
    """What the editor offers to choose from."""
    return {
        "kinds": list(KINDS),
        "units": list(UNITS),
        "measures": [
            *({"name": m.name, "unit": m.unit, "text": m.description} for m in MEASURES.values()),
            {
                "name": LATENCY_SPREAD,
                "unit": "requests",
                "text": "How many requests took how long, over time; for a heat-map.",
            },
        ],
        "dimensions": list(FILTERS.values()),
        "variables": dict(FILTERS),
    }


def register(app: Dash, data: Data) -> None:
    boards = Boards(data)
    clientside: Any = app.clientside_callback

    @app.callback(
        Output("board-head", "children"),
        Output("board", "children"),
        Output("board-state", "data"),
        Input("board-asked", "data"),
        Input("board-draft", "data"),
    )
    @guarded(outputs=3, show_in=0)
    async def show(asked: object, draft: object) -> tuple[Any, ...]:
        wanted = asked if isinstance(asked, dict) else {}
        name, version = str(wanted.get("id", ""))[:60], wanted.get("version")
        person = identity.current()
        try:
            saved = await asyncio.to_thread(
                boards.get, name, version if isinstance(version, int) and version > 0 else None
            )
        except DashboardMissing:
            return missing(), None, None
        if saved.version:
            await asyncio.to_thread(_viewed, boards, name, person.id)
        shown, editing = saved.dashboard, False
        if isinstance(draft, dict) and draft.get("id") == name and draft.get("rev"):
            try:
                shown = Dashboard.model_validate(draft.get("dashboard"))
                editing = True
            except ValidationError as err:
                return sentence(first_problem(err)), None, None
        state = {
            "id": name,
            "version": saved.version,
            "newest": saved.newest,
            "author": saved.author,
            "dashboard": shown.model_dump(mode="json"),
            "editing": editing,
            "mayEdit": person.may("dashboards.edit"),
            "maySql": person.may("sql"),
        }
        asked_of = {"id": name, "version": saved.version}
        return (
            board_head(saved, shown, person),
            grid.board_grid(shown, asked_of) if shown.panels else empty(person),
            state,
        )

    clientside(
        ClientsideFunction("gatelens_board", "arrived"),
        Output("board-arrived", "data"),
        Input("board-state", "data"),
        Input(ids.URL, "search"),
    )

    @app.callback(
        Output(grid.cell_id(grid.CELL_BODY, MATCH), "children"),
        Output(grid.cell_id(grid.CELL_HEAD, MATCH), "children"),
        Input(ids.VIEW, "data"),
        Input(grid.cell_id(grid.CELL_PANEL, MATCH), "data"),
    )
    @guarded(outputs=2, show_in=0)
    async def one_panel(stored: object, cell: object) -> tuple[Component, Component]:
        view = data.view(stored)
        drawn, panel = await _answer(boards, view, cell)
        return drawn, grid.head(panel) if panel else None

    @app.callback(
        Output("editor-preview", "children"),
        Output("editor-preview-title", "children"),
        Output("editor-preview", "className"),
        Input("editor-panel", "data"),
        # Asked with a new range, too, it would still be on its way when the screen is left for
        # another with another range: an error in the browser.
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    @guarded(outputs=3, show_in=0)
    async def preview(cell: object, stored: object) -> tuple[Component, Component, str]:
        if not cell:
            return None, None, "gl-cell-body"
        drawn, panel = await _answer(boards, data.view(stored), cell, preview=True)
        title = html.H2(
            panel.title if panel and panel.title else "Preview", className="gl-panel-title"
        )
        return drawn, title, f"gl-cell-body {panel.kind if panel else ''}"


async def _answer(
    boards: Boards, view: View, cell: object, *, preview: bool = False
) -> tuple[Component, Panel | None]:
    """What a panel shows, and the panel if it is one. `cell`: as grid.py stores it."""
    asked = cell if isinstance(cell, dict) else {}
    panel = read_panel(asked.get("panel"))
    if not isinstance(panel, Panel):
        return panel, None
    name, version = str(asked.get("id", ""))[:60], asked.get("version")
    try:
        await asyncio.to_thread(
            boards.check_asks, panel, name, version if isinstance(version, int) else None
        )
    except CustomError as err:
        return sentence(str(err)), panel
    if preview:
        # Another id than the panel behind the dialog: two charts of one id confuse the framework.
        panel = panel.model_copy(update={"id": "preview"})
    return await content(boards.data, panel, view), panel


def _viewed(boards: Boards, name: str, person: str) -> None:
    boards.store.mark_viewed(name, person)
