"""Latency heat-map: how many requests took how long, over time."""

from __future__ import annotations

import functools
import math

import polars as pl

from dashboards import format as fmt
from dashboards.figures.base import Figure, TimeAxis, figure, message, time_axis
from dashboards.theme import heat_scale

BUCKETS_PER_ROW = 12
"""Buckets of base 1.02 drawn as one row: 1.02^12 = 1.27, about ten rows per factor of ten."""

_ROW_LN = BUCKETS_PER_ROW * math.log(1.02)


ROW = (
    (pl.col("bucket").cast(pl.Int32) // BUCKETS_PER_ROW)
    .clip(lower_bound=math.floor(math.log(0.01) / _ROW_LN))
    .alias("row")
)
"""Row of a latency bucket; the zero bucket goes to the row of 0.01 ms."""


def row_ms(row: float) -> float:
    """Lower edge of a row, ms."""
    return math.exp(row * _ROW_LN)


@functools.cache
def row_text(row: int) -> str:
    """The times a row stands for: '1 ms – 1.27 ms'."""
    return f"{fmt.milliseconds(row_ms(row))} – {fmt.milliseconds(row_ms(row + 1))}"


def latency_heatmap(frame: pl.DataFrame, axis: TimeAxis, *, empty: str) -> Figure:
    """frame: time (start of interval), bucket, requests; partial sums may repeat a cell."""
    if frame.is_empty():
        return message(empty, axis.mode)
    times = axis.times()
    cells = {
        (row, time): requests
        for row, time, requests in frame.group_by(ROW, "time")
        .agg(pl.col("requests").sum())
        .iter_rows()
    }
    rows = range(min(r for r, _ in cells), max(r for r, _ in cells) + 1)
    counts = [[cells.get((row, t)) for t in times] for row in rows]
    fig = figure(axis.mode, hovermode="closest")
    fig.add(
        "heatmap",
        x=times,
        y=list(rows),
        z=[[None if c is None else math.sqrt(c) for c in line] for line in counts],
        customdata=[
            [None if c is None else f"{row_text(row)}: {fmt.whole(c)} requests" for c in line]
            for row, line in zip(rows, counts, strict=True)
        ],
        hovertemplate="%{customdata}<br>%{x|%d %b %H:%M}<extra></extra>",
        colorscale=heat_scale(axis.mode),
        zmin=0,
        showscale=False,
        xgap=1 if len(times) < 90 else 0,
        ygap=1,
        hoverongaps=False,
    )
    time_axis(fig, axis)
    low, high = row_ms(rows[0]), row_ms(rows[-1] + 1)
    ticks = [
        10.0**e * m
        for e in range(-2, 7)
        for m in ((1, 3) if high / low < 3000 else (1,))
        if low <= 10.0**e * m <= high
    ]
    fig.update_axis(
        "yaxis",
        tickmode="array",
        tickvals=[math.log(t) / _ROW_LN - 0.5 for t in ticks],
        ticktext=[fmt.milliseconds(t) for t in ticks],
        range=[rows[0] - 0.5, rows[-1] + 0.5],
        fixedrange=True,
        showgrid=False,
    )
    return fig
