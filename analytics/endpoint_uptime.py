"""Uptime of endpoints, by the requests they got: an endpoint was up in a minute when at least one
of its requests did not fail on the server side, and down when all of them did.

A minute without a request says nothing: it counts neither as up nor as down, and `coverage` tells
how much of the range was measured. Expected errors of the catalog are no failures. A service's own
uptime, by the metrics it sends, is `Metrics.uptime`.
"""

from __future__ import annotations

import polars as pl

from analytics.filters import Filters
from analytics.limits import POINTS_PER_SERIES_MAX
from analytics.query import Analytics
from analytics.timerange import TimeRange

ENDPOINT = ("api", "route", "method")

MINUTE_S, HOUR_S = 60, 3600


def endpoint_uptime(
    analytics: Analytics,
    time_range: TimeRange,
    filters: Filters = Filters(),  # noqa: B008 - frozen
) -> pl.DataFrame:
    """api, route, method, minutes_measured, minutes_up, uptime (0 to 1), coverage (0 to 1),
    last_down (NULL = never), step_s; least up first, endpoints without a request not at all.

    Judged by the minute; by the hour where the range is older than minutes are kept, or longer than
    a series may be (`minutes_*` are hours there, `step_s` 3600).
    """
    fine = time_range.seconds / MINUTE_S <= POINTS_PER_SERIES_MAX
    step = MINUTE_S if fine and time_range.start >= analytics.minutes_kept_from() else HOUR_S
    parts = analytics.hour_by_hour(
        time_range,
        filters,
        by=ENDPOINT,
        interval_s=step,
        name="endpoints up",
        reduce=_judged,
        sums=("requests", "errors"),
    )
    steps = max(1, round(time_range.seconds / step))
    judged = (
        pl.concat(parts)
        .group_by(ENDPOINT)
        .agg(pl.col("measured").sum(), pl.col("up").sum(), pl.col("last_down").max())
    )
    return judged.select(
        *ENDPOINT,
        pl.col("measured").alias("minutes_measured"),
        pl.col("up").alias("minutes_up"),
        (pl.col("up") / pl.col("measured")).alias("uptime"),
        (pl.col("measured") / steps).clip(upper_bound=1.0).alias("coverage"),
        "last_down",
        pl.lit(step).alias("step_s"),
    ).sort("uptime", *ENDPOINT, nulls_last=True)


def _judged(minutes: pl.DataFrame) -> pl.DataFrame:
    down = pl.col("errors") >= pl.col("requests")
    return minutes.group_by(ENDPOINT).agg(
        pl.len().cast(pl.Int64).alias("measured"),
        (~down).sum().cast(pl.Int64).alias("up"),
        pl.col("time").filter(down).max().alias("last_down"),
    )
