"""The skeleton every screen is built on: head, state row, panels; each shimmers until its data."""

from __future__ import annotations

from dash import html

from dashboards.components.base import Component
from dashboards.components.links import page_head
from dashboards.components.panels import panel
from dashboards.components.states import skeleton_rows, skeleton_stats


def screen(
    key: str,
    title: Component,
    *panels: Component,
    sub: Component = None,
    stats: int = 0,
    above: tuple[Component, ...] = (),
    below_head: tuple[Component, ...] = (),
    below_stats: tuple[Component, ...] = (),
    actions: Component = None,
) -> Component:
    """A whole page. Ids: `<key>-sub` is the line under the title unless `sub` is given,
    `<key>-stats` the state row of `stats` cards (0 = none). `above` comes before the head,
    `below_head` between head and state row, `below_stats` between that and the panels."""
    return html.Div(
        [
            *above,
            page_head(title, html.Span(id=f"{key}-sub") if sub is None else sub, actions),
            *below_head,
            *([html.Div(skeleton_stats(stats), id=f"{key}-stats")] if stats else []),
            *below_stats,
            html.Div(list(panels), className="gl-grid"),
        ]
    )


def waiting(
    title: str,
    id: str,
    *,
    rows: int = 8,
    note: str = "",
    action: Component = None,
    className: str = "flush",
    scroll: bool = False,
) -> Component:
    """A panel whose content is the output `id`; `rows` grey lines stand in until the first."""
    body = html.Div(skeleton_rows(rows), id=id, className="gl-scroll low" if scroll else "")
    return panel(title, body, note=note, action=action, className=className)
