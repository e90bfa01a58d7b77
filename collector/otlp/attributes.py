"""Attributes of a body by owner, and the hot ones among them as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.otlp.arrow import Pairs, Source, codes_of
from collector.otlp.body import ROW_MASK, Body, Bytes, Ints
from collector.otlp.plan import OWNER_SHIFT, TABLE_ID
from collector.otlp.text import match_codes, match_keys
from collector.otlp.values import render_values

_NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Attributes:
    """All attributes of a body, rendered."""

    body: Body
    aux: Bytes
    owners: Ints
    tables: npt.NDArray[np.uint8]
    """Number of the owner's table, per attribute."""
    keys: Ints
    values: Ints
    bodies: Ints
    """References of log bodies; empty for other signals."""

    @property
    def source(self) -> Source:
        return Source(self.body.data, self.aux)

    def of(self, table: str) -> Pairs:
        """Attributes that belong to rows of `table`."""
        count = self.body.count(table)
        mine = self.tables == TABLE_ID[table]
        found = int(np.count_nonzero(mine))
        if found == 0:
            return Pairs(_NONE, _NONE, _NONE, count)
        if found == len(mine):
            return Pairs(self.owners & ROW_MASK, self.keys, self.values, count)
        return Pairs(self.owners[mine] & ROW_MASK, self.keys[mine], self.values[mine], count)


def render_attributes(body: Body, *, bodies: bool = False) -> Attributes:
    """Render every value once. `bodies`: the records have a value of their own (log bodies)."""
    sources = ("attribute", "record") if bodies else ("attribute",)
    references, aux = render_values(body, sources)
    owners = body.column("attribute", "owner")
    return Attributes(
        body,
        aux,
        owners,
        (owners >> OWNER_SHIFT).astype(np.uint8),
        body.column("attribute", "key"),
        references["attribute"],
        references.get("record", _NONE),
    )


class HotKeys:
    """Finds the first attribute of each of some names, for all rows at once."""

    def __init__(self, names: Sequence[str]) -> None:
        raw = [name.encode() for name in names]
        self._number = {name: i for i, name in enumerate(names)}
        self._text = np.frombuffer(b"".join(raw), dtype=np.uint8)
        sizes = np.array([len(name) for name in raw], dtype=np.int64)
        self._at = ((np.cumsum(sizes) - sizes) << 32) | sizes
        self._head = np.full(int(sizes.max()) + 1, -1, dtype=np.int32)
        self._following = np.full(len(raw), -1, dtype=np.int32)
        for i, name in enumerate(raw):
            self._following[i], self._head[len(name)] = self._head[len(name)], i

    def find(self, data: Bytes, pairs: Pairs) -> Found:
        """`pairs.keys` must point into `data`."""
        found = np.full((len(self._at), pairs.count), -1, dtype=np.int64)
        hits = np.zeros(len(self._at), dtype=np.int64)
        match_keys(
            data, pairs.keys, pairs.values, pairs.rows,
            self._text, self._at, self._head, self._following, hits, found,
        )  # fmt: skip
        return self._found(found, hits, pairs.count)

    def find_coded(self, keys: pa.DictionaryArray, pairs: Pairs) -> Found:
        """The same by coded keys: places of entries instead of their values."""
        found = np.full((len(self._at), pairs.count), -1, dtype=np.int64)
        hits = np.zeros(len(self._at), dtype=np.int64)
        names = [self._number.get(key, -1) for key in keys.dictionary.to_pylist()]
        numbers = np.array(names, dtype=np.int64)
        match_codes(codes_of(keys), pairs.values, pairs.rows, numbers, hits, found)
        return self._found(found, hits, pairs.count)

    def _found(self, found: npt.NDArray[np.int64], hits: Ints, rows: int) -> Found:
        there = {name: found[i] for name, i in self._number.items() if hits[i]}
        return Found(there, np.full(rows, -1, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Found:
    """Values of the hot keys that are there at all, per row."""

    _values: dict[str, Ints]
    _none: Ints

    def first(self, *names: str) -> Ints:
        """References (or places) of the first of `names` that is there and not empty; -1 where
        none is."""
        result = self._none
        for values in (self._values[name] for name in names if name in self._values):
            result = values if result is self._none else np.where(result < 0, values, result)
        return np.maximum(result, -1)
