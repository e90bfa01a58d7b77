"""Custom dashboards, the list: one's favourites and last seen first, folders, ready-made ones."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from dash import Dash, Input, Output, dcc, html

from dashboards import format as fmt
from dashboards import identity, ids
from dashboards.components import Component, attrs, page_head, page_link, skeleton_rows, when
from dashboards.custom.boards import Boards
from dashboards.custom.definition import Dashboard
from dashboards.custom.store import Entry
from dashboards.custom.templates import templates
from dashboards.data import Data
from dashboards.guard import guarded
from dashboards.view import View

RECENT = 4
"""Dashboards shown as last viewed, above the folders."""


def layout(_data: Data) -> Component:
    return html.Div(
        [
            dcc.Store(id="boards-changed", data=0),
            page_head(
                "Dashboards",
                "Your own screens, made of measures or SQL",
                [_button("Import YAML", "import"), _button("New dashboard", "new", "primary")]
                if identity.allowed("dashboards.edit")
                else None,
            ),
            html.Div(
                dcc.Input(
                    id="boards-find",
                    className="gl-input grow",
                    type="search",
                    placeholder="Find a dashboard by title, folder or author",
                    autoComplete="off",
                    maxLength=100,
                ),
                className="gl-toolbar",
            ),
            html.Div(skeleton_rows(6), id="boards-list"),
        ]
    )


def register(app: Dash, data: Data) -> None:
    boards = Boards(data)

    @app.callback(
        Output("boards-list", "children"),
        Input("boards-changed", "data"),
        Input(ids.VIEW, "data"),
        Input("boards-find", "value"),
    )
    @guarded(show_in=0)
    async def show(_changed: object, stored: object, typed: object) -> Component:
        person = identity.current()
        entries = await asyncio.to_thread(boards.store.all, person.id)
        wanted = str(typed or "").strip().lower()
        view = data.view(stored)
        return board_list(entries, wanted, view, data.clock(), person)


def board_list(
    entries: list[Entry], wanted: str, view: View, now: datetime, person: identity.Principal
) -> Component:
    """Sections of cards; `wanted`: lower-case words that a card must have, '' = all."""

    def fits(*texts: str) -> bool:
        return all(any(word in text.lower() for text in texts) for word in wanted.split())

    shown = [e for e in entries if fits(e.title, e.folder, e.description, e.updated_by)]
    ready = [t for t in templates() if fits(t.dashboard.title, t.dashboard.description)]
    recent = sorted((e for e in shown if e.viewed_at), key=lambda e: -(e.viewed_at or 0))
    sections: list[Component] = []
    if favourites := [e for e in shown if e.favourite]:
        sections.append(_section("Favourites", [_card(e, view, now) for e in favourites]))
    if len(shown) > RECENT and recent:
        sections.append(_section("Last viewed", [_card(e, view, now) for e in recent[:RECENT]]))
    for folder in sorted({e.folder for e in shown}, key=str.lower):
        cards = [_card(e, view, now) for e in shown if e.folder == folder]
        sections.append(_section(folder or "Dashboards", cards, id=f"folder-{folder}"))
    if not entries and person.may("dashboards.edit") and not wanted:
        sections.append(_first_one())
    if ready:
        cards = [_template_card(t.id, t.dashboard, view) for t in ready]
        sections.append(_section("Ready made", cards, note="filled with your data at once"))
    if not sections:
        sections.append(html.Div("No dashboard has these words.", className="gl-none"))
    return sections


def _section(title: str, cards: list[Component], *, note: str = "", id: str = "") -> Component:
    head = [html.H2(title), html.Span(note, className="gl-panel-note") if note else None]
    more: dict[str, Any] = {"id": id} if id else {}
    return html.Section(
        [html.Div(head, className="gl-section-head"), html.Div(cards, className="gl-cards")], **more
    )


def _card(entry: Entry, view: View, now: datetime) -> Component:
    star = "★" if entry.favourite else "☆"
    saved = datetime.fromtimestamp(entry.updated_at, UTC)
    return html.Div(
        [
            html.Div(
                [
                    page_link(
                        fmt.plain(entry.title), f"/dashboards/{entry.id}{view.query()}", "gl-name"
                    ),
                    html.Button(
                        star,
                        type="button",
                        className="gl-star on" if entry.favourite else "gl-star",
                        title="No favourite any more" if entry.favourite else "Make it a favourite",
                        **attrs(
                            {
                                "data-gl-star": entry.id,
                                "aria-pressed": str(entry.favourite).lower(),
                                "aria-label": f"Favourite: {entry.title}",
                            }
                        ),
                    ),
                ],
                className="gl-card-head",
            ),
            html.P(fmt.plain(entry.description, 160)) if entry.description else None,
            html.Div(
                [f"{fmt.plain(entry.updated_by, 40)}, ", when(saved, now)],
                className="gl-card-foot",
            ),
        ],
        className="gl-card",
    )


def _template_card(template_id: str, dashboard: Dashboard, view: View) -> Component:
    start = dashboard.range or view.from_text
    href = f"/dashboards/{template_id}{view.query(**{'from': start, 'to': 'now'})}"
    return html.Div(
        [
            html.Div(page_link(dashboard.title, href, "gl-name"), className="gl-card-head"),
            html.P(dashboard.description),
            html.Div(f"{len(dashboard.panels)} panels", className="gl-card-foot"),
        ],
        className="gl-card",
    )


def _first_one() -> Component:
    return html.Div(
        [
            html.H2("No dashboard of your own yet"),
            html.P(
                "Start with an empty one, or open a ready-made one below: it is filled with your "
                "data at once, and saving it makes a copy that is yours to change."
            ),
            _button("New dashboard", "new", "primary"),
        ],
        className="gl-empty",
    )


def _button(text: str, what: str, looks: str = "") -> Component:
    return html.Button(
        text,
        type="button",
        className=f"gl-button {looks}".strip(),
        **attrs({"data-gl-boards": what}),
    )
