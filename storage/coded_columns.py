"""Column chunks of columns and maps that come as codes into a dictionary (`coded.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from storage.coded import is_valid
from storage.coded_pages import (
    Body,
    Bools,
    Bounds,
    Chunk,
    Codes,
    Leaf,
    bit_levels,
    coded_chunk,
    constant_level,
    packed_codes,
    text_dictionary,
    two_bit_levels,
)
from storage.list_levels import pieces, shape_of

BOUND_BYTES_MAX = 256
"""Longer least and greatest values are not told: they would fill the footer."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How a chunk is made of a column."""

    page_rows: int
    compared: bool
    """With least and greatest values."""
    part: bool
    """The column is one of several row groups, which need not use all of the dictionary."""


@dataclass(frozen=True, slots=True)
class _Texts:
    """Coded text of all parts of a column."""

    dictionary: pa.StringArray
    codes: Codes
    """Any number where NULL."""
    valid: Bools | None
    """None = all."""


def text_chunks(
    leaves: list[Leaf], parts: list[pa.DictionaryArray], cut: Cut
) -> list[Chunk] | None:
    """None: the parts have no dictionary in common."""
    texts = _texts(parts, cut)
    if texts is None:
        return None
    order = _Order(texts.dictionary) if cut.compared else None
    bodies = []
    for start, stop in _cuts(len(texts.codes), cut.page_rows):
        codes, rows = texts.codes[start:stop], stop - start
        levels = constant_level(1, 1, rows)
        if texts.valid is not None:
            valid = texts.valid[start:stop]
            codes, levels = codes[valid], bit_levels(valid)
        data = levels + packed_codes(codes, len(texts.dictionary))
        bounds = order.bounds(codes) if order is not None else None
        bodies.append(Body(rows, rows, len(codes), data, bounds))
    return [_chunk(leaves[0], texts, bodies)]


def map_chunks(leaves: list[Leaf], parts: list[pa.MapArray], cut: Cut) -> list[Chunk] | None:
    """Chunks of keys, which are never NULL, and values. None: the parts have no dictionaries in
    common."""
    parts = pieces(parts)
    shape = shape_of(parts)
    keys, items = _texts([p.keys for p in parts], cut), _texts([p.items for p in parts], cut)
    if shape is None or keys is None or items is None or keys.valid is not None:
        return None
    rows = len(shape.starts)
    starts = np.append(shape.starts, shape.count)
    # Of each slot, what is there: 0 NULL, 1 an empty map, 2 a key; and how many keys lie before.
    before = None
    if shape.definition is not None:
        before = np.concatenate(([0], np.cumsum(shape.definition == 2)))
    of_keys, of_items = [], []
    for start, stop in _cuts(rows, cut.page_rows):
        low, high = int(starts[start]), int(starts[stop])
        first, last = (low, high) if before is None else (int(before[low]), int(before[high]))
        slots = high - low
        repetition = bit_levels(shape.inner[low:high])
        definition = None if shape.definition is None else shape.definition[low:high]
        levels = constant_level(2, 2, slots) if definition is None else two_bit_levels(definition)
        codes = keys.codes[first:last]
        data = repetition + levels + packed_codes(codes, len(keys.dictionary))
        of_keys.append(Body(stop - start, slots, len(codes), data))
        levels, codes = constant_level(3, 3, slots), items.codes[first:last]
        if definition is not None or items.valid is not None:
            full = np.full(slots, 2, np.uint8) if definition is None else definition.copy()
            there = items.valid[first:last] if items.valid is not None else np.True_
            full[full == 2] += there
            levels = two_bit_levels(full)
            codes = codes[there] if items.valid is not None else codes
        data = repetition + levels + packed_codes(codes, len(items.dictionary))
        of_items.append(Body(stop - start, slots, len(codes), data))
    return [_chunk(leaves[0], keys, of_keys), _chunk(leaves[1], items, of_items)]


def _chunk(leaf: Leaf, texts: _Texts, bodies: list[Body]) -> Chunk:
    return coded_chunk(leaf, text_dictionary(texts.dictionary), len(texts.dictionary), bodies)


def _cuts(rows: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, rows, size):
        yield start, min(start + size, rows)


def _texts(parts: list[pa.DictionaryArray], cut: Cut) -> _Texts | None:
    first = parts[0].dictionary
    if parts[0].type.index_type != pa.int32() or any(
        not part.dictionary.equals(first) for part in parts[1:]
    ):
        return None
    codes = np.concatenate([_codes(part) for part in parts]) if len(parts) > 1 else _codes(parts[0])
    valid = None
    if any(part.null_count for part in parts):
        valid = np.concatenate([is_valid(part) for part in parts])
    if cut.part:
        used = np.zeros(len(first), dtype=np.bool_)
        used[codes if valid is None else codes[valid]] = True
        if not used.all():
            renamed = np.cumsum(used, dtype=np.int32) - 1
            codes = renamed[codes if valid is None else np.where(valid, codes, 0)]
            first = first.filter(pa.array(used))
    return _Texts(first, codes, valid)


def _codes(part: pa.DictionaryArray) -> Codes:
    codes: Codes = np.frombuffer(part.indices.buffers()[1], dtype=np.int32)
    return codes[part.offset : part.offset + len(part)]


class _Order:
    """Codes by the order of their texts, which is that of their bytes."""

    def __init__(self, dictionary: pa.StringArray) -> None:
        self._dictionary = dictionary
        self._sorted: npt.NDArray[Any] = pc.sort_indices(dictionary).to_numpy()
        self._ranks = np.empty(len(dictionary), dtype=np.int32)
        self._ranks[self._sorted] = np.arange(len(dictionary), dtype=np.int32)

    def bounds(self, codes: Codes) -> Bounds | None:
        """None: there are no codes, or their texts are too long."""
        if not len(codes):
            return None
        ranks = self._ranks[codes]
        ends = [self._sorted[rank] for rank in (ranks.min(), ranks.max())]
        least, most = (self._dictionary[int(end)].as_py().encode() for end in ends)
        return (least, most) if max(len(least), len(most)) <= BOUND_BYTES_MAX else None
