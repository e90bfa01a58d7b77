"""The lake: Delta tables in a folder or an object store, written exactly once by any number of
processes.

An append is: conform rows -> one Parquet file per hour, fsynced -> one durable commit that names
them together with (app_id, app_version). A crash before the commit leaves files nobody refers to,
which `maintenance` sweeps up; a crash after it is found by `app_version` and not repeated.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import pyarrow as pa

from storage.changes import Changes, read_changes
from storage.commit import add_action, commit, transaction_action
from storage.creation import create_table, ensure_lake_version
from storage.errors import CommitUncertain, StoreUnavailable, UnknownTable
from storage.log import FileEntry, Snapshot, TableLog
from storage.parquet import split_by_hour, write_file
from storage.physical import conform
from storage.schemas import TABLES, TableSpec
from storage.settings import StorageSettings
from storage.store import Store, open_store


class Lake:
    """All tables of one place. Thread-safe. Opening it creates nothing until a table is written,
    except the folder and its version mark. Raises LakeTooNew."""

    def __init__(self, settings: StorageSettings, *, create: bool = True) -> None:
        """`create` False = only read: a folder that is not there yet is an empty lake."""
        self.settings = settings
        self.store = open_store(settings.resolved_lake_url, settings)
        self.root = self.store.folder
        """Local folder of the tables' data files: the lake itself, or the copy of an object store's
        that `LakeTable.fetch` fills."""
        ensure_lake_version(self.store, create=create)
        self._lock = threading.Lock()
        self._tables: dict[str, LakeTable] = {}

    def table(self, name: str) -> LakeTable:
        """The table, created (with the descriptions of its columns) when missing."""
        found = self._open(name)
        found.create()
        return found

    def existing(self, name: str) -> LakeTable | None:
        """The table, or None when nothing was ever written to it. Never creates."""
        found = self._open(name)
        return found if found.log.exists() else None

    def fetch(self, name: str, files: Iterable[FileEntry]) -> None:
        """`LakeTable.fetch` by name."""
        self._open(name).fetch(files)

    def _open(self, name: str) -> LakeTable:
        with self._lock:
            if name not in self._tables:
                if name not in TABLES:
                    raise UnknownTable(name)
                self._tables[name] = LakeTable(TABLES[name], self.store)
            return self._tables[name]


class LakeTable:
    """One table. Thread-safe; open it as often as you like."""

    def __init__(self, spec: TableSpec, store: Store) -> None:
        self.spec = spec
        self.store = store
        self.log = TableLog(store, spec.name)
        self.location = self.log.location
        self._created = False

    def create(self) -> None:
        """Create the table, or add columns that a newer schema brought. Cheap when there is nothing
        to do."""
        if not self._created:
            create_table(self.log, self.spec)
            self._created = True

    def append(
        self, rows: pa.Table | pa.RecordBatch, *, app_id: str, app_version: int
    ) -> int | None:
        """Append rows exactly once.

        `rows` have the columns of `spec.arrow_schema` in any order; missing ones become NULL,
        `time` and `tenant` are required. If the table has already seen `app_version` (or later) of
        `app_id`, nothing is written and None is returned; else the committed version. Zero rows
        still record the app_version. Raises InvalidRows, LakeConflict (another process uses the
        same app_id) and OSError; after any of them nothing was committed. CommitUncertain: the
        disk failed right after the commit; appending the same again is safe.
        """
        return self.append_parts([rows], app_id=app_id, app_version=app_version)

    def append_parts(
        self, parts: Iterable[pa.Table | pa.RecordBatch], *, app_id: str, app_version: int
    ) -> int | None:
        """`append` of rows that come piece by piece and need not fit into memory: each piece is
        written as it comes, one commit names them all. An error of `parts` itself is passed on,
        and nothing was committed."""
        seen = self.snapshot().transaction(app_id)
        if seen is not None and seen >= app_version:
            return None

        def still_valid(snapshot: Snapshot) -> str | None:
            now = snapshot.transaction(app_id)
            return None if now == seen else f"{app_id!r} went from {seen} to {now} meanwhile"

        with self._written(parts) as entries:
            actions = [add_action(e, data_change=True) for e in entries]
            actions.append(transaction_action(app_id, app_version))
            return commit(self.log, actions, operation="WRITE", still_valid=still_valid)

    @contextmanager
    def _written(self, parts: Iterable[pa.Table | pa.RecordBatch]) -> Iterator[list[FileEntry]]:
        """Data files for the rows; deleted again if the commit does not come about."""
        entries: list[FileEntry] = []
        try:
            for rows in parts:
                for part in split_by_hour(self.spec, conform(self.spec, rows)):
                    entries.append(write_file(self.location, self.spec, part, level=0))
                    self.publish(entries[-1])
            yield entries
        except CommitUncertain:
            raise  # readers may have seen the commit: the files must stay
        except BaseException:
            for entry in entries:
                self.discard(entry)
            raise

    def publish(self, entry: FileEntry) -> None:
        """Bring a data file that was just written to where the lake is. OSError when it fails."""
        self.store.publish(f"{self.spec.name}/{entry.path}")

    def discard(self, entry: FileEntry) -> None:
        """Delete a data file that no commit names; what cannot be deleted is swept up later."""
        with suppress(StoreUnavailable):
            self.store.delete(f"{self.spec.name}/{entry.path}")

    def fetch(self, files: Iterable[FileEntry]) -> None:
        """Have the files in `location`. A local lake's are. Raises LakeError and OSError."""
        if not self.store.is_local:
            self.store.fetch((f"{self.spec.name}/{f.path}", f.size) for f in files)

    def snapshot(self) -> Snapshot:
        """The live files, freshly read from the log."""
        return self.log.refresh()

    def app_version(self, app_id: str) -> int | None:
        """Highest committed version of an application; None = never."""
        return self.snapshot().transaction(app_id)

    def version(self) -> int:
        """Newest version of the table, freshly read."""
        return self.snapshot().version

    def changes(
        self,
        after_version: int | None,
        *,
        rows_max: int | None = None,
        versions_max: int | None = None,
    ) -> Changes:
        """Files with new rows committed after a version (None = from the beginning); compaction is
        not a change. See `changes.read_changes`."""
        return read_changes(self.log, after_version, rows_max=rows_max, versions_max=versions_max)
