"""Calls that a rate limit or a quota refused, over time."""

from __future__ import annotations

import polars as pl

from dashboards import format as fmt
from dashboards.figures import series
from dashboards.figures.base import Figure, TimeAxis
from dashboards.theme import LIMIT

LIMITS = {"rate_limited": "rate limit", "quota_exceeded": "quota"}
"""Outcome -> the limit that refused the call."""


def limits_chart(outcomes: pl.DataFrame, axis: TimeAxis, *, empty: str) -> Figure:
    """Refused calls per second, stacked by limit. outcomes: time, outcome, requests, of all
    outcomes."""
    refused = outcomes.filter(pl.col("outcome").is_in(list(LIMITS)))
    named = refused.with_columns(pl.col("outcome").replace(LIMITS))
    lines = series.rates(
        named, axis, by="outcome", names=list(LIMIT), colour=lambda name: LIMIT[name or ""]
    )
    return series.stacked(lines, axis, fmt.rate, empty=empty)
