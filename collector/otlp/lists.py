"""Repeated numbers of data points, list by list, straight from the scanner's slots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numba.core import types

from collector.otlp.body import ROW_MASK, Body, Ints
from collector.otlp.machine import INTS, kernel
from collector.otlp.plan import OWNER_SHIFT, TABLE_ID

_OFFSETS = types.Array(types.int32, 2, "C")
_INT = types.int64
_OWNER, _LIST, _VALUE = 0, 2, 3
"""Slots of `element`. Twin: plan.py and scan.py."""


def number_lists(
    body: Body, table: str, paths: Sequence[str]
) -> list[tuple[npt.NDArray[np.int32], Ints]]:
    """Arrow's offsets, one list per row of `table`, and the numbers of each repeated field."""
    numbers = np.array([body.plan.bits[table][path] for path in paths], dtype=np.int64)
    element = TABLE_ID["element"]
    rows = body.count(table)
    where = (
        body.slots, int(body.starts[element]), int(body.plan.widths[element]),
        body.count("element"), TABLE_ID[table], numbers,
    )  # fmt: skip
    offsets = np.zeros((len(paths), rows + 1), dtype=np.int32)
    _count(*where, offsets)
    np.cumsum(offsets, axis=1, out=offsets)
    sizes = offsets[:, rows].astype(np.int64)
    ends = np.cumsum(sizes)
    values = np.empty(int(ends[-1]), dtype=np.int64)
    _split(*where, ends - sizes, values)
    return [
        (offsets[i], values[end - size : end])
        for i, (end, size) in enumerate(zip(ends.tolist(), sizes.tolist(), strict=True))
    ]


@kernel(types.void(INTS, _INT, _INT, _INT, _INT, INTS, _OFFSETS))
def _count(slots, start, width, count, table, numbers, offsets):  # type: ignore[no-untyped-def]
    """offsets[n, row + 1] = entries of list n in `row`."""
    for i in range(count):
        at = start + i * width
        if slots[at + _OWNER] >> OWNER_SHIFT != table:
            continue
        for n in range(len(numbers)):
            if slots[at + _LIST] == numbers[n]:
                offsets[n, (slots[at + _OWNER] & ROW_MASK) + 1] += 1
                break


@kernel(types.void(INTS, _INT, _INT, _INT, _INT, INTS, INTS, INTS))
def _split(slots, start, width, count, table, numbers, places, values):  # type: ignore[no-untyped-def]
    """Values of list n from values[places[n]] on; rows of elements ascend."""
    for i in range(count):
        at = start + i * width
        if slots[at + _OWNER] >> OWNER_SHIFT != table:
            continue
        for n in range(len(numbers)):
            if slots[at + _LIST] == numbers[n]:
                values[places[n]] = slots[at + _VALUE]
                places[n] += 1
                break
