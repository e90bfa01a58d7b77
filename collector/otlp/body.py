"""One body (or several joined) run through the scanner, and its rows by name."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collector.otlp.plan import OWNER_SHIFT, TABLE_ID, TABLES, Plan
from collector.otlp.scan import OK, SCRATCH, TOO_MANY, scan
from collector.payload import MalformedBody

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

REASONS = (
    "ok",
    "message cut short",
    "invalid field tag",
    "varint longer than 10 bytes or cut short",
    "invalid length",
    "unbalanced group",
    "text is not UTF-8",
    "messages nested too deeply",
    "more items than one body may hold",
)
"""By the scanner's status. Twin: the numbers in scan.py."""

ROW_MASK = (1 << OWNER_SHIFT) - 1

_ADMITTED = frozenset({"resource", "scope", "metric", "record"})
"""Tables that the checks before the acknowledgement look at."""

_BYTES_PER_ROW = {"attribute": 24, "record": 64, "node": 64}
"""First guess of how small the average row is on the wire; a wrong one costs a second scan, and is
corrected by what the thread's last scan of such a message found."""

_SHARES = np.array([_BYTES_PER_ROW.get(name, 256) for name in TABLES])
_NO_SHARES = np.zeros(len(TABLES))
_LEARNED_BYTES_MIN = 64 * 1024
"""Smaller bodies say little about how many rows the next one has for its bytes."""

_KEPT = {
    True: np.ones(len(TABLES), dtype=np.bool_),
    False: np.array([name in _ADMITTED for name in TABLES]),
}

_SLOTS_KEPT_MAX = 8 * 1024 * 1024
"""Slots (8 bytes each) that a thread keeps for its next scan. Fresh memory costs more than the
scan: the operating system clears every page of it."""

_kept = threading.local()


def _slots(count: int) -> Ints:
    """`count` slots of any content, valid until this thread asks again."""
    if count > _SLOTS_KEPT_MAX:
        return np.empty(count, dtype=np.int64)
    slots: Ints | None = getattr(_kept, "slots", None)
    if slots is None or len(slots) < count:
        slots = _kept.slots = np.empty(count, dtype=np.int64)
    return slots


def _learned() -> dict[tuple[int, bool], npt.NDArray[np.float64]]:
    """Rows per byte, by plan and by whether all were kept, of this thread's last scans."""
    if not hasattr(_kept, "shares"):
        _kept.shares = {}
    shares: dict[tuple[int, bool], npt.NDArray[np.float64]] = _kept.shares
    return shares


@dataclass(frozen=True, slots=True)
class Body:
    """A body's rows, until the same thread scans another. Tables without room (see `scan_body`)
    only have their count."""

    data: Bytes
    plan: Plan
    slots: Ints
    starts: Ints
    counts: Ints

    def count(self, table: str) -> int:
        return int(self.counts[TABLE_ID[table]])

    def column(self, table: str, path: str) -> Ints:
        """One slot of all rows, contiguous. Raises KeyError for a field the message lacks."""
        number = TABLE_ID[table]
        width = int(self.plan.widths[number])
        start = int(self.starts[number])
        rows = int(self.counts[number])
        slot = self.plan.slots[table][path]
        # A copy even of a single row: the slots are used again by the next scan of this thread.
        return self.slots[start + slot : start + rows * width + slot : width].copy()

    def owner_rows(self, table: str) -> Ints:
        """Row of the owner; all rows of `table` must have owners in one table."""
        return self.column(table, "owner") & ROW_MASK

    def has(self, table: str, path: str) -> npt.NDArray[np.bool_]:
        """Whether an optional field or a message was there."""
        bit = self.plan.bits[table][path]
        there: npt.NDArray[np.bool_] = (self.column(table, "has") >> bit) & 1 == 1
        return there


def scan_body(
    data: bytes, plan: Plan, *, items_max: int, everything: bool, records_max: int | None = None
) -> Body:
    """Scan. With `everything` all rows are kept, else those that admission needs.
    `records_max` is looked at before more records get room than a first guess; None = no limit.

    Raises MalformedBody where Google's decoder raises DecodeError, and beyond `items_max`.
    """
    view = np.frombuffer(data, dtype=np.uint8)
    kept = _KEPT[everything]
    learned = _learned()
    shares = learned.get((id(plan), everything), _NO_SHARES)
    room = np.maximum(len(data) // _SHARES, (shares * len(data)).astype(np.int64)) + 16
    room *= kept
    while True:
        sizes = room * plan.widths
        starts = np.cumsum(sizes) - sizes + SCRATCH
        slots = _slots(int(starts[-1] + sizes[-1]))
        counts = np.zeros(len(TABLES), dtype=np.int64)
        status, position = scan(
            view, plan.entries, plan.widths, slots, starts, room, counts, items_max
        )
        if status != OK:
            raise MalformedBody(REASONS[status], position if status != TOO_MANY else None)
        needed = np.where(kept, counts, 0)
        if records_max is not None and counts[TABLE_ID["record"]] > records_max:
            raise MalformedBody(f"more than {records_max} records in one body")
        if (needed <= room).all():
            if len(data) >= _LEARNED_BYTES_MIN:
                learned[id(plan), everything] = needed * (1.125 / len(data))
            return Body(view, plan, slots, starts, counts)
        room = np.maximum(needed, 1)
