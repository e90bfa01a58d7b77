"""How long requests took, as one histogram over the whole range."""

from __future__ import annotations

import math

import polars as pl

from dashboards import format as fmt
from dashboards.figures.base import Figure, figure, message, value_axis
from dashboards.figures.heatmap import ROW, row_ms, row_text
from dashboards.theme import QUANTILES, SERIES, Mode, tokens


def latency_histogram(
    frame: pl.DataFrame, quantiles: dict[str, float | None], mode: Mode, *, empty: str
) -> Figure:
    """frame: bucket, requests; cells may repeat. `quantiles`: p50_ms, p95_ms, p99_ms as lines.

    Along x are the rows of the heat-map (a factor of 1.27 each), so both read the same.
    """
    rows = dict(frame.group_by(ROW).agg(pl.col("requests").sum()).iter_rows())
    if not any(rows.values()):
        return message(empty, mode)
    low, high = min(rows), max(rows)
    along = list(range(low, high + 1))
    counts = [rows.get(row, 0) for row in along]
    total = sum(counts)
    fig = figure(mode, hovermode="closest", showlegend=False, bargap=0.08, dragmode=False)
    fig.add(
        "bar",
        x=along,
        y=counts,
        marker={"color": SERIES[0], "line": {"width": 0}},
        customdata=[
            f"{row_text(row)}: {fmt.whole(n)} requests, {fmt.percent(n / total)}"
            for row, n in zip(along, counts, strict=True)
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )
    marks = [(name, ms) for name, ms in quantiles.items() if ms]
    fig.layout["shapes"] = [
        {
            "type": "line",
            "x0": _place(ms),
            "x1": _place(ms),
            "y0": 0,
            "y1": 1,
            "yref": "paper",
            "line": {"color": QUANTILES[name], "width": 1.5},
        }
        for name, ms in marks
    ]
    fig.layout["annotations"] = [
        {
            "x": _place(ms),
            "y": 1 - 0.12 * index,
            "yref": "paper",
            "yanchor": "top",
            "xanchor": "left" if _place(ms) < (low + high) / 2 else "right",
            "showarrow": False,
            "text": f" {name.removesuffix('_ms')} {fmt.milliseconds(ms)} ",
            "font": {"size": 11, "color": QUANTILES[name]},
            "bgcolor": tokens(mode).surface,
            "borderpad": 1,
        }
        for index, (name, ms) in enumerate(marks)
    ]
    ticks = [10.0**e for e in range(-2, 7) if row_ms(low) <= 10.0**e <= row_ms(high + 1)]
    fig.update_axis(
        "xaxis",
        tickmode="array",
        tickvals=[_place(t) for t in ticks],
        ticktext=[fmt.milliseconds(t) for t in ticks],
        range=[low - 0.5, high + 0.5],
        fixedrange=True,
    )
    value_axis(fig, max(counts), fmt.count)
    return fig


def _place(ms: float) -> float:
    """Where a latency lies between the bars, each of which begins half a row before its number."""
    return math.log(ms) / math.log(row_ms(1)) - 0.5
