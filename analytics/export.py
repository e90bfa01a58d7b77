"""Answers as files: CSV that a spreadsheet opens safely, and Parquet."""

from __future__ import annotations

import io

import polars as pl

_FORMULA = r"^[=+\-@\t\r]"


def to_csv(frame: pl.DataFrame) -> str:
    """CSV with a header. Texts that a spreadsheet would run as a formula get a leading apostrophe
    (OWASP, CSV injection): names come from whoever sends requests."""
    texts = [name for name, type_ in frame.schema.items() if type_ == pl.String]
    safe = frame.with_columns(
        pl.when(pl.col(name).str.contains(_FORMULA))
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
