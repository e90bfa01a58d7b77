"""Run a Python function once per different value of a column, not once per row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.naming.limits import MEMO_MAX
from storage.coded import plain


class Memo:
    """A function remembered by its argument, up to MEMO_MAX arguments."""

    def __init__(self, function: Callable[[str], str | None]) -> None:
        self._function = function
        self._known: dict[str, str | None] = {}

    def __call__(self, value: str) -> str | None:
        try:
            return self._known[value]
        except KeyError:
            if len(self._known) >= MEMO_MAX:
                self._known.clear()
            answer = self._known[value] = self._function(value)
            return answer

    def forget(self) -> None:
        self._known.clear()


def map_unique(values: pa.Array, function: Callable[[str], str | None]) -> pa.Array:
    """`function` of every value; NULL stays NULL."""
    if values.null_count == len(values):
        return pa.nulls(len(values), pa.string())
    coded = values.dictionary_encode()
    answers = pa.array([function(v) for v in coded.dictionary.to_pylist()], pa.string())
    return answers.take(coded.indices)


def map_coded(
    values: pa.DictionaryArray, function: Callable[[str], str | None]
) -> pa.DictionaryArray:
    """The same for values that are coded already, and the answers are."""
    return coded_by([function(v) for v in values.dictionary.to_pylist()], values.indices)


def coded_by(names: Sequence[str | None], index: pa.Array) -> pa.DictionaryArray:
    """names[index], where index may have NULLs and names may be equal to each other."""
    coded = pa.array(names, pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(coded.indices.take(index), coded.dictionary, safe=False)


def coded(values: pa.Array) -> pa.DictionaryArray:
    """Text as codes; as it is where it is coded already."""
    return values if isinstance(values, pa.DictionaryArray) else values.dictionary_encode()


def coalesce(*columns: pa.Array) -> pa.Array:
    """The first text that is not NULL. Coded, and nothing copied, where one column says it all."""
    some = [column for column in columns if column.null_count < len(column)]
    if not some:
        return columns[0]
    if not some[0].null_count or len(some) == 1:
        return some[0]
    return pc.coalesce(*map(plain, some))


def filled(values: pa.Array, name: str) -> pa.Array:
    """The text with `name` where it is NULL."""
    if not values.null_count:
        return values
    if not isinstance(values, pa.DictionaryArray):
        return values.fill_null(name)
    names = values.dictionary.to_pylist()
    return coded_by([*names, name], values.indices.fill_null(len(names)))


_DENSE_MAX = 2**31


def combinations(
    columns: Sequence[pa.Array],
) -> tuple[list[tuple[Any, ...]], npt.NDArray[np.int64]]:
    """Different rows of the columns, in order of their first, and for each row which of them it
    is. NULL is a value here. Columns may be coded."""
    rows = len(columns[0])
    key = np.zeros(rows, dtype=np.int64)
    size = 1
    parts: list[tuple[npt.NDArray[np.int64] | None, list[Any]]] = []
    for values in columns:
        if values.null_count == rows and not isinstance(values, pa.DictionaryArray):
            parts.append((None, [None]))
            continue
        coded = values if isinstance(values, pa.DictionaryArray) else values.dictionary_encode()
        names = [*coded.dictionary.to_pylist(), None]
        codes = coded.indices
        codes = codes.fill_null(len(names) - 1) if codes.null_count else codes
        codes = codes.to_numpy(zero_copy_only=False)
        parts.append((codes, names))
        key = key * len(names) + codes
        size *= len(names)
        if size > _DENSE_MAX:
            dense = pa.array(key).dictionary_encode()
            key, size = dense.indices.to_numpy().astype(np.int64), len(dense.dictionary)
    dense = pa.array(key).dictionary_encode()
    inverse = dense.indices.to_numpy().astype(np.int64)
    first = np.empty(len(dense.dictionary), dtype=np.int64)
    first[inverse[::-1]] = np.arange(rows)[::-1]
    found = [
        names * len(first) if codes is None else [names[c] for c in codes[first].tolist()]
        for codes, names in parts
    ]
    return list(zip(*found, strict=True)), inverse
