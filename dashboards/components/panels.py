"""Panels, and charts in them with what one can do from a chart."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from dashboards import identity, ids
from dashboards.components.base import Component, attrs

GRAPH_CONFIG: Any = {
    "displaylogo": False,
    "displayModeBar": False,
    "responsive": True,
    "doubleClick": "reset",
    "scrollZoom": False,
}


_BLANK = {
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "xaxis": {"visible": False},
    "yaxis": {"visible": False},
}


def panel(
    title: str,
    body: Component,
    *,
    note: Component = "",
    action: Component = None,
    className: str = "",
    id: str = "",
) -> Component:
    head = html.Div(
        [
            html.H2(title, className="gl-panel-title"),
            # An empty component counts as false.
            html.Span(note, className="gl-panel-note") if note != "" else None,
            html.Div(action, className="gl-panel-action") if action is not None else None,
        ],
        className="gl-panel-head",
    )
    extra: dict[str, Any] = {"id": id} if id else {}
    return html.Section(
        [head, html.Div(body, className="gl-panel-body")],
        className=f"gl-panel {className}".strip(),
        **extra,
    )


def graph(
    id: str | dict[str, str],
    *,
    height: int = 220,
    label: str = "",
    **config: Any,
) -> Component:
    """A chart's place, shimmering until its first figure comes. config: beside GRAPH_CONFIG."""
    options: Any = {**GRAPH_CONFIG, **config}
    return html.Div(
        dcc.Graph(
            id=id,
            config=options,
            responsive=True,
            style={"height": f"{height}px"},
            figure={"data": [], "layout": _BLANK},
        ),
        className="gl-graph",
        role="img",
        **attrs({"aria-label": label or "chart"}),
    )


def time_chart(
    title: str,
    name: str,
    *,
    note: Component = "",
    height: int = 220,
    alert: str = "",
    raw: str = "",
    rule: str = "",
    file: str = "",
    className: str = "",
) -> Component:
    """A panel with one chart over time; dragging on it sets the page's range.

    alert: measure a rule made from this chart watches; '' = the chart is not about requests and
    has no raw requests. raw: filters its raw requests have beyond the page's. rule: kind of rule a
    chart about something else offers, its raw rows being on the same screen. file: answer of the
    HTTP API with its numbers, for people who may neither see raw requests nor make rules.
    """
    menu = None
    if alert:
        menu = chart_menu(title, alert, raw)
    elif rule:
        menu = rule_menu(title, rule)
    elif file and identity.allowed("export"):
        menu = _menu(title, _item("Numbers as CSV", **{"data-gl-file": file}))
    return panel(
        title,
        graph(ids.time_graph(name), height=height, label=title),
        note=note,
        action=menu,
        className=className,
    )


def chart_menu(title: str, alert: str, raw: str = "") -> Component:
    """What the reader can do from a chart; assets/gl_palette.js acts on it. None = nothing."""
    items = [_item("Raw requests", **{"data-gl-raw": raw})] if identity.allowed("read") else []
    if identity.manages_alerts():
        items.append(_item("Create alert", **{"data-gl-alert": alert}))
    if identity.allowed("dashboards.edit"):
        pin = {"data-gl-pin": alert, "data-gl-title": title}
        items.append(_item("Add to dashboard", **pin))
    return _menu(title, *items)


def rule_menu(title: str, kind: str) -> Component:
    """The same of a chart that is not about requests: a rule of that kind, which begins with what
    the page's URL searches (dashboards/rule_starts.py). None for those who may make none."""
    if not identity.manages_alerts():
        return None
    return _menu(title, _item("Create alert", **{"data-gl-rule": kind}))


def _item(text: str, **values: str) -> Component:
    return html.Button(text, className="gl-menu-item", type="button", **attrs(values))


def _menu(title: str, *items: Component) -> Component:
    if not items:
        return None
    return html.Details(
        [
            html.Summary("⋯", className="gl-dots", **attrs({"aria-label": f"Actions of {title}"})),
            html.Div(html.Div(list(items), className="gl-pop-list"), className="gl-pop-body"),
        ],
        className="gl-pop",
    )
