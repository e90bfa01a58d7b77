"""DuckDB views over data files: typed, tenant-bound, of exactly the files that matter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from storage.log import schema_version_of
from storage.schemas import LAKE_SCHEMA_VERSION, PARTITION_COLUMNS, TABLES, TableSpec

_SCALARS = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.int16(): "SMALLINT",
    pa.int8(): "TINYINT",
    pa.uint64(): "UBIGINT",
    pa.uint32(): "UINTEGER",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
}

_HIVE = "hive_partitioning = true, hive_types = {'tenant': VARCHAR, 'day': DATE, 'hour': TINYINT}"


def sql_type(type_: pa.DataType) -> str:
    """How DuckDB (and our documentation) names a column's type."""
    if pa.types.is_map(type_):
        return f"MAP({sql_type(type_.key_type)}, {sql_type(type_.item_type)})"
    if pa.types.is_list(type_):
        return f"{sql_type(type_.value_type)}[]"
    if pa.types.is_struct(type_):
        return f"STRUCT({', '.join(f'{quoted(f.name)} {sql_type(f.type)}' for f in type_)})"
    return _SCALARS[type_]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_NEWEST = re.compile(r"\bdesc\b.*\blimit\b", re.IGNORECASE | re.DOTALL)


def reading_order(sql: str, files: Sequence[str]) -> Sequence[str]:
    """Files (oldest first) in the order a query should read them: newest first where it asks for
    the newest rows. Once DuckDB has the rows of `ORDER BY time DESC LIMIT n`, statistics keep older
    files closed: 24 times less work for the newest errors of a week."""
    return files[::-1] if _NEWEST.search(sql) else files


def view_sql(
    con: duckdb.DuckDBPyConnection, table: str, location: Path, files: Sequence[str]
) -> str:
    """SELECT behind a table's view: every documented column plus day and hour, in order.

    `files`: paths below `location`, which must be there when the view is asked; none = an empty
    relation of the right types. Files of an older schema read as NULL in the columns that came
    later.
    """
    spec = TABLES[table]
    if not files:
        columns = ", ".join(f"CAST(NULL AS {t}) AS {quoted(n)}" for n, t in view_columns(spec))
        return f"SELECT {columns} WHERE false"
    paths = ", ".join(literal(str(location / f)) for f in files)
    source = f"read_parquet([{paths}], {_HIVE})"
    present: set[str] | None = None
    if any(schema_version_of(f) != LAKE_SCHEMA_VERSION for f in files):
        # costs a look into every file when binding, so only where columns can differ
        source = f"read_parquet([{paths}], {_HIVE}, union_by_name = true)"
        present = {row[0] for row in con.execute(f"DESCRIBE FROM {source}").fetchall()}
    columns = ", ".join(_column_sql(spec, n, t, present) for n, t in view_columns(spec))
    return f"SELECT {columns} FROM {source}"  # noqa: S608 - names from schemas.py, paths quoted


def view_columns(spec: TableSpec) -> list[tuple[str, str]]:
    """(name, SQL type) of a view, in order."""
    return [
        *((c.name, sql_type(c.type)) for c in spec.columns),
        ("day", "DATE"),
        ("hour", "TINYINT"),
    ]


def _column_sql(spec: TableSpec, name: str, type_: str, present: set[str] | None) -> str:
    column = quoted(name)
    if present is not None and name not in present and name not in PARTITION_COLUMNS:
        return f"CAST(NULL AS {type_}) AS {column}"
    if type_ == "UBIGINT":
        return f"CAST(CAST({column} AS BIT) AS UBIGINT) AS {column}"  # stored as the same 64 bits
    if type_ == "UBIGINT[]":
        cast = "CAST(CAST(n AS BIT) AS UBIGINT)"
        return f"list_transform({column}, lambda n: {cast}) AS {column}"
    if type_ == "UINTEGER":
        return f"CAST({column} AS UINTEGER) AS {column}"
    return column
