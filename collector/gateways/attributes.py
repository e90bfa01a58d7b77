"""Attribute maps to columns and back, many keys at a time and without a loop per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba.core import types

from collector.otlp.arrow import codes_of, picked_array
from collector.otlp.machine import BYTES, GRID32, INTS, READ_INTS, READ_INTS32, kernel
from storage.coded import is_valid, plain
from storage.schemas import ATTRIBUTES

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]


class Keys:
    """Names of attributes, prepared to be looked for."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(dict.fromkeys(names))
        raw = [name.encode() for name in self.names]
        self.text = np.frombuffer(b"".join(raw), dtype=np.uint8)
        sizes = np.array([len(name) for name in raw], dtype=np.int64)
        self.starts = np.cumsum(sizes) - sizes
        self.head = np.full(int(sizes.max()) + 1, -1, dtype=np.int64)
        """First name of each length; the others follow in `following`, -1 ends."""
        self.following = np.full(len(raw), -1, dtype=np.int64)
        for i, name in enumerate(raw):
            self.following[i], self.head[len(name)] = self.head[len(name)], i
        self._number = {name: i for i, name in enumerate(self.names)}

    def numbers(self, keys: pa.Array) -> npt.NDArray[np.int64]:
        """Which of the names each key is, -1 = none."""
        found = [self._number.get(key, -1) for key in keys.to_pylist()]
        return np.array(found, dtype=np.int64)


class AttributeColumns:
    """Values of chosen keys as columns. One pass over the entries, however many keys; keys that
    do not occur cost nothing."""

    def __init__(
        self, maps: pa.Array, keys: Keys | Sequence[str], rows: Ints | None = None
    ) -> None:
        """`rows`: those to look at, in this order; None = all."""
        if not isinstance(keys, Keys):
            keys = Keys(keys)
        if maps.offset:
            maps = pa.concat_arrays([maps])
        if rows is None:
            rows = np.arange(len(maps))
        self.rows = len(rows)
        self._items: pa.Array = maps.items
        self._place: dict[str, Places] = {}
        """Key -> entry of each row, -1 where it has none."""
        if maps.null_count == len(maps) or not len(maps.keys):
            return
        lists = maps.offsets.to_numpy(zero_copy_only=False)
        found = np.empty((len(keys.names), self.rows), dtype=np.int32)
        hits = np.zeros(len(keys.names), dtype=np.int64)
        if isinstance(maps.keys, pa.DictionaryArray):
            codes = maps.keys.indices.to_numpy()
            _find_codes(codes, lists, rows, keys.numbers(maps.keys.dictionary), found, hits)
        else:
            _, offsets, data = maps.keys.buffers()
            if data is None:
                return
            _find_keys(
                np.frombuffer(data, dtype=np.uint8), np.frombuffer(offsets, dtype=np.int32), lists,
                rows, keys.text, keys.starts, keys.head, keys.following, found, hits,
            )  # fmt: skip
        self._place = {name: found[i] for i, name in enumerate(keys.names) if hits[i]}

    def kept(self, mask: Bools) -> AttributeColumns:
        """The same for some of the rows."""
        other = AttributeColumns.__new__(AttributeColumns)
        other.rows = int(np.count_nonzero(mask))
        other._items = self._items
        other._place = {name: place[mask] for name, place in self._place.items()}
        return other

    def has(self, *keys: str) -> Bools:
        """Per row, whether any of the keys is there."""
        found = np.zeros(self.rows, dtype=np.bool_)
        for key in keys:
            if key in self._place:
                found |= self._place[key] >= 0
        return found

    def text(self, *keys: str) -> pa.Array:
        """The first of the keys that is there; '' is NULL."""
        place = self._first(keys)
        if place is None:
            return pa.nulls(self.rows, pa.string())
        missing = place < 0
        taken = plain(self._items.take(pa.array(place, mask=missing) if missing.any() else place))
        empty = pc.equal(pc.binary_length(taken), 0)
        if not pc.any(empty).as_py():
            return taken
        return pc.if_else(empty, pa.scalar(None, pa.string()), taken)

    def coded(self, *keys: str) -> pa.Array:
        """`text`, as codes where the maps have some and texts repeat."""
        place = self._first(keys)
        if place is None or not isinstance(self._items, pa.DictionaryArray):
            return self.text(*keys)
        if self._items.null_count:
            place = np.where(is_valid(self._items)[place], place, -1)
        found = picked_array(self._items, place.astype(np.int64))
        texts = found.dictionary if isinstance(found, pa.DictionaryArray) else found
        return self.text(*keys) if pc.any(pc.equal(texts, "")).as_py() else found

    def bytes_of(self, *keys: str) -> tuple[npt.NDArray[np.uint8], Any, Any] | None:
        """Buffer, starts and ends of the same text, an empty span where it is missing; None where
        all of it is."""
        place, items = self._first(keys), self._items
        if place is None:
            return None
        if isinstance(items, pa.DictionaryArray):
            missing = place < 0
            if items.null_count:
                missing |= ~is_valid(items)[place]
            place, items = np.where(missing, -1, codes_of(items)[place]), items.dictionary
        _, offsets, data = items.buffers()
        if data is None:
            return None
        bounds = np.frombuffer(offsets, dtype=np.int32)
        starts, ends = bounds[place], bounds[place + 1]
        ends = np.where(place < 0, starts, ends)
        return np.frombuffer(data, dtype=np.uint8), starts, ends

    def _first(self, keys: Sequence[str]) -> Places | None:
        places = [self._place[key] for key in keys if key in self._place]
        if not places:
            return None
        first, *others = places
        for other in others:
            first = np.where(first < 0, other, first)
        return first


@kernel(types.void(READ_INTS32, READ_INTS32, READ_INTS, READ_INTS, GRID32, INTS))
def _find_codes(codes: Any, lists: Any, rows: Any, names: Any, found: Any, hits: Any) -> None:
    """`_find_keys` for coded keys; `names`: the name of each code, -1 = none of them."""
    for i in range(rows.size):
        for entry in range(lists[rows[i]], lists[rows[i] + 1]):
            name = names[codes[entry]]
            if name < 0:
                continue
            if hits[name] == 0:
                found[name, :] = -1
            hits[name] += 1
            if found[name, i] < 0:
                found[name, i] = entry


@kernel(
    types.void(
        BYTES, READ_INTS32, READ_INTS32, READ_INTS,
        BYTES, READ_INTS, READ_INTS, READ_INTS, GRID32, INTS,
    )
)  # fmt: skip
def _find_keys(
    data: Any, offsets: Any, lists: Any, rows: Any,
    names: Any, starts: Any, head: Any, following: Any, found: Any, hits: Any,
) -> None:  # fmt: skip
    """found[name, i] = the first entry of rows[i] with that key, -1 = none; a name without hits
    has no content. `hits` counts entries."""
    for i in range(rows.size):
        for entry in range(lists[rows[i]], lists[rows[i] + 1]):
            at = offsets[entry]
            size = offsets[entry + 1] - at
            if size >= head.size:
                continue
            name = head[size]
            while name >= 0:
                start = starts[name]
                # From the end: names of one length differ there more often than in front.
                j = size - 1
                while j >= 0 and data[at + j] == names[start + j]:
                    j -= 1
                if j < 0:
                    if hits[name] == 0:
                        found[name, :] = -1
                    hits[name] += 1
                    if found[name, i] < 0:
                        found[name, i] = entry
                    break
                name = following[name]


def attributes_column(rows: int, columns: Mapping[str, pa.Array | None]) -> pa.Array | None:
    """The columns as one map per row, NULL values left out; None if there is nothing at all."""
    present = {k: v for k, v in columns.items() if v is not None and v.null_count < rows}
    if not present:
        return None
    valid = np.stack(
        [v.is_valid().to_numpy(zero_copy_only=False) for v in present.values()], axis=1
    )
    counts = valid.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    row, column = np.nonzero(valid)
    keys = pa.array(list(present), pa.string()).take(pa.array(column))
    values = pa.concat_arrays(list(present.values())).take(pa.array(column * rows + row))
    maps = pa.MapArray.from_arrays(pa.array(offsets), keys, values).cast(ATTRIBUTES)
    return pc.if_else(pa.array(counts > 0), maps, pa.scalar(None, ATTRIBUTES))
