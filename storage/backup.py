"""Backup and restore: a consistent copy of lake and state in a place that is itself a lake.

Both sides may be folders or object stores. Data files never change once written, so a second backup
into the same place copies only what is new. Order makes an interruption harmless: data files, then
the log that names them, then the manifest, then the removal of what neither needs any more. Every
file is read back and compared by SHA-256. A restore brings the log last, too, and before anything a
mark that keeps the place closed until it is whole: one that was killed is begun anew by the next.
"""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import orjson
from sqlalchemy import make_url

from storage.check import check_lake
from storage.creation import VERSION_FILE, mark_restoring, read_lake_version
from storage.errors import BackupError, LakeUnfinished
from storage.files import replace_durably
from storage.lake import Lake, LakeTable
from storage.log import Snapshot
from storage.schemas import TABLES
from storage.settings import StorageSettings
from storage.store import Store, open_store

MANIFEST = "backup.json"
"""In the backup's root: `{"files": {path: sha256}, "versions": {table: version}}`; written last."""

STATE = "state.sqlite"

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


def backup(settings: StorageSettings, target: Path | str) -> BackupReport:
    """Save lake and state to a folder or s3://bucket/prefix while everything runs. Each table is
    saved as of one version.

    Raises BackupError (a file does not read back as written, or the state is not SQLite) and
    OSError.
    """
    lake = Lake(settings, create=False)
    place = open_store(str(target), settings)
    known = _read_manifest(place)
    digests: Digests = {}
    versions: dict[str, int] = {}
    copied = size = 0
    dead: list[str] = []
    for name in TABLES:
        table = lake.existing(name)
        if table is not None:
            snapshot, count, written = _backup_table(table, place, known, digests, dead)
            versions[name] = snapshot.version
            copied, size = copied + count, size + written
    if lake.store.exists(VERSION_FILE):
        _copy(lake.store, VERSION_FILE, place, f"lake/{VERSION_FILE}")
    _backup_state(settings, place)
    manifest = {"files": digests, "versions": versions}
    place.replace(MANIFEST, orjson.dumps(manifest))
    saved = StorageSettings(data_dir=settings.data_dir, lake_url=f"{place.url}/lake")
    problems = list(check_lake(saved))
    if problems:
        raise BackupError(f"{problems[0].path} does not read back: {problems[0].reason}.")
    for path in dead:
        place.delete(path)
    return BackupReport(versions, len(digests), copied, size)


def restore(source: Path | str, settings: StorageSettings) -> BackupReport:
    """Bring a backup back into an empty lake, or one whose restore was cut short, comparing every
    file with the manifest.

    Raises BackupError: not a backup, the place is in use, or a file is damaged.
    """
    saved = open_store(str(source), settings)
    if not saved.exists(MANIFEST):
        raise BackupError(f"{saved.url} is not a backup: it has no {MANIFEST}.")
    target = open_store(settings.resolved_lake_url, settings)
    if next(target.list(""), None) is not None and not _cut_short(target):
        raise BackupError(f"{target.url} is not empty.", hint="Restore into a new place.")
    mark_restoring(target)
    for left in [f.path for f in target.list("") if f.path != VERSION_FILE]:
        target.delete(left)
    manifest = orjson.loads(saved.read(MANIFEST))
    digests: Digests = manifest["files"]
    size = 0
    expected = dict(digests)
    for found in sorted(saved.list("lake/"), key=lambda f: ("tenant=" not in f.path, f.path)):
        relative = found.path.removeprefix("lake/")
        if relative == VERSION_FILE:
            continue
        digest = _copy(saved, found.path, target, relative)
        if expected.pop(relative, digest) != digest:
            raise BackupError(f"{saved.url}/{found.path} is damaged: it is not what was saved.")
        size += found.size
    if expected:
        missing = next(iter(expected))
        raise BackupError(f"{saved.url}/lake/{missing} is missing from the backup.")
    state = _sqlite_path(settings)
    if saved.exists(STATE) and state is not None:
        replace_durably(state, saved.read(STATE))
    if saved.exists(f"lake/{VERSION_FILE}"):
        _copy(saved, f"lake/{VERSION_FILE}", target, VERSION_FILE)
    else:
        target.delete(VERSION_FILE)
    return BackupReport(manifest["versions"], len(digests), len(digests), size)


def _cut_short(target: Store) -> bool:
    try:
        read_lake_version(target)
    except LakeUnfinished:
        return True
    return False


def _backup_table(
    table: LakeTable, target: Store, known: Digests, digests: Digests, dead: list[str]
) -> tuple[Snapshot, int, int]:
    for attempt in range(ATTEMPTS_MAX):
        try:
            return _copy_table(table, target, known, digests, dead)
        except FileNotFoundError:
            if attempt == ATTEMPTS_MAX - 1:
                raise
    raise AssertionError("unreachable")


def _copy_table(
    table: LakeTable, target: Store, known: Digests, digests: Digests, dead: list[str]
) -> tuple[Snapshot, int, int]:
    """Adds to `digests` the files of the table, to `dead` what the backup needs no longer."""
    snapshot = table.snapshot()
    name = table.spec.name
    there = {f.path: f.size for f in target.list(f"lake/{name}/")}
    copied = size = 0
    live = set()
    for entry in snapshot.files():
        key = f"{name}/{entry.path}"
        live.add(f"lake/{key}")
        if key in known and there.get(f"lake/{key}") == entry.size:
            digests[key] = known[key]
            continue
        digests[key] = _copy(table.store, key, target, f"lake/{key}")
        copied, size = copied + 1, size + entry.size
    dead += _copy_log(table, snapshot.version, target, there)
    dead += [
        path
        for path in sorted(there.keys() - live)
        if path.endswith(".parquet") and not path.startswith(f"lake/{table.log.prefix}/")
    ]
    return snapshot, copied, size


def _copy_log(table: LakeTable, version: int, target: Store, there: Mapping[str, int]) -> list[str]:
    """The log up to a version; the pointer to its checkpoint last. Returns what of the backup's log
    the source has cleaned away since, oldest first: a hole would stop readers."""
    prefix = f"{table.log.prefix}/"
    names = sorted(f.path.removeprefix(prefix) for f in table.store.list(prefix))
    names = [n for n in names if n[:20].isdigit()]
    for name in names:
        if int(name[:20]) <= version and f"lake/{prefix}{name}" not in there:
            _copy(table.store, prefix + name, target, f"lake/{prefix}{name}")
    checkpoints = [int(n[:20]) for n in names if ".checkpoint" in n and int(n[:20]) <= version]
    if checkpoints and table.log.checkpoint_version() == max(checkpoints):
        pointer = f"{prefix}_last_checkpoint"
        _copy(table.store, pointer, target, f"lake/{pointer}")
    oldest = min((int(n[:20]) for n in names), default=0)
    numbers = {path: path.removeprefix(f"lake/{prefix}")[:20] for path in sorted(there)}
    return [p for p, number in numbers.items() if number.isdigit() and int(number) < oldest]


def _copy(source: Store, name: str, target: Store, new_name: str) -> str:
    """Copy a file durably, named only once it is whole; returns its SHA-256 as read back. A file is
    held in memory (a merge bounds its size)."""
    data = source.read(name)
    target.replace(new_name, data)
    digest = hashlib.sha256(data).hexdigest()
    if hashlib.sha256(target.read(new_name)).hexdigest() != digest:
        raise BackupError(f"{target.url}/{new_name} does not read back as {source.url}/{name}.")
    return digest


def _sqlite_path(settings: StorageSettings) -> Path | None:
    url = make_url(settings.resolved_state_url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _backup_state(settings: StorageSettings, target: Store) -> None:
    path = _sqlite_path(settings)
    if path is None:
        raise BackupError(
            "The state is not in SQLite.", hint="Save it with its own tools, e.g. pg_dump."
        )
    if not path.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / STATE
        # SQLite's own backup copies a consistent state while others write
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(temporary)) as copy:
            source.backup(copy)
            (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise BackupError(f"The copy of {path} does not read back: {verdict}.")
        target.replace(STATE, temporary.read_bytes())


def _read_manifest(target: Store) -> Digests:
    try:
        return dict(orjson.loads(target.read(MANIFEST))["files"])
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError) as err:
        raise BackupError(f"{target.url}/{MANIFEST} cannot be read: {err}.") from err
