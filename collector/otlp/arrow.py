"""References and slots -> Arrow arrays. Everything here is per column, nothing per record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.otlp.body import Body, Bytes, Ints
from collector.otlp.text import LENGTH_MASK, PAD, gather, hex_ids, repeat_lists
from storage.schemas import ATTRIBUTES

Bools = npt.NDArray[np.bool_]
Offsets = npt.NDArray[np.int32]

_STRING_BYTES_MAX = 2**31 - 1
_ENTRIES = [
    pa.field("key", pa.string(), nullable=False),
    pa.field("value", pa.string()),
]


@dataclass(frozen=True, slots=True)
class Source:
    """The two buffers that references point into."""

    data: Bytes
    aux: Bytes


def _validity(valid: Bools) -> pa.Buffer | None:
    return None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))


def _gathered(source: Source, references: Ints) -> tuple[Offsets, Bytes]:
    size = int((np.maximum(references, 0) & LENGTH_MASK).sum())
    assert size <= _STRING_BYTES_MAX, "more than 2 GiB of text in one column"
    offsets = np.empty(len(references) + 1, dtype=np.int32)
    out = np.empty(size + PAD, dtype=np.uint8)
    written = gather(source.data, source.aux, references, offsets, out)
    assert written == size
    return offsets, out


def _strings(offsets: Offsets, data: Bytes, valid: Bools) -> pa.Array:
    buffers = [_validity(valid), pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), len(offsets) - 1, buffers)


def string_array(source: Source, references: Ints) -> pa.Array:
    """Text; -1 is NULL, the empty string is kept."""
    valid = references >= 0
    if not valid.any():
        return pa.nulls(len(references), pa.string())
    return _strings(*_gathered(source, references), valid)


def text_array(source: Source, references: Ints) -> pa.Array:
    """Text of a proto3 field, which has no way to say absent: empty is NULL."""
    return string_array(source, np.where(references & LENGTH_MASK > 0, references, -1))


def id_array(data: Bytes, references: Ints, size: int) -> pa.Array:
    """Ids of `size` bytes in lower-case hex; of another length or all zero: NULL."""
    rows = len(references)
    out = np.empty(rows * size * 2, dtype=np.uint8)
    flags = np.empty(rows, dtype=np.uint8)
    hex_ids(data, references, size, out, flags)
    valid = flags.view(np.bool_)
    offsets = np.zeros(rows + 1, dtype=np.int32)
    np.cumsum(flags, dtype=np.int32, out=offsets[1:])
    return _strings(offsets * np.int32(2 * size), out, valid)


def number_array(values: npt.NDArray[np.generic], type_: pa.DataType, valid: Bools) -> pa.Array:
    """Numbers of the type's own width; NULL where not valid."""
    values = np.ascontiguousarray(values)
    buffers = [_validity(valid), pa.py_buffer(values)]
    return pa.Array.from_buffers(type_, len(values), buffers)


def list_offsets(rows: Ints, count: int) -> Offsets:
    """Offsets of `count` lists from the row of every entry; rows must ascend."""
    offsets = np.zeros(count + 1, dtype=np.int32)
    np.cumsum(np.bincount(rows, minlength=count), dtype=np.int32, out=offsets[1:])
    return offsets


def list_array(type_: pa.DataType, offsets: Offsets, values: pa.Array) -> pa.Array:
    """Lists; those without entries are NULL."""
    valid = offsets[1:] > offsets[:-1]
    buffers = [_validity(valid), pa.py_buffer(offsets)]
    return pa.Array.from_buffers(type_, len(valid), buffers, children=[values])


def _map_array(offsets: Offsets, keys: pa.Array, values: pa.Array) -> pa.Array:
    entries = pa.StructArray.from_arrays([keys, values], fields=_ENTRIES)
    return list_array(ATTRIBUTES, offsets, entries)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Keys and values of the rows of one table: entries in order of their row."""

    rows: Ints
    keys: Ints
    values: Ints
    count: int
    """Rows of the table the entries belong to."""

    def maps(self, source: Source) -> pa.Array:
        """MAP per row; NULL where a row has no entries."""
        return _map_array(
            list_offsets(self.rows, self.count),
            string_array(source, self.keys),
            string_array(source, self.values),
        )

    def repeated_maps(self, source: Source, at: Ints) -> pa.Array:
        """`maps` of the rows in `at`, at the cost of a copy per entry of `at`."""
        lists = list_offsets(self.rows, self.count)
        sizes = np.diff(lists)[at]
        offsets = np.zeros(len(at) + 1, dtype=np.int32)
        np.cumsum(sizes, dtype=np.int32, out=offsets[1:])
        valid = self.values >= 0
        if not valid.all():
            index = np.repeat(lists[at] - offsets[:-1], sizes) + np.arange(offsets[-1])
            valid = valid[index]
        else:
            valid = np.ones(1, dtype=np.bool_)
        keys = self._repeated(source, self.keys, lists, at, int(offsets[-1]))
        values = self._repeated(source, self.values, lists, at, int(offsets[-1]))
        always = np.ones(1, dtype=np.bool_)
        return _map_array(offsets, _strings(*keys, always), _strings(*values, valid))

    def _repeated(
        self, source: Source, references: Ints, lists: Offsets, at: Ints, entries: int
    ) -> tuple[Offsets, Bytes]:
        offsets, data = _gathered(source, references)
        ends = offsets[lists]
        size = int(np.diff(ends)[at].sum(dtype=np.int64))
        assert size <= _STRING_BYTES_MAX, "more than 2 GiB of text in one column"
        out_offsets = np.empty(entries + 1, dtype=np.int32)
        out = np.empty(size + PAD, dtype=np.uint8)
        repeat_lists(lists, offsets, data, at, out_offsets, out)
        return out_offsets, out


def join_pairs(count: int, *parts: Pairs) -> Pairs:
    """Entries of all parts, those of a row in the order of the parts."""
    filled = [part for part in parts if len(part.rows)]
    if len(filled) <= 1:
        return filled[0] if filled else parts[0]
    rows = np.concatenate([part.rows for part in filled])
    order = np.argsort(rows, kind="stable")
    return Pairs(
        rows[order],
        np.concatenate([part.keys for part in filled])[order],
        np.concatenate([part.values for part in filled])[order],
        count,
    )


def micros(nanos: Ints) -> Ints:
    """Unsigned nanoseconds in an int64 slot -> microseconds; no value of 64 bits overflows."""
    return (nanos.view(np.uint64) // np.uint64(1000)).view(np.int64)


def body_ids(body: Body, table: str, path: str, size: int) -> pa.Array:
    return id_array(body.data, body.column(table, path), size)
