"""How rows lie in files: the Delta schema and the Parquet schema of a table.

Delta has no unsigned integers, so they are stored as 64-bit signed ones: uint32 as its value,
uint64 as the same 64 bits (two's complement). Readers turn them back (`session.py`, `restore`).
Partition columns are not in the files, as Delta wants it.
"""

from __future__ import annotations

import json
from functools import cache

import pyarrow as pa
from deltalake import Schema as DeltaSchema

from storage.coded import plain_type, schema_of
from storage.errors import InvalidRows
from storage.schemas import PARTITION_COLUMNS, TABLES, TableSpec

_PRIMITIVES = {
    pa.string(): "string",
    pa.int64(): "long",
    pa.int32(): "integer",
    pa.int16(): "short",
    pa.int8(): "byte",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us", tz="UTC"): "timestamp",
}


UNREADABLE = (OSError, pa.ArrowException, ValueError, LookupError)
"""What pyarrow raises over a damaged file; the last two where names in its footer are."""


def stored_type(type_: pa.DataType) -> pa.DataType:
    """The type a column has in the files: unsigned integers become int64, at any depth."""
    if pa.types.is_unsigned_integer(type_):
        return pa.int64()
    if pa.types.is_list(type_):
        return pa.list_(pa.field("element", stored_type(type_.value_type)))
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(f.name, stored_type(f.type)) for f in type_])
    return type_


@cache
def parquet_schema(table: str) -> pa.Schema:
    """Columns of the files of a table, all nullable, without the partition columns."""
    return pa.schema(
        [
            pa.field(c.name, stored_type(c.type))
            for c in TABLES[table].columns
            if c.name not in PARTITION_COLUMNS
        ]
    )


def _delta_type(type_: pa.DataType) -> object:
    if pa.types.is_map(type_):
        return {
            "type": "map",
            "keyType": _delta_type(type_.key_type),
            "valueType": _delta_type(type_.item_type),
            "valueContainsNull": True,
        }
    if pa.types.is_list(type_):
        return {
            "type": "array",
            "elementType": _delta_type(type_.value_type),
            "containsNull": True,
        }
    if pa.types.is_struct(type_):
        return {"type": "struct", "fields": [_delta_field(f.name, f.type, "") for f in type_]}
    return _PRIMITIVES[stored_type(type_)]


def _delta_field(name: str, type_: pa.DataType, comment: str) -> dict[str, object]:
    metadata = {"comment": comment} if comment else {}
    return {"name": name, "type": _delta_type(type_), "nullable": True, "metadata": metadata}


def delta_schema_json(spec: TableSpec) -> str:
    """The table's schema as Delta writes it, descriptions (with units) as column comments."""
    fields = [
        _delta_field(c.name, c.type, f"{c.description} [{c.unit}]" if c.unit else c.description)
        for c in spec.columns
    ]
    fields.append(_delta_field("day", pa.date32(), "UTC day of `time`; partition."))
    fields.append(_delta_field("hour", pa.int8(), "UTC hour of `time`, 0-23; partition."))
    return json.dumps({"type": "struct", "fields": fields})


def delta_schema(spec: TableSpec) -> DeltaSchema:
    return DeltaSchema.from_json(delta_schema_json(spec))


def conform(spec: TableSpec, rows: pa.Table | pa.RecordBatch) -> pa.Table:
    """Rows in the table's columns, order and types; missing columns filled with NULL. Text may be
    coded, and stays so.

    Raises InvalidRows for an unknown column, a type that cannot be cast without loss, or a missing
    or NULL `time` or `tenant`.
    """
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    known = spec.arrow_schema
    unknown = set(table.column_names) - set(known.names)
    if unknown:
        raise InvalidRows(spec.name, f"unknown column {', '.join(sorted(unknown))}")
    columns = []
    for field in known:
        index = table.schema.get_field_index(field.name)
        if index < 0:
            if not field.nullable:
                raise InvalidRows(spec.name, f"column {field.name} is missing")
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table.column(index)
        if plain_type(column.type) != field.type:
            try:
                column = column.cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as err:
                raise InvalidRows(spec.name, f"column {field.name}: {err}") from err
        if not field.nullable and column.null_count:
            raise InvalidRows(spec.name, f"column {field.name} has NULL")
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema_of(known, columns))


def store(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as it lies in the files."""
    return _reinterpret(column, stored_type(column.type))


def restore(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    """The inverse of `store`: a column read from a file, back in the table's type."""
    return _reinterpret(column, type_)


def _reinterpret(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    # An unchecked cast between 64-bit integers keeps the bits, which is what both directions need.
    return column if column.type == type_ else column.cast(type_, safe=False)
