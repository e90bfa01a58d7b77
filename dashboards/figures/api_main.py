"""The chart under the four numbers of an API: whichever of them is chosen."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from dashboards import format as fmt
from dashboards.figures import series
from dashboards.figures.base import Figure, TimeAxis
from dashboards.theme import ERROR_LINE, QUANTILES, SERIES, STATUS_CLASS


def requests_chart(
    usage: pl.DataFrame, axis: TimeAxis, by: str, colour: series.Colour, *, empty: str
) -> Figure:
    """Requests per second, stacked by route or another dimension."""
    names = series.largest(usage, by)
    lines = series.rates(usage, axis, by=by, names=names, colour=colour)
    return series.stacked(lines, axis, fmt.rate, empty=empty)


def errors_chart(statuses: pl.DataFrame, axis: TimeAxis, *, empty: str) -> Figure:
    """Shares of 5xx and 4xx answers. statuses: time, status_code, requests."""
    code = pl.col("status_code")
    shares = (
        statuses.group_by("time")
        .agg(
            pl.col("requests").sum().alias("all"),
            pl.col("requests").filter(code >= 500).sum().alias("server"),
            pl.col("requests").filter(code.is_between(400, 499)).sum().alias("client"),
        )
        .filter(pl.col("all") > 0)
        .with_columns(pl.col("server") / pl.col("all"), pl.col("client") / pl.col("all"))
    )
    lines = [
        series.Line("server errors (5xx)", grid_of(shares, "server", axis), ERROR_LINE),
        series.Line("client errors (4xx)", grid_of(shares, "client", axis), STATUS_CLASS["4xx"]),
    ]
    return series.overlaid(lines, axis, fmt.percent, empty=empty)


def latency_chart(
    latency: pl.DataFrame,
    axis: TimeAxis,
    *,
    quantiles: Sequence[str] = tuple(QUANTILES),
    empty: str,
) -> Figure:
    """latency: time and a column for each of `quantiles`, in ms."""
    lines = [
        series.Line(q.removesuffix("_ms"), grid_of(latency, q, axis), QUANTILES[q])
        for q in quantiles
    ]
    return series.overlaid(lines, axis, fmt.milliseconds, empty=empty)


def bytes_chart(usage: pl.DataFrame, axis: TimeAxis, *, empty: str) -> Figure:
    """Bytes per second sent and received. usage: time, response_bytes, request_bytes."""
    lines = [
        series.Line(text, per_second(grid_of(usage, column, axis), axis), colour)
        for text, column, colour in (
            ("sent", "response_bytes", SERIES[0]),
            ("received", "request_bytes", SERIES[2]),
        )
    ]
    return series.overlaid(lines, axis, bytes_rate, empty=empty)


def bytes_rate(value: float | None) -> str:
    return fmt.MISSING if fmt.is_missing(value) else f"{fmt.bytes_size(value)}/s"


def per_second(values: Sequence[float | None], axis: TimeAxis) -> list[float | None]:
    return [
        None if v is None or not axis.covered_s(t) else v / axis.covered_s(t)
        for v, t in zip(values, axis.times(), strict=True)
    ]


def grid_of(frame: pl.DataFrame, column: str, axis: TimeAxis) -> list[float | None]:
    cells = dict(frame.select("time", column).iter_rows()) if frame.height else {}
    return [cells.get(t) if axis.measured(t) else None for t in axis.times()]
