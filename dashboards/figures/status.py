"""Answers by class of status, over time and by code."""

from __future__ import annotations

import polars as pl

from dashboards import format as fmt
from dashboards.figures.base import Figure, TimeAxis, figure, message, time_axis, value_axis
from dashboards.theme import STATUS_CLASS, status_class

CLASS_TEXT = {
    "2xx": "2xx ok",
    "3xx": "3xx redirect",
    "4xx": "4xx client",
    "5xx": "5xx server",
    "none": "no answer",
}


def status_bars(frame: pl.DataFrame, axis: TimeAxis, *, empty: str) -> Figure:
    """Requests per interval, stacked by class. frame: time, status_code, requests."""
    if frame.is_empty() or not frame["requests"].sum():
        return message(empty, axis.mode)
    times = axis.times()
    cells: dict[tuple[str, object], int] = {}
    for time, code, requests in frame.select("time", "status_code", "requests").iter_rows():
        key = (status_class(None if code is None else int(code)), time)
        cells[key] = cells.get(key, 0) + (requests or 0)
    fig = figure(axis.mode, barmode="stack", bargap=0.12)
    totals = [0] * len(times)
    # Drawn from the bottom: errors there, where a change of height is easiest to see.
    for name in ("5xx", "4xx", "none", "3xx", "2xx"):
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
            name=CLASS_TEXT[name],
            marker={"color": STATUS_CLASS[name], "line": {"width": 0}},
            customdata=[fmt.whole(c) for c in counts],
            hovertemplate="%{customdata}",
        )
    time_axis(fig, axis)
    value_axis(fig, max(totals), fmt.count)
    return fig
