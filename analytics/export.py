"""Answers as files: CSV that a spreadsheet opens safely, and Parquet."""

from __future__ import annotations

import io

import polars as pl

FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")
"""Texts that begin so are run by a spreadsheet as a formula (OWASP, CSV injection); they get a
leading apostrophe, here and wherever else CSV is written."""


def to_csv(frame: pl.DataFrame) -> str:
    """CSV with a header and no formula: names come from whoever sends requests."""
    texts = [name for name, type_ in frame.schema.items() if type_ == pl.String]
    safe = frame.with_columns(
        pl.when(pl.any_horizontal(pl.col(name).str.starts_with(begin) for begin in FORMULA_BEGINS))
        .then(pl.concat_str(pl.lit("'"), pl.col(name)))
        .otherwise(pl.col(name))
        .alias(name)
        for name in texts
    )
    return safe.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")


def to_parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
