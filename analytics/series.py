"""Turns partial sums into answers: added up, rates worked out, gaps of a series made explicit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from analytics.limits import POINTS_MAX
from analytics.sql_build import ORIGIN, ORIGIN_US
from analytics.timerange import TimeRange

TIME = pl.Datetime("us", "UTC")


_NULLABLE = ("request_bytes", "response_bytes", "duration_ms_sum")


def sum_usage(frame: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Add up usage pieces per group. A sum over nothing known stays NULL."""
    columns = []
    for name in frame.columns:
        if name == "last_seen":
            columns.append(pl.col(name).max())
        elif name == "first_seen":
            columns.append(pl.col(name).min())
        elif name in _NULLABLE:
            known = pl.col(name).count() > 0
            columns.append(pl.when(known).then(pl.col(name).sum()).alias(name))
        elif name not in keys:
            columns.append(pl.col(name).sum())
    if not frame.height:
        return frame
    rows = frame.lazy()
    summed = rows.group_by(list(keys)).agg(columns) if keys else rows.select(columns)
    # a recount may have cancelled a group
    return summed.filter(pl.col("requests") > 0).select(frame.columns).collect()


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
    first = interval_start(time_range.start, interval_s)
    last = interval_start(time_range.end - timedelta(microseconds=1), interval_s)
    return pl.datetime_range(
        first, last, timedelta(seconds=interval_s), time_unit="us", eager=True
    ).alias("time")


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
    grid = pl.DataFrame({"time": times})
    if groups is not None:
        grid = groups.join(grid, how="cross")
    keys = ["time", *by]
    known = (frame["time"] if measured is None else measured).unique().implode()
    filled = grid.join(frame, on=keys, how="left", nulls_equal=True)
    zero = pl.col("time").is_in(known) & pl.col("requests").is_null()
    return filled.with_columns(
        pl.when(zero).then(pl.col(name).fill_null(0)).otherwise(pl.col(name)).alias(name)
        for name in counts
    )
