"""A chart of any result table: its first column along x, its numbers as bars or lines."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from dashboards import format as fmt
from dashboards.figures.base import Figure, figure, message
from dashboards.theme import SERIES, Mode

BARS_MAX = 40
LINES_MAX = 5


def result_chart(table: pa.Table, mode: Mode) -> Figure:
    """Lines over a time, bars over names; a sentence where nothing can be drawn."""
    numbers = [f.name for f in table.schema if _is_number(f.type)]
    others = [f for f in table.schema if not _is_number(f.type)]
    if not numbers or not others or len(set(table.column_names)) != table.num_columns:
        return message("A chart needs a column of names or times, and one of numbers.", mode)
    if table.num_rows == 0:
        return message("No rows.", mode)
    along = others[0]
    over_time = pa.types.is_timestamp(along.type) or pa.types.is_date(along.type)
    shown = table.sort_by(along.name) if over_time else table.slice(0, BARS_MAX)
    fig = figure(mode, barmode="group", showlegend=len(numbers) > 1)
    x = shown.column(along.name).to_pylist()
    for index, name in enumerate(numbers[:LINES_MAX]):
        colour = SERIES[index]
        y = [None if v is None else float(v) for v in shown.column(name).to_pylist()]
        kind: dict[str, Any] = (
            {"type": "scatter", "mode": "lines", "line": {"width": 1.5, "color": colour}}
            if over_time
            else {"type": "bar", "marker": {"color": colour}}
        )
        labels = x if over_time else [fmt.for_plotly(str(v), 40) for v in x]
        fig.add(kind.pop("type"), x=labels, y=y, name=fmt.for_plotly(name, 32), **kind)
    return fig


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )
