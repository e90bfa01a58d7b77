"""Replace the values of chosen keys in a column of attribute maps, without a loop per row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.attributes import Keys


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
    _, offsets, data = maps.keys.buffers()
    if data is None or len(maps) == 0:
        return maps
    if maps.keys.offset or maps.items.offset:
        maps = pa.concat_arrays([maps, maps.slice(0, 0)])
        _, offsets, data = maps.keys.buffers()
    marks = np.zeros(len(maps.keys), dtype=np.bool_)
    marked = _mark(
        np.frombuffer(data, dtype=np.uint8), np.frombuffer(offsets, dtype=np.int32),
        keys.text, keys.starts, keys.head, keys.following, marks,
    )  # fmt: skip
    if not marked:
        return maps
    if only is not None:
        places = np.flatnonzero(marks)
        chosen = only(maps.items.take(pa.array(places)))
        if not chosen.any():
            return maps
        marks[places[~chosen]] = False
    mask = pa.array(marks)
    changed = change(maps.items.filter(mask)).cast(pa.string()).fill_null("")
    items = pc.replace_with_mask(maps.items, mask, changed)
    entries = pa.StructArray.from_arrays(
        [maps.keys, items], fields=[maps.type.key_field, maps.type.item_field]
    )
    return pa.Array.from_buffers(
        maps.type, len(maps), maps.buffers()[:2], maps.null_count, maps.offset, [entries]
    )


@numba.njit(cache=True, nogil=True)
def _mark(
    data: Any, offsets: Any, names: Any, starts: Any, head: Any, following: Any, marks: Any
) -> int:
    """Marks the entries whose key is one of the names; answers how many."""
    count = 0
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
                count += 1
                break
            name = following[name]
    return count
