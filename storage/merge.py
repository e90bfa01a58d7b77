"""Rewriting files: read, sort the way the table is asked, write one, swap in one commit.

The commit removes the old files and adds the new one with `dataChange=false`, so jobs never see a
row twice. Readers keep the old files: they stay on disk for a grace period. Killed at any point,
either the old files are live or the new one is; the other side is swept up later.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.commit import add_action, commit, remove_action
from storage.errors import LakeDamaged
from storage.lake import LakeTable
from storage.log import FileEntry, Snapshot
from storage.merge_plan import Merge
from storage.parquet import write_stored
from storage.physical import parquet_schema
from storage.schemas import TableSpec


def run_merge(table: LakeTable, merge: Merge) -> FileEntry:
    """Merge the files; returns the new one. Raises LakeConflict (someone else rewrote one of them
    first; nothing changed), LakeDamaged (a file cannot be read) and OSError."""
    rows = sort_rows(table.spec, read_files(table, merge.files))
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
        commit(table.log, actions, operation="OPTIMIZE", still_valid=still_valid)
    except BaseException:
        (table.location / entry.path).unlink(missing_ok=True)
        raise
    return entry


def read_files(table: LakeTable, files: Sequence[FileEntry]) -> pa.Table:
    """Rows of the files as stored; columns an older file does not have are NULL.

    Raises LakeDamaged naming the file, also when it holds another number of rows than the log says.
    """
    schema = parquet_schema(table.spec.name)
    parts = []
    for file in files:
        path = table.location / file.path
        try:
            rows = pq.read_table(path, partitioning=None)
        except (OSError, pa.ArrowException) as err:
            raise LakeDamaged(str(path), str(err).split("\n")[0]) from err
        if file.rows >= 0 and rows.num_rows != file.rows:
            raise LakeDamaged(str(path), f"{rows.num_rows} rows instead of {file.rows}")
        columns = [
            rows.column(f.name).cast(f.type)
            if f.name in rows.column_names
            else pa.chunked_array([pa.nulls(rows.num_rows, f.type)])
            for f in schema
        ]
        parts.append(pa.Table.from_arrays(columns, schema=schema))
    return pa.concat_tables(parts)


def sort_rows(spec: TableSpec, rows: pa.Table) -> pa.Table:
    """Order rows by the table's sort columns; NULL first; equal rows keep their order."""
    keys = [_sort_key(rows.column(name)) for name in reversed(spec.sort)]
    order = np.lexsort(keys)
    return rows.take(pa.array(order))


def _sort_key(column: pa.ChunkedArray) -> NDArray[np.integer[Any]]:
    """Integers that sort like the column."""
    if pa.types.is_timestamp(column.type):
        return np.asarray(column.cast(pa.int64()).to_numpy())
    if pa.types.is_integer(column.type):
        return np.asarray(pc.fill_null(column, 0).to_numpy())
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    ranks = np.empty(len(encoded.dictionary) + 1, np.int32)
    ranks[pc.sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(encoded.dictionary))
    ranks[-1] = -1  # NULL
    indices = pc.fill_null(encoded.indices, len(encoded.dictionary))
    return np.asarray(ranks[indices.to_numpy()])
