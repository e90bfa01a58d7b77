"""A rule tried on the past: its series, the limit, and when it would have fired."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from alerting.backtest import Backtest
from alerting.point import Labels
from dashboards import format as fmt
from dashboards.figures.base import Figure, TimeAxis, figure, message, time_axis, value_axis
from dashboards.theme import Mode, rgba, tokens

POINTS_MAX = 1_500
"""Points of one line; of more, the highest and lowest of every stretch are drawn."""


def tried_rule(
    tried: Backtest,
    *,
    limit: float | None,
    formatter: fmt.Formatter,
    colour: Callable[[str], str],
    mode: Mode,
) -> Figure:
    """limit: what the values are compared with; None = nothing that could be drawn as a line."""
    if not any(value is not None for curve in tried.curves.values() for _, value in curve):
        return message("Nothing was measured in this time.", mode)
    fig = figure(mode, showlegend=len(tried.curves) > 1)
    top = limit or 0.0
    for labels, curve in tried.curves.items():
        name = series_name(labels)
        drawn = _thinned(list(curve))
        values = [value for _, value in drawn]
        top = max([top, *(v for v in values if v is not None)])
        fig.add(
            "scatter",
            x=[_moment(at) for at, _ in drawn],
            y=values,
            name=fmt.for_plotly(name, 40),
            mode="lines",
            connectgaps=False,
            line={"width": 1.4, "color": colour(name)},
            customdata=[formatter(v) for v in values],
            hovertemplate="%{customdata}",
        )
    shapes: list[dict[str, object]] = [
        {
            "type": "rect", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below",
            "x0": _moment(page.fired_at), "x1": _moment(page.resolved_at or tried.end),
            "fillcolor": rgba(tokens(mode).bad, 0.16), "line": {"width": 0},
        }
        for page in tried.pages
    ]  # fmt: skip
    if limit is not None:
        shapes.append(
            {
                "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": limit, "y1": limit,
                "line": {"color": tokens(mode).bad, "width": 1.2, "dash": "dash"},
            }
        )  # fmt: skip
    fig.layout["shapes"] = shapes
    step = max(60, int(tried.looked_every_s))
    time_axis(fig, TimeAxis(_moment(tried.start), _moment(tried.end), step, mode))
    value_axis(fig, top, formatter)
    return fig


def series_name(labels: Labels) -> str:
    """'orders /orders/{id}'; a rule that tells no series apart has one, called 'all'."""
    return " ".join(value for _, value in labels) or "all"


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _thinned(
    curve: list[tuple[float, float | None]],
) -> list[tuple[float, float | None]]:
    """At most about POINTS_MAX points that keep every peak, dip and gap in sight."""
    if len(curve) <= POINTS_MAX:
        return curve
    stretch = -(-len(curve) * 2 // POINTS_MAX)
    kept: list[tuple[float, float | None]] = []
    for begin in range(0, len(curve), stretch):
        part = curve[begin : begin + stretch]
        known = [point for point in part if point[1] is not None]
        if not known:
            kept.append(part[0])
            continue
        ends = {min(known, key=lambda p: p[1] or 0.0), max(known, key=lambda p: p[1] or 0.0)}
        kept += sorted(ends)
    return kept
