"""Adding partial rows of a rollup up when files are merged: one row per group and file remains.

Readers sum partial rows anyway, so no answer changes: whole numbers exactly, DOUBLE sums up to
rounding. Cost: one sort of a 64-bit key per row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.schemas import TableSpec

_KEY_MAX = 1 << 62
"""Combined keys stay below it; beyond, they are numbered anew first."""


def add_partials(spec: TableSpec, rows: pa.Table) -> pa.Table:
    """Rows of `spec.sums` added up over equal other columns (NULL equals NULL), in no particular
    order. A group whose measure is NULL throughout keeps NULL, as SQL's sum() has it. Rows come
    back as they are where the table has no sums, or where one might leave 64 bits.
    """
    if not spec.sums or rows.num_rows < 2 or _may_overflow(spec, rows):
        return rows
    keys = _group_keys(rows, [n for n in rows.column_names if n not in spec.sums])
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    if len(starts) == rows.num_rows:
        return rows
    first = pa.array(order[starts])
    columns = [
        _sums(rows.column(n), order, starts) if n in spec.sums else rows.column(n).take(first)
        for n in rows.column_names
    ]
    return pa.Table.from_arrays(columns, names=rows.column_names)


def _may_overflow(spec: TableSpec, rows: pa.Table) -> bool:
    for name in spec.sums:
        column = rows.column(name)
        if pa.types.is_integer(column.type) and column.null_count < rows.num_rows:
            bounds = pc.min_max(column).as_py()
            if max(abs(bounds["min"]), abs(bounds["max"])) * rows.num_rows >= 1 << 63:
                return True
    return False


def _group_keys(rows: pa.Table, names: list[str]) -> NDArray[np.int64]:
    """One integer per row, equal where all the columns are equal."""
    combined = np.zeros(rows.num_rows, np.int64)
    size = 1
    for name in names:
        codes, count = _codes(rows.column(name))
        if count == 1:
            continue
        if size * count >= _KEY_MAX:
            values, combined = np.unique(combined, return_inverse=True)
            size = len(values)
        combined = combined * count + codes
        size *= count
    return combined


def _codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], int]:
    """(number of each row's value, how many there can be); NULL is a value of its own."""
    if column.null_count == len(column):
        return np.zeros(len(column), np.int64), 1
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    encoded = column.unify_dictionaries().combine_chunks()
    count = len(encoded.dictionary)
    codes = pc.fill_null(encoded.indices, count).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), count + 1


def _sums(column: pa.ChunkedArray, order: NDArray[Any], starts: NDArray[Any]) -> pa.Array:
    whole = column.combine_chunks()
    known = pc.is_valid(whole).to_numpy(zero_copy_only=False)[order]
    values = pc.fill_null(whole, 0).to_numpy(zero_copy_only=False)[order]
    totals = np.add.reduceat(values, starts)
    return pa.array(totals, column.type, mask=~np.logical_or.reduceat(known, starts))
