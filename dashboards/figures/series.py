"""Lines and stacked areas over time, one per name: traffic, errors and latency per API or route."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

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
from dashboards.limits import SERIES_MAX
from dashboards.theme import OTHERS, rgba

Colour = Callable[[str | None], str]

OTHERS_NAME = "others"
UNNAMED = "(no name)"


@dataclass(frozen=True, slots=True)
class Line:
    """One series on the grid of a TimeAxis. None = not measured there: a gap, not a zero."""

    name: str
    values: list[float | None]
    colour: str


def largest(
    frame: pl.DataFrame, by: str, *, count: int = SERIES_MAX, of: str = "requests"
) -> list[str | None]:
    """Names with the most requests (or errors), largest first; ties by name."""
    if frame.is_empty():
        return []
    ranked = (
        frame.group_by(by)
        .agg(pl.col(of).sum())
        .sort([of, by], descending=[True, False], nulls_last=True)
    )
    names: list[str | None] = ranked[by].head(count).to_list()
    return names


def rates(
    frame: pl.DataFrame, axis: TimeAxis, *, by: str, names: Sequence[str | None], colour: Colour
) -> list[Line]:
    """Requests per second per name; the rest summed up as 'others'.

    frame: time, `by`, requests. An interval without a row is zero where it was measured. The first
    and the last interval are divided by the seconds they cover, so that they do not dip.
    """
    times = axis.seconds()
    wanted = pl.DataFrame({by: list(names)}, schema={by: frame.schema[by]})
    cells: dict[tuple[str | None, datetime], float] = {}
    kept = frame.join(wanted, on=by, how="semi", nulls_equal=True)
    for name, time, requests in kept.select(by, "time", "requests").iter_rows():
        cells[(name, time)] = cells.get((name, time), 0.0) + (requests or 0)
    # The rest can be hundreds of names: only its sums become Python's.
    rest = frame.join(wanted, on=by, how="anti", nulls_equal=True)
    for time, requests in rest.group_by("time").agg(pl.col("requests").sum()).iter_rows():
        cells[(OTHERS_NAME, time)] = cells.get((OTHERS_NAME, time), 0.0) + requests
    shown: list[str | None] = list(names)
    if rest.height and OTHERS_NAME not in shown:
        shown.append(OTHERS_NAME)
    return [
        Line(
            name or UNNAMED,
            [None if s is None else cells.get((name, t), 0.0) / s for t, s in times],
            OTHERS if name == OTHERS_NAME and name not in names else colour(name),
        )
        for name in shown
    ]


def measured_lines(
    frame: pl.DataFrame,
    axis: TimeAxis,
    *,
    by: str,
    value: str,
    names: Sequence[str | None],
    colour: Colour,
) -> list[Line]:
    """One measured value per name (a rate, a quantile): intervals without a row are gaps."""
    cells = {
        (name, time): number
        for name, time, number in frame.select(by, "time", value).iter_rows()
        if number is not None
    }
    times = [(t, axis.measured(t)) for t in axis.times()]
    return [
        Line(
            name or UNNAMED,
            [cells.get((name, t)) if measured else None for t, measured in times],
            colour(name),
        )
        for name in names
    ]


def stacked(
    lines: Sequence[Line], axis: TimeAxis, formatter: fmt.Formatter, *, empty: str
) -> Figure:
    """Areas on top of each other, the first at the bottom."""
    if not any(v for line in lines for v in line.values):
        return message(empty, axis.mode)
    fig = figure(axis.mode)
    # A stack has no gaps: what is not measured yet would be drawn as zero.
    measured = [(i, t) for i, t in enumerate(axis.times()) if axis.measured(t)]
    kept, times = [i for i, _ in measured], [t for _, t in measured]
    lines = [Line(line.name, [line.values[i] for i in kept], line.colour) for line in lines]
    for line in lines:
        fig.add(
            "scatter",
            x=times,
            y=line.values,
            name=fmt.for_plotly(line.name, 32),
            legendgroup=fmt.for_plotly(line.name, 32),
            showlegend=False,
            stackgroup="all",
            mode="lines",
            line={"width": 1, "color": line.colour},
            fillcolor=rgba(line.colour, 0.42 if axis.mode == "dark" else 0.5),
            customdata=[formatter(v) for v in line.values],
            hovertemplate="%{customdata}",
        )
    top = max((sum(line.values[i] or 0.0 for line in lines) for i in range(len(times))), default=0)
    swatches(fig, lines)
    time_axis(fig, axis)
    value_axis(fig, top, formatter)
    return fig


def swatches(fig: Figure, lines: Sequence[Line]) -> None:
    """A legend of small squares, largest first; clicking one hides its series."""
    for line in lines:
        name = fmt.for_plotly(line.name, 32)
        fig.add(
            "scatter",
            x=[None],
            y=[None],
            name=name,
            legendgroup=name,
            mode="markers",
            marker={"symbol": "square", "size": 8, "color": line.colour},
            hoverinfo="skip",
        )


def overlaid(
    lines: Sequence[Line],
    axis: TimeAxis,
    formatter: fmt.Formatter,
    *,
    empty: str,
    legend: bool = True,
) -> Figure:
    """Thin lines over each other; single measured points between gaps show as dots."""
    if not any(v is not None for line in lines for v in line.values):
        return message(empty, axis.mode)
    fig = figure(axis.mode, showlegend=legend)
    times = axis.times()
    for line in lines:
        lonely = [_alone(line.values, i) for i in range(len(times))]
        fig.add(
            "scatter",
            x=times,
            y=line.values,
            name=fmt.for_plotly(line.name, 32),
            legendgroup=fmt.for_plotly(line.name, 32),
            showlegend=False,
            mode="lines+markers" if any(lonely) else "lines",
            connectgaps=False,
            line={"width": 1.5, "color": line.colour},
            marker={"size": [4 if alone else 0 for alone in lonely], "color": line.colour},
            customdata=[formatter(v) for v in line.values],
            hovertemplate="%{customdata}",
        )
    if legend:
        swatches(fig, lines)
    time_axis(fig, axis)
    value_axis(fig, finite_max(*(line.values for line in lines)), formatter)
    return fig


def before(fig: Figure, values: Sequence[float | None], axis: TimeAxis, colour: str) -> None:
    """Add the range just before as one dotted line; values on the axis's grid, already moved."""
    if not any(v is not None for v in values) or "annotations" in fig.layout:
        return
    times = axis.times()
    fig.add(
        "scatter",
        x=[axis.shown(t) for t in times[: len(values)]],
        y=list(values)[: len(times)],
        name="before",
        mode="lines",
        line={"width": 1.4, "dash": "dot", "color": colour},
        hoverinfo="skip",
    )
    top = finite_max(values)
    shown = fig.layout.get("yaxis", {}).get("range", [0, 0])[1]
    if top > shown:
        fig.update_axis("yaxis", range=[0, top * 1.05])


def _alone(values: Sequence[float | None], index: int) -> bool:
    before = values[index - 1] if index else None
    after = values[index + 1] if index + 1 < len(values) else None
    return values[index] is not None and before is None and after is None
