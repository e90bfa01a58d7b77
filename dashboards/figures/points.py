"""Lines through points at times of their own: what somebody's SQL gives over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from dashboards import format as fmt
from dashboards.figures.base import (
    Figure,
    TimeAxis,
    figure,
    finite_max,
    message,
    time_axis,
    value_axis,
)
from dashboards.figures.series import Line as Named
from dashboards.figures.series import swatches
from dashboards.theme import rgba

Style = Literal["lines", "areas", "bars"]


@dataclass(frozen=True, slots=True)
class Points:
    """One series, in order of time. None = not measured: a gap."""

    name: str
    times: Sequence[datetime]
    values: list[float | None]
    colour: str


def point_chart(
    series: Sequence[Points], axis: TimeAxis, style: Style, formatter: fmt.Formatter, *, empty: str
) -> Figure:
    """Lines, areas or bars; the axis is the asked range, whatever the times are."""
    if not any(v is not None for s in series for v in s.values):
        return message(empty, axis.mode)
    fig = figure(axis.mode, barmode="stack", bargap=0.12)
    for each in series:
        name = fmt.for_plotly(each.name, 32)
        look: dict[str, Any] = {"marker": {"color": each.colour}}
        if style != "bars":
            look = {
                "mode": "lines+markers" if len(each.times) == 1 else "lines",
                "line": {"width": 1.5, "color": each.colour},
                "connectgaps": False,
            }
        if style == "areas":
            look |= {"stackgroup": "all", "fillcolor": rgba(each.colour, 0.42)}
        fig.add(
            "bar" if style == "bars" else "scatter",
            x=list(each.times),
            y=each.values,
            name=name,
            legendgroup=name,
            showlegend=False,
            customdata=[formatter(v) for v in each.values],
            hovertemplate="%{customdata}",
            **look,
        )
    if len(series) > 1:
        swatches(fig, [Named(s.name, s.values, s.colour) for s in series])
    time_axis(fig, axis)
    low = min((v for s in series for v in s.values if v is not None), default=0.0)
    if low >= 0:
        value_axis(fig, _top(series, style), formatter)
    else:
        fig.update_axis("yaxis", fixedrange=True, rangemode="normal", zeroline=True)
    return fig


def _top(series: Sequence[Points], style: Style) -> float:
    if style == "lines":
        return finite_max(*(s.values for s in series))
    sums: dict[datetime, float] = {}
    for each in series:
        for time, value in zip(each.times, each.values, strict=True):
            sums[time] = sums.get(time, 0.0) + (value or 0.0)
    return max(sums.values(), default=0.0)
