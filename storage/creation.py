"""Creating tables and carrying them forward: version mark, first commit, new columns."""

from __future__ import annotations

import time
import uuid

import orjson

from storage.commit import Action, commit, commit_info
from storage.errors import LakeConflict, LakeDamaged, LakeTooNew, LakeUnfinished
from storage.files import fsync_folder
from storage.limits import CHECKPOINT_INTERVAL
from storage.log import Snapshot, TableLog, commit_name
from storage.physical import delta_schema_json
from storage.schemas import LAKE_SCHEMA_VERSION, PARTITION_COLUMNS, TableSpec
from storage.store import Store

VERSION_FILE = "_gatelens.json"
"""In the lake's root: `{"schema_version": n}`, n = the highest version that has written here.
`{"restoring": true}` while a backup is brought back, so that nobody takes half of it for a lake."""


def ensure_lake_version(store: Store, *, create: bool = True) -> None:
    """Mark the lake with our schema version, or refuse one that is ahead of us.

    Raises LakeTooNew, LakeUnfinished, LakeDamaged and OSError. Safe to race: the mark only ever
    grows.
    """
    found = read_lake_version(store)
    if found is not None and found > LAKE_SCHEMA_VERSION:
        raise LakeTooNew(store.url, found, LAKE_SCHEMA_VERSION)
    if found == LAKE_SCHEMA_VERSION or not create:
        return
    store.replace(VERSION_FILE, orjson.dumps({"schema_version": LAKE_SCHEMA_VERSION}))


def read_lake_version(store: Store) -> int | None:
    """Schema version of the lake; None = not a lake yet. Raises LakeUnfinished, LakeDamaged."""
    try:
        mark = orjson.loads(store.read(VERSION_FILE))
        if mark.get("restoring"):
            raise LakeUnfinished(store.url)
        return int(mark["schema_version"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise LakeDamaged(f"{store.url}/{VERSION_FILE}", str(err)) from err


def mark_restoring(store: Store) -> None:
    """Until VERSION_FILE is written anew, opening the lake raises LakeUnfinished."""
    store.replace(VERSION_FILE, orjson.dumps({"restoring": True}))


def create_table(table: TableLog, spec: TableSpec) -> None:
    """Write the first commit, or add the columns the log does not have yet. Safe to race."""
    if not table.exists():
        _first_commit(table, spec)
    if table.store.is_local:
        # Also where the table was there: whoever made it may have been killed before this.
        fsync_folder(table.location)
        fsync_folder(table.location.parent)
    missing = missing_columns(table.refresh(), spec)
    if missing:
        add_columns(table, spec)


def missing_columns(snapshot: Snapshot, spec: TableSpec) -> list[str]:
    have = set(snapshot.schema_columns())
    return [name for name in spec.column_names if name not in have]


def add_columns(table: TableLog, spec: TableSpec) -> None:
    """Commit the current schema over an older one. Files written before read as NULL."""
    metadata = dict(table.refresh().metadata) | {"schemaString": delta_schema_json(spec)}

    def still_valid(snapshot: Snapshot) -> str | None:
        return None if missing_columns(snapshot, spec) else "the columns are there already"

    try:
        commit(table, [{"metaData": metadata}], operation="ADD COLUMNS", still_valid=still_valid)
    except LakeConflict:
        if missing_columns(table.refresh(), spec):
            raise


def _first_commit(table: TableLog, spec: TableSpec) -> None:
    now_ms = int(time.time() * 1000)
    actions: list[Action] = [
        commit_info("CREATE TABLE"),
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {
            "metaData": {
                "id": str(uuid.uuid4()),
                "name": spec.name,
                "description": spec.description,
                "format": {"provider": "parquet", "options": {}},
                "schemaString": delta_schema_json(spec),
                "partitionColumns": list(PARTITION_COLUMNS),
                "createdTime": now_ms,
                "configuration": {
                    "delta.checkpointInterval": str(CHECKPOINT_INTERVAL),
                    # only `maintenance` cleans the log, after every job has read it
                    "delta.enableExpiredLogCleanup": "false",
                    # compaction removes thousands of files a day; keep them out of checkpoints
                    "delta.deletedFileRetentionDuration": "interval 1 hours",
                },
            }
        },
    ]
    name = f"{table.prefix}/{commit_name(0)}"
    body = b"".join(orjson.dumps(a) + b"\n" for a in actions)
    with table.store.drafted(table.prefix, body) as publish:
        publish(name)
    table.store.confirm(name)
