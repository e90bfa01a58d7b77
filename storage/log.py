"""Reading a table's Delta log: which files are live, kept up to date commit by commit.

A checkpoint is read through `deltalake` once; after that every refresh reads only the commit files
that are new, so asking "anything new?" costs one failed open. Delta protocol, sections "Action
Reconciliation" and "Delta Log Entries".
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import cast
from urllib.parse import unquote

import orjson
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from storage.errors import LakeDamaged
from storage.store import Store
from storage.torn_checkpoint import drop_torn_checkpoint

Partition = tuple[str, date, int]
"""(tenant, day, hour)."""

Metadata = dict[str, object]
"""A `metaData` action as it stands in the log; `schema_columns` reads it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def schema_version_of(path: str) -> int:
    """LAKE_SCHEMA_VERSION of a data file's writer, from its name; 0 = another engine wrote it."""
    parts = path.rsplit("/", 1)[-1].split("-", 2)
    known = len(parts) == 3 and parts[1][:1] == "v" and parts[1][1:].isdigit()
    return int(parts[1][1:]) if known else 0


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One live data file. `path` is relative to the table's folder."""

    path: str
    size: int
    rows: int
    tenant: str
    day: date
    hour: int
    time_min: int
    """Microseconds since 1970, smallest `time` in the file."""
    time_max: int
    modified_ms: int
    """When the file was added, by the writer's clock."""

    @property
    def partition(self) -> Partition:
        return (self.tenant, self.day, self.hour)

    @property
    def level(self) -> int:
        """0 = as appended, 1 = merged, 2 = sealed hour; from the file's name."""
        name = self.path.rsplit("/", 1)[-1]
        return int(name[1]) if name[:1] == "l" and name[1:2].isdigit() else 0

    @property
    def schema_version(self) -> int:
        return schema_version_of(self.path)


@dataclass(frozen=True, slots=True)
class Commit:
    """What one version did to the table."""

    version: int
    adds: tuple[FileEntry, ...]
    removes: tuple[str, ...]
    data_change: bool
    """Whether any add brought new rows; False for compaction."""
    transactions: Mapping[str, int]
    metadata: Metadata | None = None
    """The table's new `metaData` action, where the commit changed it."""


def time_to_us(moment: datetime) -> int:
    """Microseconds since 1970; a naive datetime is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


def us_to_time(us: int) -> datetime:
    return _EPOCH + us * _MICROSECOND


def us_to_text(us: int) -> str:
    """As Delta statistics write a timestamp."""
    return us_to_time(us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _stat_us(value: object, fallback: int) -> int:
    if not isinstance(value, str):
        return fallback
    return time_to_us(datetime.fromisoformat(value.replace("Z", "+00:00")))


def hour_bounds_us(day: date, hour: int) -> tuple[int, int]:
    start = time_to_us(datetime(day.year, day.month, day.day, hour, tzinfo=UTC))
    return start, start + 3_600_000_000 - 1


def entry_from_add(add: Mapping[str, object]) -> FileEntry:
    """An `add` action as a FileEntry. Without statistics the whole hour is assumed."""
    partition = cast("Mapping[str, str]", add["partitionValues"])
    day, hour = date.fromisoformat(partition["day"]), int(partition["hour"])
    stats = orjson.loads(cast("str | None", add.get("stats")) or "{}")
    low, high = hour_bounds_us(day, hour)
    return FileEntry(
        path=unquote(cast("str", add["path"])),
        size=cast("int", add["size"]),
        rows=int(stats.get("numRecords", -1)),
        tenant=partition["tenant"],
        day=day,
        hour=hour,
        time_min=_stat_us(stats.get("minValues", {}).get("time"), low),
        time_max=_stat_us(stats.get("maxValues", {}).get("time"), high),
        modified_ms=cast("int", add.get("modificationTime", 0)),
    )


def parse_commit(version: int, data: bytes, origin: str) -> Commit:
    """One `_delta_log/<version>.json`. Raises LakeDamaged when it is not whole."""
    adds: list[FileEntry] = []
    removes: list[str] = []
    transactions: dict[str, int] = {}
    data_change = False
    metadata: Metadata | None = None
    try:
        for line in data.splitlines():
            action = orjson.loads(line)
            if "add" in action:
                adds.append(entry_from_add(action["add"]))
                data_change = data_change or bool(action["add"].get("dataChange", True))
            elif "remove" in action:
                removes.append(unquote(action["remove"]["path"]))
            elif "txn" in action:
                transactions[action["txn"]["appId"]] = int(action["txn"]["version"])
            elif "metaData" in action:
                metadata = action["metaData"]
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise LakeDamaged(origin, f"not a Delta commit ({err})") from err
    if not data.strip():
        raise LakeDamaged(origin, "the commit file is empty")
    return Commit(version, tuple(adds), tuple(removes), data_change, transactions, metadata)


COMMIT_NAME = re.compile(r"[0-9]{20}\.json")


def commit_name(version: int) -> str:
    return f"{version:020d}.json"


def _no_transaction(_app_id: str) -> int | None:
    return None


@dataclass(slots=True)
class Snapshot:
    """The live files of one version. Treated as immutable once handed out: `apply` makes a new one
    that shares the partitions it did not touch."""

    version: int
    partitions: dict[Partition, dict[str, FileEntry]] = field(default_factory=dict)
    transactions: dict[str, int] = field(default_factory=dict)
    """Application transactions seen in commit files, by app_id."""
    metadata: Metadata = field(default_factory=dict)
    older_transaction: Callable[[str], int | None] = _no_transaction
    """Looks an app_id up in the checkpoint this snapshot started from."""

    def transaction(self, app_id: str) -> int | None:
        """Highest committed version of an application; None = it never committed."""
        found = self.transactions.get(app_id)
        return self.older_transaction(app_id) if found is None else found

    def schema_columns(self) -> list[str]:
        """Column names by the log's metadata, partition columns included."""
        schema = orjson.loads(cast("str", self.metadata["schemaString"]))
        return [f["name"] for f in schema["fields"]]

    def files(self) -> Iterable[FileEntry]:
        for entries in self.partitions.values():
            yield from entries.values()

    def select(
        self, tenant: str | None, start_us: int | None = None, end_us: int | None = None
    ) -> list[FileEntry]:
        """Files of a tenant (None = all) that can hold rows in [start, end), oldest first."""
        first = None if start_us is None else us_to_time(start_us).date()
        last = None if end_us is None else us_to_time(end_us).date()
        chosen = []
        for (owner, day, _hour), entries in self.partitions.items():
            if tenant is not None and owner != tenant:
                continue
            if (first is not None and day < first) or (last is not None and day > last):
                continue
            for entry in entries.values():
                if start_us is not None and entry.time_max < start_us:
                    continue
                if end_us is not None and entry.time_min >= end_us:
                    continue
                chosen.append(entry)
        chosen.sort(key=lambda e: (e.time_min, e.path))
        return chosen

    def apply(self, commits: Iterable[Commit]) -> Snapshot:
        """The snapshot after further commits, in order."""
        partitions = dict(self.partitions)
        transactions = dict(self.transactions)
        fresh: set[Partition] = set()
        version, metadata = self.version, self.metadata

        def touch(key: Partition) -> dict[str, FileEntry]:
            if key not in fresh:
                partitions[key] = dict(partitions.get(key, ()))
                fresh.add(key)
            return partitions[key]

        for commit in commits:
            for path in commit.removes:
                key = partition_of_path(path)
                found = key if key in partitions else _find(partitions, path)
                if found is not None:
                    touch(found).pop(path, None)
                    if not partitions[found]:
                        del partitions[found]
                        fresh.discard(found)
            for entry in commit.adds:
                touch(entry.partition)[entry.path] = entry
            transactions.update(commit.transactions)
            metadata = commit.metadata or metadata
            version = commit.version
        return Snapshot(version, partitions, transactions, metadata, self.older_transaction)


def partition_of_path(path: str) -> Partition | None:
    """From `tenant=a/day=2026-11-21/hour=10/...`; None when the path is not laid out so."""
    parts = dict(p.split("=", 1) for p in path.split("/")[:-1] if "=" in p)
    try:
        return (parts["tenant"], date.fromisoformat(parts["day"]), int(parts["hour"]))
    except (KeyError, ValueError):
        return None


def _find(partitions: Mapping[Partition, Mapping[str, FileEntry]], path: str) -> Partition | None:
    return next((key for key, entries in partitions.items() if path in entries), None)


class TableLog:
    """The log of one table. Thread-safe."""

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        self.prefix = f"{name}/_delta_log"
        self.location = store.folder / name
        """Local folder of the table's data files."""
        self.folder = self.location / "_delta_log"
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None

    def exists(self) -> bool:
        return (
            self._snapshot is not None
            or self.store.exists(f"{self.prefix}/{commit_name(0)}")
            or self.store.exists(f"{self.prefix}/_last_checkpoint")
            # Without either there may still be a table: making it anew would hide its rows.
            or any(
                f.path.rsplit("/", 1)[-1][:20].isdigit() for f in self.store.list(f"{self.prefix}/")
            )
        )

    def refresh(self) -> Snapshot:
        """The newest snapshot; reads only what is new since the last call."""
        with self._lock:
            current = self._snapshot
            if current is None:
                current = self._load()
            new = self._read_after(current.version)
            if not new and self.checkpoint_version() > current.version:
                # our next commit file was cleaned away: start over from the checkpoint
                current = self._load()
                new = self._read_after(current.version)
            self._snapshot = current.apply(new) if new else current
            return self._snapshot

    def read_commit(self, version: int) -> Commit | None:
        """None when the file is not there (not written yet, or cleaned up)."""
        path = f"{self.prefix}/{commit_name(version)}"
        try:
            data = self.store.read(path)
        except FileNotFoundError:
            return None
        return parse_commit(version, data, f"{self.store.url}/{path}")

    def oldest_commit(self) -> int:
        """Lowest version whose commit file is still there; -1 = none."""
        names = (f.path.rsplit("/", 1)[-1] for f in self.store.list(f"{self.prefix}/"))
        return min((int(n[:-5]) for n in names if COMMIT_NAME.fullmatch(n)), default=-1)

    def _read_after(self, version: int) -> list[Commit]:
        commits = []
        while (commit := self.read_commit(version + 1)) is not None:
            commits.append(commit)
            version += 1
        return commits

    def checkpoint_version(self) -> int:
        """Version of the newest checkpoint; -1 = none."""
        try:
            return int(orjson.loads(self.store.read(f"{self.prefix}/_last_checkpoint"))["version"])
        except (FileNotFoundError, ValueError, KeyError):
            return -1

    def _load(self) -> Snapshot:
        """From scratch: commit files alone where the log is whole, else through the checkpoint."""
        whole = f"{self.prefix}/{commit_name(0)}"
        if self.checkpoint_version() < 0 and self.store.exists(whole):
            return Snapshot(-1).apply(self._read_after(-1))
        return self._load_checkpoint()

    def _open_delta(self) -> DeltaTable:
        try:
            return self.store.delta(self.name)
        except DeltaError as err:
            if not drop_torn_checkpoint(self.store, self.prefix):
                raise LakeDamaged(f"{self.store.url}/{self.prefix}", str(err)) from err
        try:
            return self.store.delta(self.name)
        except DeltaError as err:
            raise LakeDamaged(f"{self.store.url}/{self.prefix}", str(err)) from err

    def _load_checkpoint(self) -> Snapshot:
        table = self._open_delta()
        adds = table.get_add_actions(flatten=True)
        partitions: dict[Partition, dict[str, FileEntry]] = {}
        columns = {name: adds.column(name).to_pylist() for name in adds.column_names}
        low, high = columns.get("min.time"), columns.get("max.time")
        for i, path in enumerate(columns["path"]):
            tenant, day = columns["partition.tenant"][i], columns["partition.day"][i]
            hour = columns["partition.hour"][i]
            bounds = hour_bounds_us(day, hour)
            entry = FileEntry(
                path=unquote(path),
                size=columns["size_bytes"][i],
                rows=columns["num_records"][i] if columns["num_records"][i] is not None else -1,
                tenant=tenant,
                day=day,
                hour=hour,
                time_min=time_to_us(low[i]) if low and low[i] else bounds[0],
                time_max=time_to_us(high[i]) if high and high[i] else bounds[1],
                modified_ms=int(columns["modification_time"][i]),
            )
            partitions.setdefault(entry.partition, {})[entry.path] = entry
        # kept: a look into the checkpoint takes milliseconds, and its answer never changes
        older = cache(table.transaction_version)
        return Snapshot(table.version(), partitions, {}, _metadata_of(table), older)


def _metadata_of(table: DeltaTable) -> Metadata:
    found = table.metadata()
    return {
        "id": str(found.id),
        "name": found.name,
        "description": found.description,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": table.schema().to_json(),
        "partitionColumns": found.partition_columns,
        "createdTime": found.created_time,
        "configuration": found.configuration,
    }
