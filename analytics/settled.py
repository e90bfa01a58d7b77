"""Sums of hours that are over, kept between questions: a range that is asked again, or moved a
little, reads only its unsettled tail.

What is kept is the answer to one question (grouping, filters, policy, what may be seen) over some
data files of one hour. Files never change and a late row is a new file, so an answer is right as
long as those are the hour's files: nothing is thrown away but for room. Sealed hours that the range
cuts are kept minute by minute, so that its ends need no reading either.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from analytics.limits import SETTLED_BYTES_MAX
from analytics.pieces import KnownChanges, Piece
from storage.log import FileEntry, Partition, hour_bounds_us, time_to_us

SEALED = 2
"""Level of files that are merged for good: only then is a cut hour worth keeping by minute."""


class SettledSums:
    """Frames by question and files, least recently used first out. Thread-safe."""

    def __init__(self, bytes_max: int = SETTLED_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._lock = threading.Lock()
        self._frames: OrderedDict[Hashable, pl.DataFrame] = OrderedDict()
        self.changes = KnownChanges()
        self.hits = 0
        self.misses = 0

    def get(self, key: Hashable) -> pl.DataFrame | None:
        with self._lock:
            found = self._frames.get(key)
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._frames.move_to_end(key)
            return found

    def put(self, key: Hashable, frame: pl.DataFrame) -> None:
        size = _size(frame)
        if size > self._bytes_max:
            return
        with self._lock:
            old = self._frames.pop(key, None)
            self._bytes += size - (0 if old is None else _size(old))
            self._frames[key] = frame
            while self._bytes > self._bytes_max:
                self._bytes -= _size(self._frames.popitem(last=False)[1])


def _size(frame: pl.DataFrame) -> int:
    return int(frame.estimated_size()) + 500  # what an empty one costs


@dataclass(frozen=True, slots=True)
class Hour:
    """Files of one hour of one piece."""

    partition: Partition
    files: tuple[FileEntry, ...]

    @property
    def key(self) -> Hashable:
        return (self.partition, tuple(sorted(f.path for f in self.files)))

    @property
    def bounds_us(self) -> tuple[int, int]:
        """First and last microsecond."""
        return hour_bounds_us(self.partition[1], self.partition[2])

    @property
    def sealed(self) -> bool:
        return all(f.level >= SEALED for f in self.files)


def by_hour(piece: Piece, cuts: Iterable[datetime]) -> tuple[list[Hour], list[Hour], Piece]:
    """A piece as (hours wholly inside one of its spans and crossed by no cut, other hours, files
    that cannot be told by the hour)."""
    grouped: dict[Partition, list[FileEntry]] = {}
    odd: list[FileEntry] = []
    for entry in piece.files:
        first, last = hour_bounds_us(entry.day, entry.hour)
        if entry.time_min < first or entry.time_max > last:
            odd.append(entry)  # another engine wrote it
        else:
            grouped.setdefault(entry.partition, []).append(entry)
    spans = [(time_to_us(start), time_to_us(end)) for start, end in piece.spans]
    crossing = [time_to_us(cut) for cut in cuts]
    whole: list[Hour] = []
    cut_hours: list[Hour] = []
    for partition, files in grouped.items():
        hour = Hour(partition, tuple(files))
        first, last = _covered(piece.table, hour)
        inside = any(start <= first and last < end for start, end in spans)
        crossed = any(first < cut <= last for cut in crossing)
        (whole if inside and not crossed else cut_hours).append(hour)
    return whole, cut_hours, replace(piece, files=tuple(odd))


def _covered(table: str, hour: Hour) -> tuple[int, int]:
    """Where an hour's rows can lie; a day's are all at its start."""
    first, last = hour.bounds_us
    return (first, first) if table.endswith(("_day", "_hour")) else (first, last)


def piece_of(piece: Piece, hours: Iterable[Hour]) -> Piece:
    """The part of a piece that lies in some of its hours."""
    return replace(piece, files=tuple(f for hour in hours for f in hour.files))
