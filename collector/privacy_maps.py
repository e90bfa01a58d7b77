"""Replace the values of chosen keys in a column of attribute maps, without a loop per row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba.core import types

from collector.gateways.attributes import Keys
from collector.otlp.machine import BYTES, READ_INTS, READ_INTS32, kernel
from storage.coded import map_of, plain


def replace_items(
    maps: pa.Array,
    keys: Keys,
    change: Callable[[pa.Array], pa.Array],
    *,
    only: Callable[[pa.Array], npt.NDArray[np.bool_]] | None = None,
) -> pa.Array:
    """The maps with `change` of the values of these keys; NULL becomes ''. Every entry counts, of
    a key that is there twice too. `only`: which of the values may change at all. The same array
    where there is nothing to change."""
    if len(maps.keys) == 0:
        return maps
    if maps.keys.offset or maps.items.offset:
        maps = pa.concat_arrays([maps, maps.slice(0, 0)])
    marks = _marks(maps.keys, keys)
    if not marks.any():
        return maps
    if only is not None:
        places = np.flatnonzero(marks)
        chosen = only(plain(maps.items.take(pa.array(places))))
        if not chosen.any():
            return maps
        marks[places[~chosen]] = False
    mask = pa.array(marks)
    items = plain(maps.items)
    changed = change(items.filter(mask)).cast(pa.string()).fill_null("")
    return map_of(maps, maps.keys, pc.replace_with_mask(items, mask, changed))


def _marks(found: pa.Array, keys: Keys) -> npt.NDArray[np.bool_]:
    """Which of the keys of all maps are among `keys`."""
    if isinstance(found, pa.DictionaryArray):
        wanted: npt.NDArray[np.bool_] = keys.numbers(found.dictionary) >= 0
        codes = found.indices.to_numpy()
        return wanted[codes] if wanted.any() else np.zeros(len(codes), dtype=np.bool_)
    marks = np.zeros(len(found), dtype=np.bool_)
    _, offsets, data = found.buffers()
    if data is not None:
        _mark(
            np.frombuffer(data, dtype=np.uint8), np.frombuffer(offsets, dtype=np.int32),
            keys.text, keys.starts, keys.head, keys.following, marks,
        )  # fmt: skip
    return marks


_MARKS = types.Array(types.boolean, 1, "C")


@kernel(types.void(BYTES, READ_INTS32, BYTES, READ_INTS, READ_INTS, READ_INTS, _MARKS))
def _mark(
    data: Any, offsets: Any, names: Any, starts: Any, head: Any, following: Any, marks: Any
) -> None:
    """Marks the entries whose key is one of the names."""
    for entry in range(marks.size):
        at = offsets[entry]
        size = offsets[entry + 1] - at
        if size >= head.size:
            continue
        name = head[size]
        while name >= 0:
            start = starts[name]
            j = size - 1
            while j >= 0 and data[at + j] == names[start + j]:
                j -= 1
            if j < 0:
                marks[entry] = True
                break
            name = following[name]
