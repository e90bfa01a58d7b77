"""Run a Python function once per different value of a column, not once per row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.naming.limits import MEMO_MAX


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
    coded = values.dictionary_encode()
    answers = pa.array([function(v) for v in coded.dictionary.to_pylist()], pa.string())
    return answers.take(coded.indices)


def combinations(
    columns: Sequence[pa.Array],
) -> tuple[list[tuple[Any, ...]], npt.NDArray[np.int64]]:
    """Different rows of the columns, and for each row which of them it is. NULL is a value here."""
    rows = len(columns[0])
    key = np.zeros(rows, dtype=np.int64)
    dictionaries: list[list[Any]] = []
    for values in columns:
        coded = values.dictionary_encode(null_encoding="encode")
        dictionaries.append(coded.dictionary.to_pylist())
        key = key * max(1, len(dictionaries[-1])) + coded.indices.to_numpy(zero_copy_only=False)
    distinct, inverse = np.unique(key, return_inverse=True)
    parts: list[list[Any]] = []
    for names in reversed(dictionaries):
        size = max(1, len(names))
        parts.append([names[i] for i in (distinct % size).tolist()])
        distinct = distinct // size
    return list(zip(*reversed(parts), strict=True)), inverse
