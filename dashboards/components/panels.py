"""Panels, and charts in them with what one can do from a chart."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from dashboards import ids
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
    note: str = "",
    action: Component = None,
    className: str = "",
    id: str = "",
) -> Component:
    head = html.Div(
        [
            html.H2(title, className="gl-panel-title"),
            html.Span(note, className="gl-panel-note") if note else None,
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
    note: str = "",
    height: int = 220,
    alert: str = "",
    raw: str = "",
    className: str = "",
) -> Component:
    """A panel with one chart over time; dragging on it sets the page's range.

    alert: measure a rule made from this chart watches; '' = the chart is not about requests and
    offers neither a rule nor raw requests. raw: filters its raw requests have beyond the page's.
    """
    return panel(
        title,
        graph(ids.time_graph(name), height=height, label=title),
        note=note,
        action=chart_menu(title, alert, raw) if alert else None,
        className=className,
    )


def chart_menu(title: str, alert: str, raw: str = "") -> Component:
    """What one can do from a chart; assets/gl_palette.js acts on it."""

    def item(text: str, **values: str) -> Component:
        return html.Button(text, className="gl-menu-item", type="button", **attrs(values))

    return html.Details(
        [
            html.Summary("⋯", className="gl-dots", **attrs({"aria-label": f"Actions of {title}"})),
            html.Div(
                html.Div(
                    [
                        item("Raw requests", **{"data-gl-raw": raw}),
                        item("Create alert", **{"data-gl-alert": alert}),
                        item("Add to dashboard", **{"data-gl-pin": alert, "data-gl-title": title}),
                    ],
                    className="gl-pop-list",
                ),
                className="gl-pop-body",
            ),
        ],
        className="gl-pop",
    )
