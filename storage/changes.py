"""What is new in a table since a version: the feed of incremental jobs.

Compaction commits carry `dataChange=false` and are skipped, so a row is handed out exactly once, by
the file it was first written in. Those files must therefore outlive compaction until every job has
passed them (`maintenance` sees to that).
"""

from __future__ import annotations

from dataclasses import dataclass

from storage.errors import VersionsGone
from storage.log import FileEntry, TableLog


@dataclass(frozen=True, slots=True)
class Changes:
    """New files in (from_version, to_version]. No files = nothing new; `to_version` still moves on
    past commits that brought no rows."""

    from_version: int
    """-1 = from the beginning."""
    to_version: int
    files: tuple[FileEntry, ...]
    rows: int

    @property
    def empty(self) -> bool:
        return self.to_version == self.from_version


def read_changes(
    table: TableLog,
    after_version: int | None,
    *,
    rows_max: int | None = None,
    versions_max: int | None = None,
) -> Changes:
    """Changes after a version, whole commits only.

    Stops after the commit that reaches `rows_max` rows (always at least one commit), or after
    `versions_max` commits. Raises VersionsGone when the log was cleaned up past `after_version`.
    """
    start = -1 if after_version is None else after_version
    newest = table.refresh().version
    files: list[FileEntry] = []
    rows, version = 0, start
    while version < newest:
        found = table.read_commit(version + 1)
        if found is None:
            raise VersionsGone(table.name, version, table.oldest_commit())
        version += 1
        if found.data_change:
            files += found.adds
            rows += sum(max(e.rows, 0) for e in found.adds)
        if rows_max is not None and rows >= rows_max:
            break
        if versions_max is not None and version - start >= versions_max:
            break
    return Changes(start, version, tuple(files), rows)
