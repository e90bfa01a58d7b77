"""The head of a custom dashboard: what it is, which version, what one may do with it."""

from __future__ import annotations

from dash import html

from dashboards.components import Component, attrs, crumbs, page_link
from dashboards.custom.definition import Dashboard
from dashboards.custom.store import Saved
from dashboards.identity import Principal


def missing() -> Component:
    return html.Div(
        [
            html.Div(html.H1("No such dashboard"), className="gl-page-head"),
            html.P(["It may have been deleted. ", page_link("All dashboards", "/dashboards")]),
        ]
    )


def empty(person: Principal) -> Component:
    return html.Div(
        [
            html.H2("An empty dashboard"),
            html.P(
                "A panel shows a measure of your APIs, or the rows of a SQL statement, as a chart, "
                "a table, a number, a map. Everything can be moved and changed later."
            ),
            html.Button(
                "Add a panel",
                type="button",
                className="gl-button primary",
                **attrs({"data-gl-board": "add"}),
            )
            if person.may("dashboards.edit")
            else None,
        ],
        className="gl-empty",
    )


def board_head(saved: Saved, shown: Dashboard, person: Principal) -> Component:
    folder = [(shown.folder, "/dashboards")] if shown.folder else []
    old = _is_old(saved)
    ready = saved.version == 0
    return html.Div(
        [
            html.Div(
                [
                    crumbs(("Dashboards", "/dashboards"), *folder, (shown.title, "")),
                    html.H1(
                        [
                            shown.title,
                            html.Span(
                                f"version {saved.version}, an old one", className="gl-badge warn"
                            )
                            if old
                            else None,
                            html.Span("ready made", className="gl-badge") if ready else None,
                        ]
                    ),
                    html.Div(shown.description, className="gl-sub") if shown.description else None,
                ]
            ),
            html.Div(
                [*_looking(saved, person), *_editing(saved, person)],
                className="gl-head-actions",
            ),
        ],
        className="gl-page-head",
    )


def _looking(saved: Saved, person: Principal) -> list[Component]:
    ready, edits = saved.version == 0, person.may("dashboards.edit")
    old = _is_old(saved)
    shown: list[Component] = [_button("Copy link", "share", "gl-looking")]
    if old and edits:
        shown.append(_button("Restore this version", "restore", "gl-looking primary"))
    if edits and not old:
        shown.append(_button("Edit a copy" if ready else "Edit", "edit", "gl-looking primary"))
    more = [
        ("Versions", "versions", not ready),
        ("Public links", "links", not ready and person.may("dashboards.share")),
        ("Export as YAML", "export", True),
        ("Save a copy", "copy", edits),
        ("Delete", "delete", not ready and edits),
    ]
    return [*shown, _menu([(text, what) for text, what, may in more if may])]


def _menu(items: list[tuple[str, str]]) -> Component:
    buttons = [
        html.Button(text, type="button", className="gl-menu-item", **attrs({"data-gl-board": what}))
        for text, what in items
    ]
    return html.Details(
        [
            html.Summary("⋯", className="gl-button icon", **attrs({"aria-label": "More actions"})),
            html.Div(html.Div(buttons, className="gl-pop-list"), className="gl-pop-body"),
        ],
        className="gl-pop gl-looking",
    )


def _editing(saved: Saved, person: Principal) -> list[Component]:
    """Shown by the browser while one edits, which an old version is not."""
    if not person.may("dashboards.edit"):
        return []
    return [
        _button("Add a panel", "add", "gl-while-editing"),
        _button("Settings", "settings", "gl-while-editing"),
        _button("Discard", "discard", "gl-while-editing"),
        _button("Save" if saved.version else "Save a copy", "save", "gl-while-editing primary"),
    ]


def _is_old(saved: Saved) -> bool:
    """Whether there is a newer version than this one; a ready-made dashboard has none."""
    return 0 < saved.version < saved.newest


def _button(text: str, what: str, looks: str) -> Component:
    return html.Button(
        text, type="button", className=f"gl-button {looks}", **attrs({"data-gl-board": what})
    )
