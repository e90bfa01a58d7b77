"""Which files to merge: small files become hour files, doing work in proportion to what is new.

Levels: 0 = as appended; 1 = merged while the hour fills up; 2 = sealed: the hour is over, rows are
sorted, ids have bloom filters. Like an LSM tree, files are merged with files of their own size, so
a row is rewritten a few times in its life, not once per pass. A merge never crosses an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from storage.limits import (
    LATE_QUIET_SECONDS,
    LATE_WAIT_SECONDS,
    MERGE_BYTES_MAX,
    MERGE_ROWS_MAX,
    MERGED_FILES,
    OPEN_HOUR_FILES,
    SEAL_AFTER_SECONDS,
)
from storage.log import FileEntry, Partition, hour_bounds_us

SIZE_RATIO = 4
"""A sealed file is merged with late rows once they amount to a quarter of it."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Files of one hour to become one file of `level`."""

    partition: Partition
    files: tuple[FileEntry, ...]
    level: int

    @property
    def rows(self) -> int:
        return sum(max(f.rows, 0) for f in self.files)


def plan_merges(partition: Partition, files: Sequence[FileEntry], *, now_us: int) -> list[Merge]:
    """Merges due in one hour; empty when it is in shape."""
    _tenant, day, hour = partition
    _start, end_us = hour_bounds_us(day, hour)
    if now_us < end_us + SEAL_AFTER_SECONDS * 1_000_000:
        return [Merge(partition, g, 1) for g in _open_hour(files)]
    if not _quiet(files, now_us):
        return []
    return [Merge(partition, g, 2) for g in _sealed_hour(files)]


def _open_hour(files: Sequence[FileEntry]) -> list[tuple[FileEntry, ...]]:
    fresh = [f for f in files if f.level == 0]
    merged = _full_size_class([f for f in files if f.level > 0])
    if len(fresh) >= OPEN_HOUR_FILES:
        merged += [g for g in _groups(fresh) if len(g) > 1]
    return merged


def _sealed_hour(files: Sequence[FileEntry]) -> list[tuple[FileEntry, ...]]:
    loose = [f for f in files if f.level < 2]
    sealed = sorted((f for f in files if f.level == 2), key=lambda f: f.size)
    if not loose:
        return _full_size_class(sealed)
    size = sum(f.size for f in loose)
    for file in sealed:
        if file.size > SIZE_RATIO * size:
            break
        if file.rows < MERGE_ROWS_MAX // 2:  # a full file gains nothing from being rewritten
            loose.append(file)
            size += file.size
    return _groups(loose)


def _full_size_class(files: Sequence[FileEntry]) -> list[tuple[FileEntry, ...]]:
    """MERGED_FILES or more files of similar size: the smallest such class."""
    rows_max = MERGE_ROWS_MAX // 2
    rest = sorted((f for f in files if f.rows < rows_max), key=lambda f: f.size)
    while len(rest) >= MERGED_FILES:
        bound = rest[0].size * SIZE_RATIO
        same = [f for f in rest if f.size <= bound]
        if len(same) >= MERGED_FILES:
            return [g for g in _groups(same) if len(g) > 1]
        rest = rest[len(same) :]
    return []


def _groups(files: Iterable[FileEntry]) -> list[tuple[FileEntry, ...]]:
    """Split so that each group stays within the limits on rows and bytes, in order of time."""
    groups: list[tuple[FileEntry, ...]] = []
    current: list[FileEntry] = []
    rows = size = 0
    for file in sorted(files, key=lambda f: (f.time_min, f.path)):
        over = rows + file.rows > MERGE_ROWS_MAX or size + file.size > MERGE_BYTES_MAX
        if current and over:
            groups.append(tuple(current))
            current, rows, size = [], 0, 0
        current.append(file)
        rows, size = rows + max(file.rows, 0), size + file.size
    if current:
        groups.append(tuple(current))
    return groups


def _quiet(files: Sequence[FileEntry], now_us: int) -> bool:
    """Whether late rows have stopped coming, or waited long enough."""
    loose = [f.modified_ms for f in files if f.level < 2]
    if not loose:
        return True
    now_ms = now_us // 1000
    return (
        now_ms - max(loose) >= LATE_QUIET_SECONDS * 1000
        or now_ms - min(loose) >= LATE_WAIT_SECONDS * 1000
    )
