"""Turns partial sums into answers: added up, rates worked out, gaps of a series made explicit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from analytics.limits import POINTS_MAX
from analytics.sql_build import ORIGIN, ORIGIN_US
from analytics.timerange import TimeRange
from storage.log import time_to_us

TIME = pl.Datetime("us", "UTC")


_NULLABLE = ("request_bytes", "response_bytes", "duration_ms_sum")


def sum_usage(frame: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Add up usage pieces per group. A sum over nothing known stays NULL."""
    return sum_rows(frame.lazy(), frame.columns, keys).collect() if frame.height else frame


def sum_rows(rows: pl.LazyFrame, names: Sequence[str], keys: Sequence[str]) -> pl.LazyFrame:
    """The same of rows with these columns, not run yet."""
    columns = []
    for name in names:
        if name == "last_seen":
            columns.append(pl.col(name).max())
        elif name == "first_seen":
            columns.append(pl.col(name).min())
        elif name in _NULLABLE:
            known = pl.col(name).count() > 0
            columns.append(pl.when(known).then(pl.col(name).sum()).alias(name))
        elif name not in keys:
            columns.append(pl.col(name).sum())
    summed = rows.group_by(list(keys)).agg(columns) if keys else rows.select(columns)
    # a recount may have cancelled a group
    return summed.filter(pl.col("requests") > 0).select(names)


def slots_to_times(frame: pl.DataFrame, interval_s: int) -> pl.DataFrame:
    """The column `slot` (number of the interval since ORIGIN) as `time`, the interval's start."""
    # whole numbers: a literal time costs polars a hundred times as much
    start = pl.col("slot").cast(pl.Int64) * (interval_s * 1_000_000) + ORIGIN_US
    return frame.with_columns(start.cast(TIME).alias("time")).drop("slot")


def with_rates(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds error_rate and duration_ms_avg; NULL where they divide by nothing."""
    return frame.with_columns(
        ratio("errors", "requests").alias("error_rate"),
        ratio("duration_ms_sum", "duration_requests").alias("duration_ms_avg"),
        pl.col("request_bytes").round().cast(pl.Int64, strict=False),
        pl.col("response_bytes").round().cast(pl.Int64, strict=False),
    )


def ratio(part: str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole))


def interval_start(moment: datetime, interval_s: int) -> datetime:
    step = timedelta(seconds=interval_s)
    return ORIGIN + (moment - ORIGIN) // step * step


def interval_starts(time_range: TimeRange, interval_s: int) -> pl.Series:
    """Start of every interval that the range touches."""
    step = interval_s * 1_000_000
    first = time_to_us(interval_start(time_range.start, interval_s))
    # as whole numbers: polars' own range of times takes six milliseconds
    starts = range(first, time_to_us(time_range.end), step)
    return pl.Series("time", starts, dtype=pl.Int64).cast(TIME)


def fill_series(
    frame: pl.DataFrame,
    by: Sequence[str],
    times: pl.Series,
    measured: pl.Series | None,
    counts: Sequence[str],
) -> pl.DataFrame:
    """One row per group and interval: counts are 0 where the tenant was measured, else NULL.

    `measured`: intervals with any request of the tenant; None = those in the frame. Too many rows
    (POINTS_MAX): returned as it is, gaps missing.
    """
    groups = frame.select(by).unique() if by else None
    if times.len() * (groups.height if groups is not None else 1) > POINTS_MAX:
        return frame
    known = set((frame["time"] if measured is None else measured).to_list())
    seen = [time in known for time in times.to_list()]
    grid = pl.LazyFrame({"time": times, "_measured": pl.Series(seen, dtype=pl.Boolean)})
    if groups is not None:
        grid = groups.lazy().join(grid, how="cross")
    filled = grid.join(frame.lazy(), on=["time", *by], how="left", nulls_equal=True)
    zero = pl.col("_measured") & pl.col("requests").is_null()
    return (
        filled.with_columns(
            pl.when(zero).then(pl.col(name).fill_null(0)).otherwise(pl.col(name)).alias(name)
            for name in counts
        )
        .drop("_measured")
        .collect()
    )
