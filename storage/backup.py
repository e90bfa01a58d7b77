"""Backup and restore: a consistent copy of lake and state in a folder that is itself a lake.

Data files never change once written, so a second backup into the same folder copies only what is
new. Order makes an interruption harmless: data files, then the log that names them, then the
removal of what the log no longer names. Every file is read back and compared by SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import orjson
from sqlalchemy import make_url

from storage.check import check_lake
from storage.commit import fsync_file, fsync_folder, write_durably
from storage.creation import VERSION_FILE
from storage.errors import BackupError
from storage.lake import Lake, LakeTable
from storage.log import Snapshot
from storage.schemas import TABLES
from storage.settings import StorageSettings

MANIFEST = "backup.json"
"""In the backup's root: `{"files": {path: sha256}, "versions": {table: version}}`; written last."""

ATTEMPTS_MAX = 3
"""How often a table is started over when compaction swept a file away while it was copied."""

Digests = dict[str, str]


@dataclass(frozen=True, slots=True)
class BackupReport:
    tables: Mapping[str, int]
    """Version of each table that was saved."""
    files: int
    """Data files in the backup."""
    files_copied: int
    """Of these, new since the backup before."""
    bytes_copied: int


def backup(settings: StorageSettings, target: Path) -> BackupReport:
    """Save lake and state to a folder while everything runs. Each table is saved as of one version.

    Raises BackupError (a file does not read back as written, or the state is not SQLite) and
    OSError.
    """
    lake = Lake(settings, create=False)
    known = _read_manifest(target)
    digests: Digests = {}
    versions: dict[str, int] = {}
    copied = size = 0
    for name in TABLES:
        table = lake.existing(name)
        if table is not None:
            snapshot, count, written = _backup_table(table, target, known, digests)
            versions[name] = snapshot.version
            copied, size = copied + count, size + written
    if (lake.root / VERSION_FILE).exists():
        _copy(lake.root / VERSION_FILE, target / "lake" / VERSION_FILE)
    _backup_state(settings, target)
    manifest = {"files": digests, "versions": versions}
    temporary = target / f"{MANIFEST}.{uuid.uuid4().hex}.tmp"
    target.mkdir(parents=True, exist_ok=True)
    write_durably(temporary, orjson.dumps(manifest))
    os.replace(temporary, target / MANIFEST)
    fsync_folder(target)
    problems = list(check_lake(StorageSettings(data_dir=target)))
    if problems:
        raise BackupError(f"{problems[0].path} does not read back: {problems[0].reason}.")
    return BackupReport(versions, len(digests), copied, size)


def restore(source: Path, settings: StorageSettings) -> BackupReport:
    """Bring a backup back into an empty data folder, comparing every file with the manifest.

    Raises BackupError: not a backup, the folder is in use, or a file is damaged.
    """
    if not (source / MANIFEST).exists():
        raise BackupError(f"{source} is not a backup: it has no {MANIFEST}.")
    root = Path(settings.resolved_lake_url).absolute()
    if root.exists() and any(root.iterdir()):
        raise BackupError(f"{root} is not empty.", hint="Restore into a new data folder.")
    manifest = orjson.loads((source / MANIFEST).read_bytes())
    digests: Digests = manifest["files"]
    size = 0
    for path in sorted((source / "lake").rglob("*")):
        if not path.is_file():
            continue
        relative = path.relative_to(source / "lake")
        digest = _copy(path, root / relative)
        if digests.get(str(relative), digest) != digest:
            raise BackupError(f"{path} is damaged: it is not what was saved.")
        size += path.stat().st_size
    missing = [p for p in digests if not (root / p).exists()]
    if missing:
        raise BackupError(f"{source / 'lake' / missing[0]} is missing from the backup.")
    state = _sqlite_path(settings)
    if (source / "state.sqlite").exists() and state is not None:
        _copy(source / "state.sqlite", state)
    return BackupReport(manifest["versions"], len(digests), len(digests), size)


def _backup_table(
    table: LakeTable, target: Path, known: Digests, digests: Digests
) -> tuple[Snapshot, int, int]:
    for attempt in range(ATTEMPTS_MAX):
        try:
            return _copy_table(table, target, known, digests)
        except FileNotFoundError:
            if attempt == ATTEMPTS_MAX - 1:
                raise
    raise AssertionError("unreachable")


def _copy_table(
    table: LakeTable, target: Path, known: Digests, digests: Digests
) -> tuple[Snapshot, int, int]:
    snapshot = table.snapshot()
    name, folder = table.spec.name, target / "lake" / table.spec.name
    copied = size = 0
    live = set()
    for entry in snapshot.files():
        key = f"{name}/{entry.path}"
        live.add(entry.path)
        place = folder / entry.path
        if key in known and place.exists() and place.stat().st_size == entry.size:
            digests[key] = known[key]
            continue
        digests[key] = _copy(table.location / entry.path, place)
        copied, size = copied + 1, size + entry.size
    _copy_log(table, snapshot.version, folder / "_delta_log")
    for path in list(folder.rglob("*.parquet")):
        relative = path.relative_to(folder)
        if relative.parts[0] != "_delta_log" and str(relative) not in live:
            path.unlink()
    return snapshot, copied, size


def _copy_log(table: LakeTable, version: int, target: Path) -> None:
    """The log up to a version; the pointer to its checkpoint last."""
    names = sorted(p.name for p in table.log.folder.iterdir() if p.name[:20].isdigit())
    for name in names:
        if int(name[:20]) <= version and not (target / name).exists():
            _copy(table.log.folder / name, target / name)
    checkpoints = [int(n[:20]) for n in names if ".checkpoint" in n and int(n[:20]) <= version]
    pointer = table.log.folder / "_last_checkpoint"
    if checkpoints and table.log.checkpoint_version() == max(checkpoints):
        _copy(pointer, target / "_last_checkpoint")
    oldest = min((int(n[:20]) for n in names), default=0)
    for path in target.iterdir():  # what the source has cleaned away since the backup before
        if path.name[:20].isdigit() and int(path.name[:20]) < oldest:
            path.unlink()


def _copy(source: Path, target: Path) -> str:
    """Copy a file durably, named only once it is whole; returns its SHA-256 as read back."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        shutil.copyfile(source, temporary)
        fsync_file(temporary)
        digest = _sha256(temporary)
        if digest != _sha256(source):
            raise BackupError(f"{target} does not read back as {source}.")
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return digest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sqlite_path(settings: StorageSettings) -> Path | None:
    url = make_url(settings.resolved_state_url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _backup_state(settings: StorageSettings, target: Path) -> None:
    path = _sqlite_path(settings)
    if path is None:
        raise BackupError(
            "The state is not in SQLite.", hint="Save it with its own tools, e.g. pg_dump."
        )
    if not path.exists():
        return
    target.mkdir(parents=True, exist_ok=True)
    temporary = target / f"state.sqlite.{uuid.uuid4().hex}.tmp"
    # SQLite's own backup copies a consistent state while others write
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(temporary)) as copy:
        source.backup(copy)
    with closing(sqlite3.connect(temporary)) as copy:
        (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
    if verdict != "ok":
        raise BackupError(f"{temporary} does not read back: {verdict}.")
    os.replace(temporary, target / "state.sqlite")


def _read_manifest(target: Path) -> Digests:
    try:
        return dict(orjson.loads((target / MANIFEST).read_bytes())["files"])
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError) as err:
        raise BackupError(f"{target / MANIFEST} cannot be read: {err}.") from err
