"""Dash components as HTML text, for the one page that is made without Dash: the public link.

Every text and every attribute is escaped; an attribute that is not listed is left out.
"""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

from plotly.utils import PlotlyJSONEncoder

from dashboards.components import Component
from dashboards.custom.checks import safe_url

_VOID = frozenset({"br", "hr", "img"})
_ATTRIBUTES = {"className": "class", "htmlFor": "for"} | {
    name: name for name in ("id", "title", "role", "type", "alt", "target", "rel", "colSpan")
}
_CAMEL = re.compile(r"(?<!^)(?=[A-Z])")


def to_html(component: Component) -> str:
    """The component and all inside it. None is nothing; a chart becomes a place for it, which
    assets/gl_public.js draws."""
    if component is None:
        return ""
    if isinstance(component, list | tuple):
        return "".join(to_html(part) for part in component)
    if not hasattr(component, "to_plotly_json"):
        return escape(str(component))
    raw = component.to_plotly_json()
    kind, props = raw["type"], raw["props"]
    if kind == "Graph":
        return _graph(props)
    tag = kind.lower()
    if not re.fullmatch(r"[a-z][a-z0-9]*", tag) or raw["namespace"] != "dash_html_components":
        raise ValueError(f"{kind} has no place on a page without Dash")
    opened = f"<{tag}{_attributes(props)}>"
    if tag in _VOID:
        return opened
    return f"{opened}{to_html(props.get('children'))}</{tag}>"


def _graph(props: dict[str, Any]) -> str:
    figure = json.dumps(props["figure"].to_plotly_json(), cls=PlotlyJSONEncoder)
    return f'<div class="gl-plot gl-fill-graph" data-figure="{escape(figure)}"></div>'


def _attributes(props: dict[str, Any]) -> str:
    out = []
    for name, value in props.items():
        if value is None or name == "children":
            continue
        if name == "style":
            css = ";".join(f"{_CAMEL.sub('-', k).lower()}:{v}" for k, v in value.items())
            out.append(f' style="{escape(css)}"')
        elif name == "href":
            out.append(f' href="{escape(safe_url(str(value)))}"')
        elif name == "src":
            if str(value).startswith(("data:image/svg+xml,", "/branding/")):
                out.append(f' src="{escape(str(value))}"')
        elif name.startswith(("data-", "aria-")):
            out.append(f' {name}="{escape(str(value))}"')
        elif name in _ATTRIBUTES:
            out.append(f' {_ATTRIBUTES[name].lower()}="{escape(str(value))}"')
    return "".join(out)
