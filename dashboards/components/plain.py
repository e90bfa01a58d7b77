"""Parts of a screen that only show something, sent as one component instead of one per element.

Dash connects every component to its store, and every store looks at all of them on each of the
hundred steps of a screen's updates: 900 small elements cost the browser five seconds. What no
callback reads or writes needs none of that: it goes as one `Plain`, which assets/gl_plain.js turns
into elements.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from dash.development.base_component import Component as DashComponent

from dashboards.components.base import Component

_HTML = "dash_html_components"
_NOT_TAGS = frozenset({"Iframe", "MapEl", "ObjectEl"})
_DASH_ALONE = frozenset(
    {"children", "n_clicks", "n_clicks_timestamp", "disable_n_clicks", "loading_state"}
)

Tree = list[Any]
"""[tag, attributes, *children]; a child is a tree or a text."""


class Plain(DashComponent):
    """`tree`: a list of trees and texts."""

    _namespace = "gatelens"
    _type = "Plain"
    _children_props: list[str] = []
    _base_nodes: list[str] = []
    _prop_names: list[str] = ["tree"]
    _valid_wildcard_attributes: list[str] = []
    available_properties = ("tree",)
    available_wildcard_properties: list[str] = []

    def __init__(self, tree: list[Any]) -> None:
        made: Any = super()  # not typed by the library
        made.__init__(tree=tree)


def lightened(content: Component, used: Collection[str]) -> Component:
    """The same content with every run of elements that only show something as one `Plain`.

    used: ids that callbacks read or write. They, everything with a made-up id (a dict) and what is
    no HTML stay as they are, as do the elements around them. Values that are no components come
    back unchanged.
    """
    if isinstance(content, (list, tuple)):
        if not any(isinstance(one, DashComponent) for one in content):
            return content
        return _runs(content, used)
    if not isinstance(content, DashComponent):
        return content
    tree = _tree(content, used)
    return _opened(content, used) if tree is None else Plain([tree])


def _opened(part: Any, used: Collection[str]) -> Component:
    """A component that stays, its children lightened."""
    children = getattr(part, "children", None)
    if part._namespace == _HTML and children is not None:
        part.children = _runs(_listed(children), used)
    return part


def _runs(children: Iterable[Component], used: Collection[str]) -> list[Component]:
    """Neighbours that only show something go together."""
    out: list[Component] = []
    run: list[Any] = []
    for child in children:
        if child is None:
            continue
        tree = _tree(child, used)
        if tree is not None:
            run.append(tree)
            continue
        out += _closed(run)
        run = []
        out += [_opened(child, used)] if isinstance(child, DashComponent) else [child]
    return out + _closed(run)


def _closed(run: list[Any]) -> list[Component]:
    if not run:
        return []
    # A text alone is lighter as it is.
    return run if all(isinstance(one, str) for one in run) else [Plain(run)]


def _tree(part: Component, used: Collection[str]) -> Tree | str | None:
    """None = it cannot be plain."""
    if isinstance(part, (str, int, float)):
        return str(part)
    if not isinstance(part, DashComponent) or part._namespace != _HTML or part._type in _NOT_TAGS:
        return None
    sent: Any = part.to_plotly_json  # not typed by the library
    props: Mapping[str, Any] = sent()["props"]
    name = props.get("id")
    if name is not None and (not isinstance(name, str) or name in used):
        return None
    if "n_clicks" in props:
        return None
    tree: Tree = [
        part._type.lower(),
        {k: v for k, v in props.items() if k not in _DASH_ALONE and v is not None},
    ]
    children = props.get("children")
    for child in _listed(children):
        if child is None:
            continue
        below = _tree(child, used)
        if below is None:
            return None
        tree.append(below)
    return tree


def _listed(children: Any) -> Iterable[Any]:
    return children if isinstance(children, (list, tuple)) else [children]
