"""Fields and feet of forms."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from dashboards import identity
from dashboards.components.base import Component


def text_field(
    id: str | dict[str, str], label: str, placeholder: str = "", **more: Any
) -> Component:
    """A labelled line of text; `more` goes to dcc.Input."""
    options = {"maxLength": 500, "autoComplete": "off", **more}
    field = dcc.Input(id=id, type="text", placeholder=placeholder, className="gl-input", **options)
    return html.Label([label, field])


def author_field(id: str) -> Component:
    """Whose deed it is: asked only where nobody signs in, since identity.author believes the login
    and nothing else."""
    label: Any = text_field(id, "Your name", "who asks", persistence="author")
    label.hidden = identity.current().kind == "user"
    return label


def button(text: str, id: str, kind: str = "") -> Component:
    """kind: `primary` = the one thing to do here."""
    return html.Button(text, id=id, type="button", className=f"gl-button {kind}".strip())


def form_foot(text: str, button_id: str, said_id: str) -> Component:
    """The button that does it, and the sentence about what came of it."""
    return html.Div(
        [
            button(text, button_id, "primary"),
            html.Div(id=said_id, className="gl-said", role="status"),
        ],
        className="gl-form-foot",
    )


def end_button(kind: str, key: str) -> Component:
    """Ends something that runs: `kind` is the type of its pattern id."""
    return html.Button(
        "End now", className="gl-link-button", type="button", id={"type": kind, "key": key}
    )
