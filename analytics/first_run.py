"""A rollup that is new to an old lake: made from the rows that are there, once, in one commit.

An incremental job begins with the first commit of its source. Of an old lake neither that commit
nor its files are left: they were merged, and what nobody had to read any more was cleaned away. So
a job without a place starts from the live files instead, some hours at a time, and its place is the
version they are of. Killed on the way it has committed nothing, and starts again.
"""

from __future__ import annotations

from collections.abc import Iterator

from storage.lake import LakeTable
from storage.log import FileEntry, Snapshot


def begins_late(source: LakeTable, snapshot: Snapshot) -> bool:
    """Whether the first commits of a table can no longer be read file by file."""
    return any(f.level > 0 for f in snapshot.files()) or source.log.read_commit(0) is None


def hours_of(snapshot: Snapshot, rows_max: int) -> Iterator[tuple[FileEntry, ...]]:
    """All live files, oldest hours first: whole hours together, up to about `rows_max` rows."""
    batch: list[FileEntry] = []
    rows = 0
    for partition in sorted(snapshot.partitions, key=lambda p: (p[1], p[2], p[0])):
        files = snapshot.partitions[partition].values()
        more = sum(max(f.rows, 0) for f in files)
        if batch and rows + more > rows_max:
            yield tuple(batch)
            batch, rows = [], 0
        batch += files
        rows += more
    if batch:
        yield tuple(batch)
