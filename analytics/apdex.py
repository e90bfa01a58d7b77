"""Apdex from latency buckets: how many waits were good, bearable or bad for a threshold T.

satisfied <= T < tolerating <= 4T < frustrated; score = (satisfied + tolerating / 2) / requests
(Apdex Technical Specification 1.1, section 3). Server-side errors count as frustrated, as the
specification has it for application errors.
"""

from __future__ import annotations

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
    if filters.outcome and "server_error" not in filters.outcome:
        failed = histogram.clear()
    else:
        only_failed = replace(filters, outcome=("server_error",))
        failed = analytics.latency_histogram(time_range, only_failed)
    return apdex(histogram, threshold_ms, errors=failed)
