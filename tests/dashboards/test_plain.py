"""What only shows something goes to the browser as one component; what callbacks use stays."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from dashboards.components import lightened, table
from dashboards.components.plain import Plain
from dashboards.components.tables import Head


def sent(component: Any) -> Any:
    return component.to_plotly_json()


def test_a_table_becomes_one_component() -> None:
    rows = [[html.A("orders", href="/apis/orders", **{"data-gl-go": "1"}), 12]]
    light = lightened(table([Head("API"), Head("Requests", right=True)], rows, empty="none"), ())

    assert isinstance(light, Plain)
    tree = sent(light)["props"]["tree"]
    assert tree[0][0] == "div" and tree[0][1] == {"className": "gl-table-wrap"}
    body = tree[0][2][3]
    assert body[2][2] == [
        "td", {"className": ""}, ["a", {"href": "/apis/orders", "data-gl-go": "1"}, "orders"]
    ]  # fmt: skip
    assert body[2][3] == ["td", {"className": "r"}, "12"]


def test_what_callbacks_use_stays_and_its_neighbours_go_together() -> None:
    light = lightened(
        html.Div(
            [
                html.H1("Title"),
                html.P(["text", None]),
                html.Div(html.Span("old"), id="shown"),
                html.Button("Go", id={"type": "go", "key": "1"}),
                dcc.Store(id="kept"),
                html.Div(html.Span(id="of-nobody")),
            ]
        ),
        {"shown"},
    )

    kinds = [(type(part).__name__, getattr(part, "id", None)) for part in light.children]
    assert kinds == [
        ("Plain", None), ("Div", "shown"), ("Button", {"type": "go", "key": "1"}),
        ("Store", "kept"), ("Plain", None),
    ]  # fmt: skip
    assert light.children[0].tree == [["h1", {}, "Title"], ["p", {}, "text"]]
    assert light.children[4].tree == [["div", {}, ["span", {"id": "of-nobody"}]]]


def test_values_that_are_no_components_are_left_alone() -> None:
    for value in ("text", 3, None, [1, 2], {"data": []}, ["a", "b"]):
        assert lightened(value, ()) is value
