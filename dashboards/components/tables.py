"""Small tables. Long ones are grids (grids.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dash import html

from dashboards import format as fmt
from dashboards.components.base import Component


@dataclass(frozen=True, slots=True)
class Head:
    """A table's column; numbers stand right."""

    title: str
    right: bool = False
    width: str = ""


def table(heads: Sequence[Head], rows: Sequence[Sequence[Component]], *, empty: str) -> Component:
    """A small table. `empty` is the sentence shown instead of no rows."""
    if not rows:
        return html.Div(empty, className="gl-none")
    return html.Div(
        html.Table(
            [
                html.Thead(
                    html.Tr(
                        [
                            html.Th(
                                h.title,
                                className="r" if h.right else "",
                                style={"width": h.width} if h.width else {},
                            )
                            for h in heads
                        ]
                    )
                ),
                html.Tbody(
                    [
                        html.Tr(
                            [
                                html.Td(cell, className="r" if head.right else "")
                                for head, cell in zip(heads, row, strict=True)
                            ]
                        )
                        for row in rows
                    ]
                ),
            ],
            className="gl-table",
        ),
        className="gl-table-wrap",
    )


def share_bar(share: float | None, colour: str) -> Component:
    """A share from 0 to 1 as a thin bar."""
    width = f"{max(0.0, min(1.0, share or 0.0)) * 100:.1f}%"
    return html.Div(
        html.Div(style={"width": width, "background": colour}),
        className="gl-bar",
        title=fmt.percent(share),
    )
