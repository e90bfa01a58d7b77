"""The grid of a dashboard: a cell per panel at its place, filled by a callback each.

While looking, the places are plain CSS grid; while editing, assets/gl_board_edit.js lays gridstack
over the same cells. On narrow screens cells stack in the order they have on the grid.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from dash import dcc, html

from dashboards import format as fmt
from dashboards import identity
from dashboards.components import Component, attrs
from dashboards.custom import markdown
from dashboards.custom.definition import Dashboard, Panel, short
from dashboards.custom.source import LATENCY_SPREAD
from dashboards.view import FILTERS

CELL_BODY = "cell-body"
CELL_PANEL = "cell-panel"
CELL_HEAD = "cell-head"

_PARAMETER_OF = {dimension: name for name, dimension in FILTERS.items()}


def cell_id(kind: str, key: Any) -> dict[str, Any]:
    """key: the panel id, or a wildcard of the framework."""
    return {"type": kind, "key": key}


def board_grid(dashboard: Dashboard, asked: dict[str, Any]) -> Component:
    """asked: {"id", "version"} of what is saved; goes back with each panel's question, so that the
    server knows whether the panel's SQL is one that was saved."""
    panels = sorted(dashboard.panels, key=lambda p: (p.at.y, p.at.x))
    return html.Div([cell(panel, asked) for panel in panels], className="gl-board")


def cell(panel: Panel, asked: dict[str, Any]) -> Component:
    at = panel.at
    return html.Div(
        html.Div(
            [
                html.Div(
                    head(panel), id=cell_id(CELL_HEAD, panel.id), className="gl-panel-head gl-grip"
                ),
                html.Div(
                    html.Div(className="gl-skeleton gl-fill-graph"),
                    id=cell_id(CELL_BODY, panel.id),
                    className=f"gl-cell-body {panel.kind}",
                ),
                dcc.Store(id=cell_id(CELL_PANEL, panel.id), data={"panel": short(panel), **asked}),
            ],
            className="grid-stack-item-content gl-panel",
        ),
        className="gl-cell grid-stack-item",
        id=f"panel-{panel.id}",
        role="group",
        style={
            "gridColumn": f"{at.x + 1} / span {at.w}",
            "gridRow": f"{at.y + 1} / span {at.h}",
        },
        **attrs(
            {
                "data-panel": panel.id,
                "data-at": f"{at.x},{at.y},{at.w},{at.h}",
                "aria-label": panel.title or panel.kind.replace("_", " "),
            }
        ),
    )


def head(panel: Panel) -> Component:
    """Title, what it means, links, and what one can do with it."""
    return [
        html.H2(fmt.plain(panel.title, 120), className="gl-panel-title") if panel.title else None,
        html.Span(
            "i",
            className="gl-info",
            title=panel.description,
            **attrs({"aria-label": panel.description}),
        )
        if panel.description
        else None,
        html.Span(
            [markdown.link(each.title, each.url, "gl-panel-link") for each in panel.links],
            className="gl-panel-links",
        )
        if panel.links
        else None,
        html.Div(menu(panel), className="gl-panel-action"),
    ]


def menu(panel: Panel) -> Component:
    source = panel.source
    filters = urlencode(
        [(_PARAMETER_OF[d], value) for d, values in source.filters.items() for value in values]
    )
    asks_measures = bool(source.measures)
    alert = next((m for m in source.measures if m != LATENCY_SPREAD), "")
    sql = f"/sql?{urlencode({'sql': source.sql})}" if source.sql else ""
    asks_sql = sql and len(sql) < 4_000 and identity.allowed("sql")
    looking = [
        _item("Look closer", **{"data-gl-panel": "closer"}),
        _item("Raw requests", **{"data-gl-raw": filters}) if asks_measures else None,
        _item(
            "Create alert",
            **{
                "data-gl-alert": alert,
                "data-gl-filters": filters,
            },
        )
        if alert and identity.manages_alerts()
        else None,
        html.A("Open in SQL", href=sql, className="gl-menu-item", **attrs({"data-gl-go": "1"}))
        if asks_sql
        else None,
        _item("Download CSV", **{"data-gl-panel": "csv"})
        if panel.kind != "text" and identity.allowed("export")
        else None,
        _item("Copy link to this panel", **{"data-gl-panel": "link"}),
    ]
    editing = (
        [
            _item("Edit", **{"data-gl-panel": "edit"}),
            _item("Duplicate", **{"data-gl-panel": "duplicate"}),
            _item("Remove", **{"data-gl-panel": "remove"}),
        ]
        if identity.allowed("dashboards.edit")
        else []
    )
    return html.Details(
        [
            html.Summary(
                "⋯",
                className="gl-dots",
                **attrs({"aria-label": f"Actions of {panel.title or 'this panel'}"}),
            ),
            html.Div(
                [
                    html.Div(looking, className="gl-pop-list gl-looking"),
                    html.Div(editing, className="gl-pop-list gl-while-editing")
                    if editing
                    else None,
                ],
                className="gl-pop-body",
            ),
        ],
        className="gl-pop",
    )


def _item(text: str, **values: str) -> Component:
    return html.Button(text, className="gl-menu-item", type="button", **attrs(values))
