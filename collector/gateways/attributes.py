"""Attribute maps to columns and back, many keys at a time and without a loop per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.schemas import ATTRIBUTES


class AttributeColumns:
    """Values of chosen keys as columns. One pass over all entries, however many keys."""

    def __init__(self, maps: pa.Array, keys: Sequence[str]) -> None:
        self._rows = len(maps)
        self._index = {key: i for i, key in enumerate(keys)}
        self._place = np.full((len(keys), self._rows), -1, dtype=np.int64)
        if maps.null_count == self._rows:
            self._items = pa.array([], pa.string())
            return
        if maps.offset:
            maps = pa.concat_arrays([maps])
        offsets = maps.offsets.to_numpy(zero_copy_only=False)
        entry_keys, self._items = maps.keys, maps.items
        wanted = pc.fill_null(
            pc.index_in(entry_keys, value_set=pa.array(list(keys), pa.string())), -1
        )
        which = wanted.to_numpy(zero_copy_only=False)
        entries = np.flatnonzero(which >= 0)
        entries = entries[(entries >= offsets[0]) & (entries < offsets[-1])]
        rows = np.searchsorted(offsets, entries, side="right") - 1
        # Backwards, so that the first of two entries with the same key is the one that stays.
        self._place[which[entries][::-1], rows[::-1]] = entries[::-1]

    def has(self, *keys: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Per row, whether any of the keys is there."""
        found = np.zeros(self._rows, dtype=np.bool_)
        for key in keys:
            found |= self._place[self._index[key]] >= 0
        return found

    def text(self, *keys: str) -> pa.Array:
        """The first of the keys that is there; '' is NULL."""
        place = np.full(self._rows, -1, dtype=np.int64)
        for key in keys:
            other = self._place[self._index[key]]
            place = np.where(place < 0, other, place)
        missing = place < 0
        if missing.all():
            return pa.nulls(self._rows, pa.string())
        taken = self._items.take(pa.array(place, mask=missing))
        return pc.if_else(pc.equal(taken, ""), pa.scalar(None, pa.string()), taken)


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
