"""Apdex from latency buckets: how many waits were good, bearable or bad for a threshold T.

satisfied <= T < tolerating <= 4T < frustrated; score = (satisfied + tolerating / 2) / requests
(Apdex Technical Specification 1.1, section 3). Server-side errors count as frustrated, as the
specification has it for application errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from analytics.buckets import bucket_of
from analytics.filters import Filters
from analytics.query import Analytics
from analytics.timerange import TimeRange


@dataclass(frozen=True, slots=True)
class Apdex:
    score: float | None
    """0..1; None without requests."""
    satisfied: int
    tolerating: int
    frustrated: int


def apdex(histogram: pl.DataFrame, threshold_ms: float, *, errors: pl.DataFrame) -> Apdex:
    """Score of a histogram (bucket, requests); `errors`: the part of it that failed on the server.

    A bucket that the threshold cuts is counted by its lower edge: at most 2 % of the threshold off.
    """
    good = histogram.join(
        errors.rename({"requests": "failed"}), on="bucket", how="left"
    ).with_columns((pl.col("requests") - pl.col("failed").fill_null(0)).alias("ok"))
    satisfied = int(good.filter(pl.col("bucket") <= bucket_of(threshold_ms))["ok"].sum())
    within_four = int(good.filter(pl.col("bucket") <= bucket_of(4 * threshold_ms))["ok"].sum())
    total = int(histogram["requests"].sum())
    tolerating = within_four - satisfied
    score = (satisfied + tolerating / 2) / total if total else None
    return Apdex(score, satisfied, tolerating, total - within_four)


def apdex_of(
    analytics: Analytics, time_range: TimeRange, filters: Filters, threshold_ms: float
) -> Apdex:
    """Apdex of the requests that pass the filters."""
    histogram = analytics.latency_histogram(time_range, filters)
    failed = _failed(analytics, time_range, filters, (), histogram)
    return apdex(histogram, threshold_ms, errors=failed)


def apdex_by_api(
    analytics: Analytics,
    time_range: TimeRange,
    filters: Filters,
    thresholds_ms: Mapping[str, float],
    *,
    otherwise_ms: float,
) -> dict[str | None, Apdex]:
    """Apdex of every API by its own threshold; two questions however many APIs there are."""
    histogram = analytics.latency_histogram(time_range, filters, by=("api",))
    failed = _failed(analytics, time_range, filters, ("api",), histogram)
    empty = failed.clear().drop("api")
    failures = {rows["api"][0]: rows.drop("api") for rows in failed.partition_by("api")}
    return {
        (name := rows["api"][0]): apdex(
            rows.drop("api"),
            thresholds_ms.get(name, otherwise_ms),
            errors=failures.get(name, empty),
        )
        for rows in histogram.partition_by("api")
    }


def _failed(
    analytics: Analytics,
    time_range: TimeRange,
    filters: Filters,
    by: tuple[str, ...],
    histogram: pl.DataFrame,
) -> pl.DataFrame:
    """The part of a histogram that failed on the server, in the same columns."""
    if filters.outcome and "server_error" not in filters.outcome:
        return histogram.clear()
    only_failed = replace(filters, outcome=("server_error",))
    return analytics.latency_histogram(time_range, only_failed, by=by)
