"""From frames of the analytics to values on a chart's time axis: gaps stay gaps."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from analytics.query import Completeness, Outages
from dashboards import format as fmt
from dashboards.figures.base import TimeAxis
from dashboards.view import View

SPARK_DIGITS = 4
"""Significant digits of the small lines in tables: a thousand lines with all are a megabyte."""


def over_all(usage: pl.DataFrame) -> pl.DataFrame:
    """Requests, errors and error rate of all groups together, per interval."""
    return (
        usage.group_by("time")
        .agg(pl.col("requests", "errors").sum())
        .with_columns(
            pl.when(pl.col("requests") > 0)
            .then(pl.col("errors") / pl.col("requests"))
            .alias("error_rate")
        )
    )


def axis_of(view: View, known: Completeness | None, came: pl.DataFrame | None = None) -> TimeAxis:
    """The chart axis of a view. Data that ends just before now ends the measured span; data that
    ended long ago does not: then nothing came, which the chart shows as zero. What is not counted
    yet, what was before anything was ever stored, and intervals in which no collector took data and
    of which nothing came later, are gaps. known: None = the chart is not made of rollups.
    came: time, requests; None = it is not known what came later, if anything."""
    until = None
    data_until = None if known is None else known.data_until
    if data_until is not None and (view.end - data_until).total_seconds() < max(
        60, view.interval_s
    ):
        until = data_until
    gaps = () if known is None else known.uncounted
    begins = None if known is None else known.data_from
    axis = TimeAxis(
        view.start, view.end, view.interval_s, view.mode, until, fmt.zone(), gaps, begins
    )
    return axis if known is None else without_outages(axis, known.outages, came)


def without_outages(axis: TimeAxis, known: Outages, came: pl.DataFrame | None) -> TimeAxis:
    """The axis with what is known of times in which no collector took data; see `axis_of`."""
    if not known.spans:
        return axis
    axis = replace(axis, outages=known.spans)
    if came is None or "time" not in came.columns:
        return axis
    return axis.with_data(came.filter(pl.col("requests") > 0)["time"].unique().to_list())


def column_on(axis: TimeAxis, frame: pl.DataFrame, column: str) -> list[float | None]:
    """One measured column on the axis's grid; what was not measured is a gap."""
    if "time" not in frame.columns:
        return []
    cells = dict(frame.select("time", column).iter_rows())
    return [cells.get(t) if axis.measured(t) else None for t in axis.times()]


def rate_on(axis: TimeAxis, frame: pl.DataFrame) -> list[float | None]:
    """Requests per second on the axis's grid; no row = none came. Unfinished intervals count by the
    seconds they cover, so that the end of a line does not dip."""
    cells = dict(frame.select("time", "requests").iter_rows())
    return [None if s is None else (cells.get(t) or 0) / s for t, s in axis.seconds()]


def rates_by(axis: TimeAxis, frame: pl.DataFrame, by: str) -> dict[str | None, list[float | None]]:
    """`rate_on` of every value of a column, to SPARK_DIGITS: a table has a line in each of up to a
    thousand rows, too many numbers to go through one by one."""
    seconds = axis.seconds()
    grid = pl.DataFrame(
        {"time": [t for t, _ in seconds], "_s": [s for _, s in seconds]},
        schema={"time": frame.schema["time"], "_s": pl.Float64},
    )
    cells = (
        frame.select(by)
        .unique()
        .join(grid, how="cross")
        .join(frame.select(by, "time", "requests"), on=[by, "time"], how="left", nulls_equal=True)
    )
    rate = pl.when(pl.col("_s") > 0).then(pl.col("requests").fill_null(0) / pl.col("_s"))
    lines = cells.sort("time").group_by(by).agg(rate.round_sig_figs(SPARK_DIGITS))
    return dict(lines.iter_rows())
