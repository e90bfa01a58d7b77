"""Two traces side by side: which operations one has more of, or spends longer in."""

from __future__ import annotations

import polars as pl


def compare_traces(here: pl.DataFrame, there: pl.DataFrame) -> pl.DataFrame:
    """Per service and span name: spans, self time and failures of both; largest difference first.

    here, there: service_name, name, span_id, parent_span_id, start_time_unix_nano, duration_ns,
    status. Columns out: service_name, name, spans, self_ms, errors and the same with `_there`,
    `diff_ms` (here - there). Self time is a span's time minus what its children took, not below 0,
    so that a slow leaf does not blame everything above it.
    """
    joined = _by_operation(here).join(
        _by_operation(there), on=("service_name", "name"), how="full", suffix="_there",
        coalesce=True, nulls_equal=True,
    )  # fmt: skip
    return (
        joined.with_columns(pl.col(pl.Float64, pl.Int64, pl.UInt32).fill_null(0))
        .with_columns((pl.col("self_ms") - pl.col("self_ms_there")).alias("diff_ms"))
        .sort(pl.col("diff_ms").abs(), "service_name", "name", descending=[True, False, False])
    )


def _by_operation(spans: pl.DataFrame) -> pl.DataFrame:
    below = (
        spans.group_by("parent_span_id")
        .agg(pl.col("duration_ns").sum().alias("below_ns"))
        .rename({"parent_span_id": "span_id"})
    )
    own = spans.join(below, on="span_id", how="left").with_columns(
        (pl.col("duration_ns") - pl.col("below_ns").fill_null(0)).clip(lower_bound=0).alias("self")
    )
    return own.group_by("service_name", "name").agg(
        pl.len().cast(pl.Int64).alias("spans"),
        (pl.col("self").sum() / 1e6).cast(pl.Float64).alias("self_ms"),
        (pl.col("status") == "ERROR").sum().cast(pl.Int64).alias("errors"),
    )
