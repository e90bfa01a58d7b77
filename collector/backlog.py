"""Acknowledged records on their way to the lake: in memory while that fits, else in the log.

Past `queue_bytes_max` new records are not queued; they are read back from the log when their turn
comes. Start-up is the same case: everything a crash left behind is read back, a commit's worth at
a time, so a large log neither delays the start nor fills the memory. Senders that are faster than
the lake are slowed down before it comes to that (`wait_for_room`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from collector.limits import ANSWER_DELAY_S_MAX, READ_BACK_DELAY_S
from collector.payload import Payload
from collector.wal_cursor import WalCursor


@dataclass(frozen=True, slots=True)
class Entry:
    """One acknowledged record."""

    sequence: int
    payload: Payload
    records: int
    queued_at: float
    """Monotonic seconds; for read-back entries the time of reading."""


class Backlog:
    """A queue in order of sequence. Put by the log's thread, taken by the batcher's."""

    def __init__(self, cursor: WalCursor, bytes_max: int, *, first: int, last: int) -> None:
        """`first`..`last`: sequences the log holds from before; last < first = none."""
        self._cursor = cursor
        self._bytes_max = bytes_max
        self._cond = threading.Condition()
        self._queue: deque[Entry] = deque()
        self._bytes = 0
        self._records = 0
        self._next = first
        self._durable = last
        self._on_disk = last >= first
        self._closed = False
        self._urgent = False
        self._stalled = False

    @property
    def queued_bytes(self) -> int:
        return self._bytes

    @property
    def next_sequence(self) -> int:
        """The sequence the next `take` starts at."""
        return self._next

    @property
    def durable(self) -> int:
        """The last sequence acknowledged."""
        return self._durable

    def oldest(self) -> float | None:
        """When the oldest entry in memory was queued, monotonic seconds; None = there is none."""
        with self._cond:
            return self._queue[0].queued_at if self._queue else None

    @property
    def behind(self) -> int:
        """Sequences acknowledged and not yet taken."""
        return max(0, self._durable - self._next + 1)

    @property
    def reads_back(self) -> bool:
        """True while records are read from the log rather than handed over in memory."""
        return self._on_disk

    def put(self, entries: Sequence[Entry]) -> None:
        """Add durable records; sequences follow on from the last ones."""
        if not entries:
            return
        size = sum(len(e.payload.body) for e in entries)
        with self._cond:
            self._durable = entries[-1].sequence
            if self._on_disk or self._bytes + size > self._bytes_max:
                self._on_disk = True
            else:
                self._queue.extend(entries)
                self._bytes += size
                self._records += sum(e.records for e in entries)
            self._cond.notify_all()

    def wait_for_room(self, size: int) -> None:
        """Hold up whoever brings records while more than `size` bytes wait for the lake.

        Senders then wait for their answers a little longer, instead of running away from the lake
        until the log is full: what is acknowledged gets there soon, at any load. Nobody waits for
        a lake that cannot be written; that is what the log is for.
        """
        with self._cond:
            limit_s = READ_BACK_DELAY_S if self._on_disk else ANSWER_DELAY_S_MAX
            self._cond.wait_for(
                lambda: self._closed or self._stalled or not (self._on_disk or self._bytes > size),
                limit_s,
            )

    def set_stalled(self, stalled: bool) -> None:
        """Whether the lake can be written at present."""
        with self._cond:
            self._stalled = stalled
            self._cond.notify_all()

    def wait_for_batch(self, interval_s: float, rows: int, size: int) -> bool:
        """Wait until the oldest entry is `interval_s` old or enough is there. False: closed."""
        with self._cond:
            while not self._closed and not self._urgent:
                if self._on_disk or self._records >= rows or self._bytes >= size:
                    break
                wait_s: float | None = None
                if self._queue:
                    wait_s = self._queue[0].queued_at + interval_s - time.monotonic()
                    if wait_s <= 0:
                        break
                self._cond.wait(wait_s)
            self._urgent = False
            return not self._closed

    def take(self, rows: int, size: int, upto: int | None = None) -> list[Entry]:
        """The next entries, at least one if there is any, until `rows` or `size` is reached.

        `upto`: highest sequence to hand out (replay cuts batches there); None = no bound.
        """
        taken = self._take_queued(rows, size, upto)
        if taken or not self._on_disk:
            return taken
        return self._take_from_log(rows, size, upto)

    def _take_queued(self, rows: int, size: int, upto: int | None) -> list[Entry]:
        taken: list[Entry] = []
        with self._cond:
            took_rows = took_bytes = 0
            while self._queue and took_rows < rows and took_bytes < size:
                if upto is not None and self._queue[0].sequence > upto:
                    break
                entry = self._queue.popleft()
                taken.append(entry)
                took_rows += entry.records
                took_bytes += len(entry.payload.body)
            self._records -= took_rows
            self._bytes -= took_bytes
            if taken:
                self._next = taken[-1].sequence + 1
                self._cond.notify_all()
        return taken

    def _take_from_log(self, rows: int, size: int, upto: int | None) -> list[Entry]:
        durable = self._durable
        last = durable if upto is None else min(durable, upto)
        read = self._cursor.read(self._next, last, rows=rows, size=size)
        now = time.monotonic()
        with self._cond:
            # Lost records leave gaps: what was not found up to `last` will never be.
            self._next = read.next_sequence
            if self._next > self._durable:
                self._on_disk = False
                self._cond.notify_all()
        return [Entry(r.sequence, r.payload(body), r.records, now) for r, body in read.records]

    def nudge(self) -> None:
        """Make the next `wait_for_batch` return at once (a flush was asked for)."""
        with self._cond:
            self._urgent = True
            self._cond.notify()

    def close(self) -> None:
        with self._cond:
            self._closed = True
            self._cond.notify_all()
