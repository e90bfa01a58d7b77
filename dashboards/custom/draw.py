"""A panel's answer as a component: which builder draws which kind. Pure."""

from __future__ import annotations

from dash import dcc, html

from dashboards import ids
from dashboards.components import GRAPH_CONFIG, Component, attrs
from dashboards.custom import markdown
from dashboards.custom.answer import Answer
from dashboards.custom.definition import Panel
from dashboards.custom.draw_areas import treemap, world
from dashboards.custom.draw_chart import heatmap, time_series
from dashboards.custom.draw_rows import bars, numbers, table
from dashboards.custom.look import Look
from dashboards.figures.base import Figure

_CHARTS = {"time_series": time_series, "heatmap": heatmap}
_ROWS = {"bar": bars, "table": table, "number": numbers, "treemap": treemap, "map": world}


def draw(panel: Panel, answer: Answer | None, look: Look) -> Component:
    """answer None: the panel asks nothing (a text)."""
    if panel.kind == "text" or answer is None:
        if not panel.text:
            return html.Div("This text is empty.", className="gl-none")
        return markdown.render(panel.text)
    if panel.kind in _CHARTS:
        return chart(_CHARTS[panel.kind](panel, answer, look), panel)
    return _ROWS[panel.kind](panel, answer, look)


def chart(figure: Figure, panel: Panel) -> Component:
    """A chart that fills its panel; dragging over it sets the range of the page."""
    return html.Div(
        dcc.Graph(
            id=ids.time_graph(f"panel-{panel.id}"),
            figure=figure,
            config=GRAPH_CONFIG,
            responsive=True,
            className="gl-fill-graph",
        ),
        className="gl-fill-graph",
        role="img",
        **attrs({"aria-label": panel.title or panel.kind.replace("_", " ")}),
    )
