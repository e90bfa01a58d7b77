"""Rewriting files: read, add partials up, sort the way the table is asked, write one, swap in one
commit.

The commit removes the old files and adds the new one with `dataChange=false`, so jobs never see a
row twice. Readers keep the old files: they stay on disk for a grace period. Killed at any point,
either the old files are live or the new one is; the other side is swept up later.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.commit import add_action, commit, remove_action
from storage.errors import CommitUncertain, LakeDamaged
from storage.lake import LakeTable
from storage.log import FileEntry, Snapshot
from storage.merge_plan import Merge
from storage.merge_sums import add_partials
from storage.parquet import UNIQUE_TEXT, write_stored
from storage.physical import UNREADABLE, parquet_schema
from storage.schemas import TableSpec

LONG_TEXT = UNIQUE_TEXT | {
    "body", "path", "url_path", "detail", "record", "trace_state", "status_message", "summary"
}  # fmt: skip
"""Text that hardly ever repeats: read as it is."""

_MAP = pa.map_(pa.string(), pa.string())
_CODED = pa.dictionary(pa.int32(), pa.string())
_CODED_MAP = pa.map_(_CODED, _CODED)

DICTIONARY_VALUES_MAX = 4096
"""Values of a column above which it is merged as plain text: every row group would repeat a long
dictionary."""


def run_merge(table: LakeTable, merge: Merge) -> FileEntry:
    """Merge the files; returns the new one. Raises LakeConflict (someone else rewrote one of them
    first; nothing changed), LakeDamaged (a file cannot be read) and OSError."""
    rows = sort_rows(table.spec, add_partials(table.spec, read_files(table, merge.files)))
    entry = write_stored(
        table.location,
        table.spec,
        rows,
        like=replace(
            merge.files[0],
            rows=rows.num_rows,
            time_min=min(f.time_min for f in merge.files),
            time_max=max(f.time_max for f in merge.files),
            # the newest write of its rows: retention and sealing ask for that, not for the rewrite
            modified_ms=max(f.modified_ms for f in merge.files),
        ),
        level=merge.level,
    )
    paths = {f.path for f in merge.files}

    def still_valid(snapshot: Snapshot) -> str | None:
        live = snapshot.partitions.get(merge.partition, {})
        gone = paths - live.keys()
        return f"{len(gone)} of its files were rewritten meanwhile" if gone else None

    now_ms = int(time.time() * 1000)
    actions = [remove_action(f, at_ms=now_ms, data_change=False) for f in merge.files]
    actions.append(add_action(entry, data_change=False))
    try:
        table.publish(entry)
        commit(table.log, actions, operation="OPTIMIZE", still_valid=still_valid)
    except CommitUncertain:
        raise  # readers may have seen the commit: the file must stay
    except BaseException:
        table.discard(entry)
        raise
    return entry


def read_files(table: LakeTable, files: Sequence[FileEntry]) -> pa.Table:
    """Rows of the files as stored; columns an older file does not have are NULL.

    Text columns with few values and the texts in maps come dictionary-encoded, and columns that are
    NULL throughout are not read at all: together that is most of the cost of a merge. Raises
    LakeDamaged naming the file, also when it holds another number of rows than the log says.
    """
    schema = parquet_schema(table.spec.name)
    dictionary = [f.name for f in schema if f.type == pa.string() and f.name not in LONG_TEXT]
    for name in (f.name for f in schema if f.type == _MAP):
        dictionary += [f"{name}.key_value.key", f"{name}.key_value.value"]
    table.fetch(files)
    known = set(schema.names)
    paths = [table.location / f.path for f in files]
    footers = _read_footers(paths)
    parts = [
        _read_file(path, f.rows, dictionary, known, footers[path])
        for path, f in zip(paths, files, strict=True)
    ]
    sizes = [part.num_rows for part in parts]
    found = [dict(zip(part.column_names, part.columns, strict=True)) for part in parts]
    columns = [_joined([part.get(f.name) for part in found], sizes, f) for f in schema]
    return pa.Table.from_arrays(columns, names=schema.names)


@dataclass(frozen=True, slots=True)
class _Footer:
    """Top-level columns of a file by what is known of them before it is read."""

    empty: set[str]
    """NULL in every row."""
    lengths: set[str]
    """Text by its lengths (DELTA_LENGTH_BYTE_ARRAY): Arrow does not read it into a dictionary."""


def _read_file(
    path: Path, rows: int, dictionary: list[str], known: set[str], footer: _Footer
) -> pa.Table:
    """The columns of a file that hold any value."""
    try:
        try:
            found = _read_columns(path, rows, dictionary, known, footer)
        except pa.ArrowNotImplementedError:
            # A map that Arrow cannot read as numbers into one dictionary.
            flat = [name for name in dictionary if "." not in name]
            found = _read_columns(path, rows, flat, known, footer)
    except UNREADABLE as err:
        raise LakeDamaged(str(path), str(err).split("\n")[0]) from err
    for name in footer.lengths & set(dictionary) & set(found.column_names):
        index = found.column_names.index(name)
        found = found.set_column(index, name, found.column(index).dictionary_encode())
    return found


def _read_columns(
    path: Path, rows: int, dictionary: list[str], known: set[str], footer: _Footer
) -> pa.Table:
    coded = [name for name in dictionary if name not in footer.lengths]
    with pq.ParquetFile(path, read_dictionary=coded, page_checksum_verification=True) as file:
        found = file.metadata.num_rows
        if rows >= 0 and found != rows:
            raise LakeDamaged(str(path), f"{found} rows instead of {rows}")
        unknown = set(file.schema_arrow.names) - known
        if unknown:  # merging would drop it
            raise LakeDamaged(str(path), f"unknown column {', '.join(sorted(unknown))}")
        names = [f.name for f in file.schema_arrow if f.name not in footer.empty]
        # Group by group: each has dictionaries of its own, and Arrow reads maps with one at a time.
        if not file.num_row_groups:
            return file.read(columns=names, use_threads=False)
        groups = range(file.num_row_groups)
        parts = [file.read_row_group(g, columns=names, use_threads=False) for g in groups]
        return pa.concat_tables(parts)


@cache
def _footers() -> duckdb.DuckDBPyConnection:
    """One for the process: making one takes as long as reading dozens of footers."""
    return duckdb.connect(config={"threads": 1, "memory_limit": "256MB"})


def _read_footers(paths: Sequence[Path]) -> dict[Path, _Footer]:
    """Per file what its footer says of its columns. DuckDB tells it: pyarrow's own way to a
    column's metadata ends the process where a damaged footer contradicts itself. All files in one
    question: each costs 1.5 ms, a file in it 0.7. Raises LakeDamaged naming the file."""
    con = _footers().cursor()
    try:
        sql = (
            "SELECT file_name, path_in_schema,"
            " bool_and(coalesce(stats_null_count = row_group_num_rows, false)),"
            " bool_or(contains(encodings, 'DELTA_LENGTH'))"
            " FROM parquet_metadata($1) GROUP BY ALL"
        )
        found = con.execute(sql, [[str(path) for path in paths]]).fetchall()
    except (duckdb.Error, UnicodeDecodeError) as err:
        if len(paths) > 1:  # which one?
            return {path: _read_footers([path])[path] for path in paths}
        raise LakeDamaged(str(paths[0]), str(err).split("\n")[0]) from err
    finally:
        con.close()
    footers = {path: _Footer(set(), set()) for path in paths}
    for path, name, nothing, lengths in found:
        if "," in name or "." in name:
            continue
        if nothing:
            footers[Path(path)].empty.add(name)
        if lengths:
            footers[Path(path)].lengths.add(name)
    return footers


def _joined(
    parts: Sequence[pa.ChunkedArray | None], sizes: Sequence[int], field: pa.Field
) -> pa.ChunkedArray:
    """One column over all files, of which some do not have it: as codes into one dictionary where
    it has few values. Maps, too, their keys and values: a row is then moved as numbers."""
    there = [part for part in parts if part is not None]
    if not there:
        return pa.chunked_array([pa.nulls(sum(sizes), field.type)])
    nested = field.type == _MAP
    texts = [part.type.item_type if nested else part.type for part in there]
    coded = all(pa.types.is_dictionary(type_) for type_ in texts)
    type_ = field.type if not coded else _CODED_MAP if nested else _CODED
    chunks: list[pa.Array] = []
    for part, size in zip(parts, sizes, strict=True):
        chunks += [pa.nulls(size, type_)] if part is None else part.cast(type_).chunks
    column = pa.chunked_array(chunks, type=type_)
    if not coded:
        return column
    column = column.unify_dictionaries()
    if not nested and column.num_chunks and len(column.chunk(0).dictionary) > DICTIONARY_VALUES_MAX:
        return column.cast(field.type)
    return column


def _plain_where_varied(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Maps whose values hardly repeat, with these as text: codes would come on top of them."""
    if column.type != _CODED_MAP or not column.num_chunks:
        return column
    distinct = len(column.chunk(0).items.dictionary)
    if distinct <= max(DICTIONARY_VALUES_MAX, sum(len(c.items) for c in column.chunks) // 2):
        return column
    return column.cast(pa.map_(_CODED, pa.string()))


def sort_rows(spec: TableSpec, rows: pa.Table) -> pa.Table:
    """Order rows by the table's sort columns; NULL first; equal rows keep their order."""
    keys = [_sort_key(rows.column(name)) for name in reversed(spec.sort)]
    order = np.lexsort(keys)
    return pa.Table.from_arrays(
        [
            c if c.null_count == len(c) else _plain_where_varied(c.take(pa.array(order)))
            for c in rows.columns
        ],
        names=rows.column_names,
    )


def _sort_key(column: pa.ChunkedArray) -> NDArray[np.integer[Any]]:
    """Integers that sort like the column."""
    if pa.types.is_timestamp(column.type):
        return np.asarray(column.cast(pa.int64()).to_numpy())
    if pa.types.is_integer(column.type):
        return np.asarray(pc.fill_null(column, 0).to_numpy())
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    encoded = column.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # no rows at all
        return np.empty(0, np.int32)
    ranks = np.empty(len(encoded.dictionary) + 1, np.int32)
    ranks[pc.sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(encoded.dictionary))
    ranks[-1] = -1  # NULL
    indices = pc.fill_null(encoded.indices, len(encoded.dictionary))
    return np.asarray(ranks[indices.to_numpy()])
