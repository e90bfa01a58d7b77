"""Small tools on answer tables: conversion, empty tables of the right types, order, top groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl
import pyarrow as pa

from analytics.series import TIME

_TYPES: Mapping[str, pl.DataType] = {
    "time": TIME,
    "last_seen": TIME,
    "first_seen": TIME,
    "status_code": pl.Int16(),
    "bucket": pl.Int16(),
    "ring": pl.Int32(),
    "request_bytes": pl.Float64(),
    "response_bytes": pl.Float64(),
    "duration_ms_sum": pl.Float64(),
    **dict.fromkeys(
        (
            "requests",
            "errors",
            "client_errors",
            "expected_errors",
            "rate_limited",
            "unauthorized",
            "aborted",
            "duration_requests",
        ),
        pl.Int64(),
    ),
}


def to_frame(table: pa.Table) -> pl.DataFrame:
    """Arrow to polars, without a copy where possible; times in UTC by that name."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    # every step of polars costs a good half of a millisecond, however few the rows
    zones = {t.time_zone for t in frame.schema.values() if isinstance(t, pl.Datetime)}
    if zones <= {None, "UTC"}:
        return frame
    return frame.with_columns(pl.col(pl.Datetime("us", "*")).dt.convert_time_zone("UTC"))


def empty_frame(*columns: str) -> pl.DataFrame:
    """No rows, typed columns; what is not listed above is text."""
    return pl.DataFrame(schema={name: _TYPES.get(name, pl.String()) for name in columns})


def largest_groups(frame: pl.DataFrame, by: Sequence[str], limit: int) -> pl.DataFrame:
    """Rows of the `limit` groups with most requests; ties by name, for a stable answer."""
    if not by:
        return frame
    totals = frame.group_by(list(by)).agg(pl.col("requests").sum())
    if totals.height <= limit:
        return frame
    top = totals.sort("requests", *by, descending=[True, *(False for _ in by)]).head(limit)
    return frame.join(top.select(by), on=list(by), how="semi", nulls_equal=True)


def in_order(frame: pl.DataFrame, by: Sequence[str], *, series: bool) -> pl.DataFrame:
    """By time first, then largest group first, then by name."""
    if not frame.height:
        return frame
    names = (["time"] if series else []) + ["requests", *by]
    return frame.sort(names, descending=[name == "requests" for name in names], nulls_last=True)
