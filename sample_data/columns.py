"""Arrow columns from numpy ones, without a Python object per row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_HEX = np.frombuffer(b"".join(b"%02x" % i for i in range(256)), np.uint16)
"""The two hex digits of every byte, as they lie in memory."""


def pick(values: Sequence[str | None], index: NDArray[np.integer]) -> pa.Array:
    """Text column: `values[index]`; an index below zero is NULL."""
    mask = index < 0 if len(index) and index.min() < 0 else None
    taken = pa.array(values, pa.string()).take(
        pa.array(np.where(mask, 0, index) if mask is not None else index)
    )
    return taken if mask is None else null_where(taken, mask)


def null_where(values: pa.Array, mask: NDArray[np.bool_]) -> pa.Array:
    """The column with NULL where the mask is set."""
    return pc.if_else(pa.array(mask), pa.scalar(None, values.type), values)


def hex_text(numbers: NDArray[np.uint64]) -> pa.Array:
    """Each row of 64-bit numbers as lower-case hex, 16 digits a number. Shape (n,) or (n, k)."""
    matrix = numbers if numbers.ndim == 2 else numbers[:, None]
    table = np.ascontiguousarray(matrix.astype(">u8"))
    digits = _HEX[table.view(np.uint8)]
    width = digits.shape[1] * 2
    offsets = np.arange(0, (len(numbers) + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(
        len(numbers), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(digits))
    )


def timestamps(time_us: NDArray[np.int64]) -> pa.Array:
    """Microseconds since the epoch as TIMESTAMP in UTC."""
    return pa.array(time_us).cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))


def map_column(keys: Sequence[str], columns: Sequence[pa.Array]) -> pa.Array:
    """MAP(VARCHAR, VARCHAR) with the same keys in every row; a NULL value leaves its key out."""
    rows, width = len(columns[0]), len(keys)
    values = pa.concat_arrays([c.cast(pa.string()) for c in columns])
    # Column-major to row-major: entry (row, key) lies at key * rows + row.
    order = np.arange(rows * width, dtype=np.int64).reshape(width, rows).T.ravel()
    values = values.take(pa.array(order))
    names = pa.array(keys, pa.string()).take(pa.array(np.tile(np.arange(width), rows)))
    present = values.is_valid().to_numpy(zero_copy_only=False)
    if not present.all():
        kept = pa.array(present)
        values, names = values.filter(kept), names.filter(kept)
    per_row = present.reshape(rows, width).sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(per_row)]).astype(np.int32)
    return pa.MapArray.from_arrays(pa.array(offsets), names, values)
