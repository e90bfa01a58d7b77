"""Latency buckets: logarithmic, base 1.02, mergeable by adding counts.

Twins: sql/latency_minute.sql, the macro latency_bucket in storage/macros.py.

The geometric middle of a bucket is within sqrt(1.02) - 1 < 1 % of every value in it, so a quantile
read from the counts is within 1 % of the exact one of the same rank (DDSketch's guarantee, Masson,
Rim and Lee 2019, VLDB 12(12), section 2.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

BASE = 1.02
ZERO_BUCKET = -32768
"""Holds times of zero and less; its value is 0 ms."""

_LN_BASE = math.log(BASE)


def bucket_of(ms: float) -> int:
    """Bucket of one time in milliseconds; finite. Ends of the range are clamped."""
    if ms <= 0:
        return ZERO_BUCKET
    return max(-32767, min(32767, math.floor(math.log(ms) / _LN_BASE)))


def bucket_ms(bucket: int) -> float:
    """Geometric middle of a bucket, milliseconds."""
    return 0.0 if bucket == ZERO_BUCKET else BASE ** (bucket + 0.5)


MS = (
    pl.when(pl.col("bucket") == ZERO_BUCKET)
    .then(0.0)
    .otherwise(pl.lit(BASE).pow(pl.col("bucket").cast(pl.Float64) + 0.5))
)
"""`bucket_ms` of a column `bucket`."""


def quantile_name(quantile: float) -> str:
    """Column of a quantile: 0.5 -> p50_ms, 0.999 -> p999_ms, 0.975 -> p975_ms."""
    digits = f"{quantile:.6f}".split(".")[1].rstrip("0")
    return f"p{digits.ljust(2, '0')}_ms"


def quantiles_by(
    counts: pl.DataFrame, keys: Sequence[str], quantiles: Sequence[float]
) -> pl.DataFrame:
    """Quantiles per group from bucket counts.

    counts: columns *keys, bucket, requests (> 0 after adding up partial rows; any order, repeated
    buckets are added). Returns *keys, one column per quantile in ms, and `requests`. A quantile q
    is the value of rank ceil(q * n), the smallest with at least that share at or below it.
    """
    keys = list(keys)
    group = [pl.col(name) for name in keys] or [pl.lit(0).alias("_all")]
    merged = (
        counts.lazy()
        .group_by([*keys, "bucket"])
        .agg(pl.col("requests").sum())
        .filter(pl.col("requests") > 0)
        .sort("bucket")
    )
    ranked = merged.with_columns(MS.alias("_ms"))
    columns = []
    for q in quantiles:
        # the first bucket whose running count reaches the rank; rounding keeps 0.95 * 20 at 19
        rank = (pl.col("requests").sum() * q).round(9).ceil().clip(lower_bound=1)
        reached = pl.col("requests").cum_sum() >= rank
        columns.append(pl.col("_ms").filter(reached).min().alias(quantile_name(q)))
    result = ranked.group_by(group).agg(*columns, pl.col("requests").sum()).collect()
    return result if keys else result.drop("_all")
