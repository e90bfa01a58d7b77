"""Parquet column chunks of numbers, lists of them, and text that hardly repeats, as bytes.

The encodings are those of Parquet that come nearest to a copy of Arrow's buffers; zstd does the
rest. Integers and the lengths of texts are differences (DELTA_BINARY_PACKED) in blocks that are all
alike, of whole bytes a difference: a few passes of numpy over the column, where Arrow's writer
takes each value by itself. DOUBLEs are cut into streams of their bytes (BYTE_STREAM_SPLIT).
Source: parquet-format: Encodings.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.coded import is_valid
from storage.coded_pages import (
    BYTE_ARRAY,
    SNAPPY,
    ZSTD,
    Body,
    Bools,
    Chunk,
    Leaf,
    bit_levels,
    constant_level,
    data_chunk,
    two_bit_levels,
)
from storage.list_levels import pieces, shape_of
from storage.thrift import varint

Numbers = npt.NDArray[Any]

PAGE_BYTES = 1024 * 1024
"""Text of a data page, about; pyarrow's default. A reader of some rows undoes whole pages."""

_BLOCK = 128
"""Differences of a block, in one miniblock: the least that the format allows."""

_DELTA_BINARY_PACKED, _DELTA_LENGTH_BYTE_ARRAY, _BYTE_STREAM_SPLIT = 5, 6, 9
_INT32, _INT64, _DOUBLE = 1, 2, 5
_WIDTHS: dict[int, type[np.signedinteger[Any]]] = {_INT32: np.int32, _INT64: np.int64}


def plain_chunk(
    leaf: Leaf, column: pa.ChunkedArray, *, compared: bool = False, fast: bool = False
) -> Chunk | None:
    """A flat column that is neither nested nor coded; None = of a type that is pyarrow's. `fast`:
    compressed with less care. `compared`: with its least and greatest value, of integers only."""
    if leaf.definition_max != 1 or leaf.repetition_max:
        return None
    valid = None
    if column.null_count:
        valid = np.concatenate([is_valid(part) for part in column.chunks])
        column = column.drop_null()
    codec = SNAPPY if fast else ZSTD
    rows = len(column) if valid is None else len(valid)
    if leaf.physical_type == BYTE_ARRAY and column.type == pa.string():
        return data_chunk(leaf, _text_bodies(column, valid), _DELTA_LENGTH_BYTE_ARRAY, codec)
    found = _numbers(leaf, column)
    if found is None:
        return None
    values, body, encoding = found
    bounds = None
    if compared and encoding == _DELTA_BINARY_PACKED and len(values):
        bounds = values.min().tobytes(), values.max().tobytes()
    whole = Body(rows, rows, len(values), _levels(valid, rows) + body, bounds)
    return data_chunk(leaf, [whole], encoding, codec)


def list_chunk(leaf: Leaf, column: pa.ChunkedArray) -> Chunk | None:
    """Lists of numbers, none of which is NULL; None = others, which are pyarrow's."""
    parts = pieces(column.chunks)
    if (leaf.definition_max, leaf.repetition_max) != (3, 1) or any(
        part.values.null_count for part in parts
    ):
        return None
    shape = shape_of(parts)
    found = _numbers(leaf, pa.chunked_array([part.values for part in parts]))
    if shape is None or found is None:
        return None
    values, body, encoding = found
    definition = constant_level(3, 3, shape.count)
    if shape.definition is not None:
        definition = two_bit_levels(shape.definition + (shape.definition == 2))
    levels = bit_levels(shape.inner) + definition
    whole = Body(len(column), shape.count, len(values), levels + body)
    return data_chunk(leaf, [whole], encoding, ZSTD)


def _numbers(leaf: Leaf, column: pa.ChunkedArray) -> tuple[Numbers, bytes, int] | None:
    """The values of a column without NULLs, encoded, and the number of the encoding."""
    if leaf.physical_type == _DOUBLE and column.type == pa.float64():
        values = _values(column, np.dtype("<f8"))
        streams = values.view(np.uint8).reshape(-1, 8).T.tobytes()
        return values, streams, _BYTE_STREAM_SPLIT
    if leaf.physical_type in _WIDTHS and _whole(column.type):
        values = _values(column, np.dtype(_WIDTHS[leaf.physical_type]))
        return values, packed_differences(values), _DELTA_BINARY_PACKED
    return None


def _whole(type_: pa.DataType) -> bool:
    return bool(pa.types.is_signed_integer(type_) or pa.types.is_timestamp(type_))


def _values(column: pa.ChunkedArray, dtype: np.dtype[Any]) -> Numbers:
    """Numbers without NULLs, in the width of the file."""
    parts = []
    for part in column.chunks:
        if pa.types.is_timestamp(part.type):
            part = part.view(pa.int64())
        parts.append(part.to_numpy(zero_copy_only=False).astype(dtype, copy=False))
    return np.ascontiguousarray(np.concatenate(parts) if len(parts) != 1 else parts[0])


def _levels(valid: Bools | None, rows: int) -> bytes:
    return constant_level(1, 1, rows) if valid is None else bit_levels(valid)


def _text_bodies(column: pa.ChunkedArray, valid: Bools | None) -> list[Body]:
    """Of each page levels, lengths, then all text as it lies in Arrow's buffer."""
    parts = [_text(part) for part in column.chunks]
    lengths = np.concatenate([np.diff(offsets) for offsets, _ in parts] or [np.empty(0, np.int32)])
    texts = [data[offsets[0] : offsets[-1]] for offsets, data in parts if len(offsets) > 1]
    text = texts[0] if len(texts) == 1 else memoryview(b"".join(texts))
    rows = len(lengths) if valid is None else len(valid)
    ends = np.cumsum(lengths, dtype=np.int64)
    # Number of values before each row: NULLs belong to the page they lie in, and have no length.
    before = None if valid is None else np.concatenate(([0], np.cumsum(valid)))
    pages: list[Body] = []
    row = value = at = 0
    while row < rows or not pages:
        stop_value = int(np.searchsorted(ends, at + PAGE_BYTES, side="left")) + 1
        stop_value = min(max(stop_value, value + 1), len(lengths))
        if before is None:
            stop = stop_value
        else:
            stop = rows
            if stop_value < len(lengths):
                stop = int(np.searchsorted(before, stop_value, side="left"))
        end = int(ends[stop_value - 1]) if stop_value else 0
        levels = _levels(None if valid is None else valid[row:stop], stop - row)
        body = b"".join((levels, packed_differences(lengths[value:stop_value]), text[at:end]))
        pages.append(Body(stop - row, stop - row, stop_value - value, body))
        row, value, at = stop, stop_value, end
    return pages


def _text(part: pa.StringArray) -> tuple[npt.NDArray[np.int32], memoryview]:
    _, offset_buffer, data = part.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int32)[part.offset :][: len(part) + 1]
    return offsets, memoryview(data) if data is not None else memoryview(b"")


def packed_differences(values: Numbers) -> bytes:
    """DELTA_BINARY_PACKED of 32- or 64-bit integers. Differences wrap around, as the format wants
    it; what is added to all of them, the least one, is the same in every block, and so is the
    width: 0, 8, 16, 32 or 64 bits."""
    count = len(values)
    first = int(values[0]) if count else 0
    head = varint(_BLOCK) + varint(1) + varint(count) + _zigzag(first)
    if count < 2:
        return head
    differences = values[1:] - values[:-1]
    least = differences.min()
    bits = values.dtype.itemsize * 8
    rest = (differences - least).view(f"<u{bits // 8}")
    most = int(rest.max())
    width = next(w for w in (0, 8, 16, 32, 64) if most >> w == 0)
    blocks = -(-len(rest) // _BLOCK)
    start = _zigzag(int(least)) + bytes([width])
    if not width:
        return head + start * blocks
    padded = np.zeros(blocks * _BLOCK, dtype=f"<u{width // 8}")
    padded[: len(rest)] = rest
    out = np.empty((blocks, len(start) + _BLOCK * width // 8), dtype=np.uint8)
    out[:, : len(start)] = np.frombuffer(start, dtype=np.uint8)
    out[:, len(start) :] = padded.view(np.uint8).reshape(blocks, -1)
    return head + out.tobytes()


def _zigzag(value: int) -> bytes:
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)
