"""Creating tables and carrying them forward: version mark, first commit, new columns."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import orjson

from storage.commit import Action, commit, fsync_folder, publish_once, write_durably
from storage.errors import LakeConflict, LakeDamaged, LakeTooNew
from storage.limits import CHECKPOINT_INTERVAL
from storage.log import Snapshot, TableLog, commit_name
from storage.physical import delta_schema_json
from storage.schemas import LAKE_SCHEMA_VERSION, PARTITION_COLUMNS, TableSpec

VERSION_FILE = "_gatelens.json"
"""In the lake's root: `{"schema_version": n}`, n = the highest version that has written here."""


def ensure_lake_version(root: Path, *, create: bool = True) -> None:
    """Mark the lake with our schema version, or refuse one that is ahead of us.

    Raises LakeTooNew, LakeDamaged and OSError. Safe to race: the mark only ever grows.
    """
    mark = root / VERSION_FILE
    found = read_lake_version(root)
    if found is not None and found > LAKE_SCHEMA_VERSION:
        raise LakeTooNew(str(root), found, LAKE_SCHEMA_VERSION)
    if found == LAKE_SCHEMA_VERSION or not create:
        return
    root.mkdir(parents=True, exist_ok=True)
    temporary = root / f"{VERSION_FILE}.{uuid.uuid4().hex}.tmp"
    write_durably(temporary, orjson.dumps({"schema_version": LAKE_SCHEMA_VERSION}))
    os.replace(temporary, mark)
    fsync_folder(root)


def read_lake_version(root: Path) -> int | None:
    """Schema version of the lake; None = not a lake yet."""
    mark = root / VERSION_FILE
    try:
        return int(orjson.loads(mark.read_bytes())["schema_version"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as err:
        raise LakeDamaged(str(mark), str(err)) from err


def create_table(table: TableLog, spec: TableSpec) -> None:
    """Write the first commit, or add the columns the log does not have yet. Safe to race."""
    if not table.exists():
        _first_commit(table, spec)
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
    table.folder.mkdir(parents=True, exist_ok=True)
    now_ms = int(time.time() * 1000)
    actions: list[Action] = [
        {
            "commitInfo": {
                "timestamp": now_ms,
                "operation": "CREATE TABLE",
                "engineInfo": "gatelens",
            }
        },
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
    temporary = table.folder / f"_commit_{uuid.uuid4().hex}.json.tmp"
    write_durably(temporary, b"".join(orjson.dumps(a) + b"\n" for a in actions))
    try:
        publish_once(temporary, table.folder / commit_name(0))
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(table.folder)
    fsync_folder(table.location)
    fsync_folder(table.location.parent)
