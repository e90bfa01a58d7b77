"""A grid of coloured cells: a value by two names, or by a name over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from dashboards import format as fmt
from dashboards.figures.base import Figure, TimeAxis, figure, message, time_axis
from dashboards.theme import Mode, heat_scale

Cells = Mapping[tuple[str, str | datetime], float | None]
"""(row, column) -> value; absent or None = not measured, an empty cell."""


def matrix(
    cells: Cells,
    rows: Sequence[str],
    columns: Sequence[str] | TimeAxis,
    formatter: fmt.Formatter,
    mode: Mode,
    *,
    empty: str,
) -> Figure:
    """Rows from the top. Colour runs from 0 to the largest value; a negative value counts as 0."""
    across: Sequence[str | datetime] = (
        columns.times() if isinstance(columns, TimeAxis) else list(columns)
    )
    if not any(cells.get((r, c)) is not None for r in rows for c in across):
        return message(empty, mode)
    values = [[cells.get((row, c)) for c in across] for row in rows]
    names = [fmt.for_plotly(row, 28) for row in rows]
    fig = figure(mode, hovermode="closest")
    when = "<br>%{x|%d %b %H:%M}" if isinstance(columns, TimeAxis) else "<br>%{x}"
    fig.add(
        "heatmap",
        x=list(across)
        if isinstance(columns, TimeAxis)
        else _unique([fmt.for_plotly(str(c), 24) for c in across]),
        y=_unique(names),
        # The root keeps small values apart where one is a hundred times the others.
        z=[[None if v is None else math.sqrt(max(0.0, v)) for v in line] for line in values],
        customdata=[[formatter(v) for v in line] for line in values],
        hovertemplate="%{y}" + when + "<br><b>%{customdata}</b><extra></extra>",
        colorscale=heat_scale(mode),
        zmin=0,
        showscale=False,
        xgap=1 if len(across) < 90 else 0,
        ygap=1,
        hoverongaps=False,
    )
    if isinstance(columns, TimeAxis):
        time_axis(fig, columns)
    else:
        fig.update_axis("xaxis", type="category", showgrid=False)
    fig.update_axis(
        "yaxis",
        type="category",
        autorange="reversed",
        showgrid=False,
        fixedrange=True,
        # The template asks for few ticks; here each is a row's name.
        tickmode="linear",
        dtick=1,
    )
    return fig


def _unique(names: list[str]) -> list[str]:
    """Names that were cut to the same text stay two rows: a mark that is not seen tells them."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name + "\u200b" * (seen[name] - 1))
    return out
