"""Log records by severity over time."""

from __future__ import annotations

import polars as pl

from dashboards import format as fmt
from dashboards.figures.base import Figure, TimeAxis, figure, message, time_axis, value_axis

LEVELS = ("fatal", "error", "warn", "info", "debug", "trace", "none")
"""From the bottom up: what matters most stands where a change is easiest to see."""

COLOURS = {
    "fatal": "#b0304f",
    "error": "#e2605f",
    "warn": "#e3a63c",
    "info": "#4a90f5",
    "debug": "#7d8798",
    "trace": "#a9b3c1",
    "none": "#5d5480",
}


def level(severity_number: int | None) -> str:
    """OTLP severity number (1-24, four per level) -> its name; 'none' where unspecified."""
    if severity_number is None or not 1 <= severity_number <= 24:
        return "none"
    return ("trace", "debug", "info", "warn", "error", "fatal")[(severity_number - 1) // 4]


def severity_bars(frame: pl.DataFrame, axis: TimeAxis, *, empty: str) -> Figure:
    """frame: time, severity_number, logs."""
    if frame.is_empty():
        return message(empty, axis.mode)
    times = axis.times()
    cells: dict[tuple[str, object], int] = {}
    for time, number, logs in frame.select("time", "severity_number", "logs").iter_rows():
        key = (level(number), time)
        cells[key] = cells.get(key, 0) + logs
    fig = figure(axis.mode, barmode="stack", bargap=0.12)
    totals = [0] * len(times)
    for name in LEVELS:
        counts = [cells.get((name, t), 0 if axis.measured(t) else None) for t in times]
        if not any(counts):
            continue
        totals = [a + (b or 0) for a, b in zip(totals, counts, strict=True)]
        fig.add(
            "bar",
            x=times,
            y=counts,
            width=axis.interval_s * 880,
            offset=axis.interval_s * 60,
            name=name,
            marker={"color": COLOURS[name], "line": {"width": 0}},
            customdata=[fmt.whole(c) for c in counts],
            hovertemplate="%{customdata}",
        )
    time_axis(fig, axis)
    value_axis(fig, max(totals), fmt.count)
    return fig
