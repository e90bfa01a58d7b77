"""Marks on charts over time: when a new version of a service took over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboards.figures.base import Figure, TimeAxis
from dashboards.format import for_plotly
from dashboards.theme import tokens

MARKS_MAX = 12
"""More would hide the chart; the newest are kept."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment with a name."""

    time: datetime
    text: str


def mark(fig: Figure, marks: Sequence[Mark], axis: TimeAxis) -> None:
    """Draw thin dashed lines with their names on top; nothing on a chart that shows a sentence."""
    if not marks or not fig.data:
        return
    t = tokens(axis.mode)
    shown = sorted(marks, key=lambda m: m.time)[-MARKS_MAX:]
    fig.layout["shapes"] = [
        *fig.layout.get("shapes", []),
        *(
            {
                "type": "line",
                "x0": axis.shown(m.time),
                "x1": axis.shown(m.time),
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": t.accent, "width": 1, "dash": "dash"},
            }
            for m in shown
        ),
    ]
    fig.layout["annotations"] = [
        *fig.layout.get("annotations", []),
        *(
            {
                "x": axis.shown(m.time),
                "y": 1,
                "yref": "paper",
                "yanchor": "bottom",
                "xanchor": "left" if index % 2 else "right",
                "showarrow": False,
                "text": for_plotly(m.text, 28),
                "font": {"size": 10.5, "color": t.accent},
            }
            for index, m in enumerate(shown)
        ),
    ]
