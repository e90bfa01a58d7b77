"""Rate, errors and duration of spans over time, all from one count of time, bucket, errors."""

from __future__ import annotations

import polars as pl

from analytics.buckets import quantiles_by
from dashboards import format as fmt
from dashboards.figures import series
from dashboards.figures.base import Figure, TimeAxis
from dashboards.figures.heatmap import latency_heatmap
from dashboards.theme import ERROR_LINE, QUANTILES, SERIES

RED = {"heat": "Heat-map", "rate": "Rate", "errors": "Errors", "duration": "Duration"}


def red_chart(cells: pl.DataFrame, axis: TimeAxis, shown: str, *, empty: str) -> Figure:
    """cells: time, bucket, requests, errors. shown: a key of RED."""
    if shown == "heat" or cells.is_empty():
        return latency_heatmap(cells, axis, empty=empty)
    if shown == "duration":
        found = quantiles_by(
            cells.select("time", "bucket", "requests"), ("time",), (0.5, 0.95, 0.99)
        )
        lines = [
            series.Line(q.removesuffix("_ms"), _on(found, q, axis), colour)
            for q, colour in QUANTILES.items()
        ]
        return series.overlaid(lines, axis, fmt.milliseconds, empty=empty)
    sums = cells.group_by("time").agg(pl.col("requests", "errors").sum())
    if shown == "errors":
        share = sums.with_columns((pl.col("errors") / pl.col("requests")).alias("share"))
        line = series.Line("failed", _on(share, "share", axis), ERROR_LINE)
        return series.overlaid([line], axis, fmt.percent, empty=empty)
    counts = _on(sums, "requests", axis)
    rates = [
        (v or 0.0) / axis.covered_s(t) if axis.measured(t) else None
        for v, t in zip(counts, axis.times(), strict=True)
    ]
    return series.overlaid(
        [series.Line("spans", rates, SERIES[0])], axis, fmt.rate, empty=empty, legend=False
    )


def _on(frame: pl.DataFrame, column: str, axis: TimeAxis) -> list[float | None]:
    cells = dict(frame.select("time", column).iter_rows())
    return [cells.get(t) for t in axis.times()]
