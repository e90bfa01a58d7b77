"""List answers as JSON or as a file: the same rows and columns, CSV or Parquet by `?format=`."""

from __future__ import annotations

import types
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import orjson
import polars as pl
from fastapi import Query, Response
from pydantic import BaseModel

from analytics.export import to_csv, to_parquet

Format = Annotated[
    Literal["json", "csv", "parquet"],
    Query(description="CSV and Parquet are files of the same rows; nested values are JSON there."),
]
Row = TypeVar("Row", bound=BaseModel)

_TYPES: dict[object, pl.DataType] = {
    bool: pl.Boolean(),
    int: pl.Int64(),
    float: pl.Float64(),
    datetime: pl.Datetime("us", "UTC"),
}
"""What is not here is text: names, decimals (exact), and nested values as JSON."""


def listed(model: type[Row], found: Iterable[object], name: str, format: Format) -> Any:
    """Rows of the model (made of dicts, or of objects by the names of their attributes), or a file
    `gatelens-<name>.<format>` with a column per field of it, in its order; no rows = a file of the
    columns alone."""
    rows = [model.model_validate(one, from_attributes=True) for one in found]
    return rows if format == "json" else as_file(rows_frame(model, rows), name, format)


def as_file(frame: pl.DataFrame, name: str, format: Literal["csv", "parquet"]) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="gatelens-{name}.{format}"'}
    if format == "csv":
        return Response(to_csv(frame), media_type="text/csv; charset=utf-8", headers=headers)
    media_type = "application/vnd.apache.parquet"
    return Response(to_parquet(frame), media_type=media_type, headers=headers)


def rows_frame(model: type[Row], rows: Sequence[Row]) -> pl.DataFrame:
    """One column per field of the model, of its type."""
    schema = {name: _type(field.annotation) for name, field in model.model_fields.items()}
    told = [row.model_dump() for row in rows]
    columns = {
        name: [_cell(row[name]) if type_ == pl.String else row[name] for row in told]
        for name, type_ in schema.items()
    }
    return pl.DataFrame(columns, schema=schema)


def _type(annotation: object) -> pl.DataType:
    if get_origin(annotation) in (Union, types.UnionType):
        known = [arg for arg in get_args(annotation) if arg is not type(None)]
        return _type(known[0]) if len(known) == 1 else pl.String()
    return _TYPES.get(annotation, pl.String())


def _cell(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return orjson.dumps(value, default=str).decode()
    return str(value)
