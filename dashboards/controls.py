"""Search fields whose value lives in the URL: Enter writes it there, a link fills them in."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html

from dashboards import ids
from dashboards.components import Component, attrs


def field(page: str, name: str, placeholder: str, *, grow: bool = False) -> Component:
    """A text field for the URL parameter `name`."""
    return dcc.Input(
        id=f"param-{page}-{name}",
        className="gl-input grow" if grow else "gl-input",
        type="text",
        placeholder=placeholder,
        autoComplete="off",
        maxLength=300,
    )


def chip(text: str, setting: str) -> Component:
    """A button that changes parameters of the URL, written as a query string."""
    return html.Button(text, className="gl-chip", type="button", **attrs({"data-gl-set": setting}))


def register_fields(app: Dash, page: str, *names: str) -> None:
    """Keep the fields of a page in step with the URL, in the browser alone."""
    clientside: Any = app.clientside_callback
    for name in names:
        own_id = f"param-{page}-{name}"
        clientside(
            ClientsideFunction("gatelens", "param"),
            Output(own_id, "value"),
            Input(ids.URL, "search"),
            State(own_id, "id"),
        )
