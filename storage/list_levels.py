"""How maps and lists of a column lie in a file: their levels.

Repetition: 0 where a row begins, 1 behind it. Definition: 0 = NULL, 1 = empty, 2 = an entry whose
value is NULL, 3 = one with a value; keys of maps end at 2. Source: parquet-format,
LogicalTypes.md, and the Dremel paper it names.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.coded import is_valid
from storage.coded_pages import Bools


@dataclass(frozen=True, slots=True)
class Shape:
    """Of all rows of a column."""

    count: int
    """Entries, and one for each row without any."""
    starts: npt.NDArray[np.int64]
    """Of each row, the number of its first entry."""
    inner: Bools
    """Entries behind the first of their row: repetition, one bit each."""
    definition: npt.NDArray[np.uint8] | None
    """0, 1 or 2 (an entry); None = entries alone."""


def pieces(parts: list[pa.Array]) -> list[pa.Array]:
    """The parts that have rows, none of them a slice."""
    filled = [part for part in parts if len(part)]
    if any(part.offset or part.values.offset for part in filled):
        return [pa.concat_arrays([part, part.slice(0, 0)]) for part in filled]
    return filled


def shape_of(parts: list[pa.Array]) -> Shape | None:
    """None: entries lie where no row points to. `parts`: of `pieces`, at least one."""
    offsets = [np.frombuffer(part.buffers()[1], dtype=np.int32)[: len(part) + 1] for part in parts]
    for part, places in zip(parts, offsets, strict=True):
        if places[0] or len(part.values) != places[-1]:
            return None
    sizes = np.concatenate([np.diff(places) for places in offsets])
    valid = np.concatenate([is_valid(part) for part in parts])
    if sizes[~valid].any():
        return None
    slots = np.maximum(sizes, 1)
    starts = np.cumsum(slots) - slots
    count = int(slots.sum())
    inner = np.ones(count, dtype=np.bool_)
    inner[starts] = False
    definition = None
    if count > sum(int(places[-1]) for places in offsets):
        definition = np.full(count, 2, dtype=np.uint8)
        definition[starts[sizes == 0]] = valid[sizes == 0]
    return Shape(count, starts, inner, definition)
