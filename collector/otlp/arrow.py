"""References and slots -> Arrow arrays. Everything here is per column, nothing per record."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.otlp.body import Body, Bytes, Ints
from collector.otlp.text import LENGTH_MASK, PAD, encode, gather, hex_ids, pick
from storage.coded import plain
from storage.schemas import ATTRIBUTES

Bools = npt.NDArray[np.bool_]
Offsets = npt.NDArray[np.int32]

_STRING_BYTES_MAX = 2**31 - 1
_NO_GROUPS = np.empty(0, dtype=np.int32)
_CODED = pa.dictionary(pa.int32(), pa.string())
_CODES_MAX = 65_536
"""Different texts of a column beyond which it is written as it is: the dictionary of a Parquet
column ends at 1 MiB."""

_SECRET = np.uint64(secrets.randbits(64) | 1)
"""Of the hash that finds equal texts: nobody outside can make them collide at will."""


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
    return coded_array(source, np.where(references & LENGTH_MASK > 0, references, -1))


def coded_array(
    source: Source,
    references: Ints,
    *,
    most: int | None = None,
    groups: npt.NDArray[np.int32] | None = None,
) -> pa.Array:
    """`string_array` as codes into a dictionary (`storage/coded.py`) where at most `most` texts
    differ; None = one in four. `groups`: numbers from 0, texts of one are likely to be equal."""
    rows = len(references)
    valid = references >= 0
    if not valid.any():
        return pa.nulls(rows, _CODED)
    room = min(rows // 4 + 16, _CODES_MAX) if most is None else max(most, 1)
    firsts = np.empty(room, dtype=np.int64)
    codes = np.empty(rows, dtype=np.int32)
    count = encode(
        source.data, source.aux, references, _NO_GROUPS if groups is None else groups, _SECRET,
        np.full(1 << (2 * room - 1).bit_length(), -1, dtype=np.int32),
        np.empty(room, dtype=np.uint64), firsts, codes,
    )  # fmt: skip
    if count < 0:
        return string_array(source, references)
    buffers = [_validity(valid), pa.py_buffer(codes)]
    indices = pa.Array.from_buffers(pa.int32(), rows, buffers)
    return coded_by(indices, string_array(source, firsts[:count]))


def coded_by(codes: pa.Array, dictionary: pa.Array) -> pa.DictionaryArray:
    """Codes that are known to lie within the dictionary: nobody looks at each of them again."""
    return pa.DictionaryArray.from_arrays(codes, dictionary, safe=False)


def codes_of(coded: pa.DictionaryArray) -> npt.NDArray[np.int32]:
    """Codes of texts; any number where NULL."""
    codes: npt.NDArray[np.int32] = np.frombuffer(coded.indices.buffers()[1], dtype=np.int32)
    return codes[coded.offset : coded.offset + len(coded)]


def picked_array(texts: pa.DictionaryArray, places: Ints) -> pa.Array:
    """texts[places], NULL where a place is negative, with a dictionary of only what is there;
    without codes where most texts differ."""
    rows = len(places)
    numbers = np.full(len(texts.dictionary), -1, dtype=np.int32)
    firsts, picked = np.empty_like(numbers), np.empty(rows, dtype=np.int32)
    count = pick(codes_of(texts), places, numbers, firsts, picked)
    indices = pa.Array.from_buffers(
        pa.int32(), rows, [_validity(places >= 0), pa.py_buffer(picked)]
    )
    dictionary = texts.dictionary.take(pa.array(firsts[:count]))
    coded = coded_by(indices, dictionary)
    return coded if count <= rows // 4 + 16 else plain(coded)


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
    key, value = ATTRIBUTES.key_field.with_type(keys.type), pa.field("value", values.type)
    entries = pa.StructArray.from_arrays([keys, values], fields=[key, value])
    return list_array(pa.map_(key, value), offsets, entries)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Keys and values of the rows of one table: entries in order of their row."""

    rows: Ints
    keys: Ints
    values: Ints
    count: int
    """Rows of the table the entries belong to."""

    def maps(self, source: Source, *, coded: bool = True) -> pa.Array:
        """MAP per row; NULL where a row has no entries. `coded`: keys and values may be codes."""
        if coded:
            return self.maps_of(*self.texts(source))
        return self.maps_of(string_array(source, self.keys), string_array(source, self.values))

    def texts(self, source: Source) -> tuple[pa.Array, pa.Array]:
        """Keys and values of all entries, coded where texts repeat."""
        keys = coded_array(source, self.keys)
        groups = codes_of(keys) if isinstance(keys, pa.DictionaryArray) else None
        return keys, coded_array(source, self.values, groups=groups)

    def maps_of(self, keys: pa.Array, values: pa.Array) -> pa.Array:
        """`maps` of texts that are made already."""
        return _map_array(list_offsets(self.rows, self.count), keys, values)

    def repeated_maps(self, source: Source, at: Ints) -> pa.Array:
        """`maps` of the rows in `at`, all coded, at the cost of two codes per entry of `at`."""
        lists = list_offsets(self.rows, self.count)
        sizes = np.diff(lists)[at]
        offsets = np.zeros(len(at) + 1, dtype=np.int32)
        np.cumsum(sizes, dtype=np.int32, out=offsets[1:])
        index = pa.array(np.repeat(lists[at] - offsets[:-1], sizes) + np.arange(offsets[-1]))
        every = len(self.keys)
        keys = coded_array(source, self.keys, most=every).take(index)
        values = coded_array(source, self.values, most=every).take(index)
        return _map_array(offsets, keys, values)


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
