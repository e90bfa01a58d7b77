"""Keeping the lake fast and small on its own: merge, expire, checkpoint, clean the log, sweep.

Run by the jobs role every minute or so through `maintain`; each step alone is safe to repeat, to
kill, and to run beside appends, readers and another `maintain`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import orjson
import structlog

from storage.commit import checkpoint, commit, remove_action
from storage.errors import LakeConflict, LakeDamaged
from storage.lake import Lake, LakeTable
from storage.limits import (
    CHECKPOINT_INTERVAL,
    FILES_PER_COMMIT_MAX,
    GRACE_SECONDS,
    LOG_KEEP_SECONDS,
)
from storage.log import FileEntry, Snapshot, time_to_us
from storage.merge import run_merge
from storage.merge_plan import plan_merges
from storage.schemas import TABLES
from storage.settings import StorageSettings

log = structlog.get_logger(__name__)

Consumed = Callable[[str], int | None]
"""Table name -> lowest version of it that every job has read; -1 = a job exists but has read
nothing, None = no job reads the table."""

LEDGER = "_dead_files.json"
"""In a table's folder: path -> epoch seconds when a sweep first found the file unreferenced."""


def no_consumers(_table: str) -> int | None:
    return None


@dataclass(slots=True)
class MaintenanceReport:
    """What one pass did."""

    merges: int = 0
    files_merged: int = 0
    rows_merged: int = 0
    files_expired: int = 0
    log_files_removed: int = 0
    files_swept: int = 0
    bytes_freed: int = 0
    damaged: list[str] = field(default_factory=list)
    """Data files that could not be read; they are left alone."""


def maintain(
    lake: Lake,
    now: datetime,
    *,
    consumed: Consumed = no_consumers,
    seconds_max: float | None = None,
    sweeping: bool = True,
) -> MaintenanceReport:
    """One pass over all tables. Stops starting new merges after `seconds_max`.

    `sweeping`: look for files that no snapshot names, too. It lists every file of the lake, and
    what it finds stays for GRACE_SECONDS anyway: not every pass needs it.
    """
    report = MaintenanceReport()
    deadline = None if seconds_max is None else time.monotonic() + seconds_max
    for name in TABLES:
        table = lake.existing(name)
        if table is None:
            continue
        expire(lake, name, now, report=report)
        compact(lake, name, now, deadline=deadline, report=report)
        clean_log(table, now, consumed=consumed(name), report=report)
        if sweeping:
            sweep(table, now, consumed=consumed(name), report=report)
    return report


def compact(
    lake: Lake,
    name: str,
    now: datetime,
    *,
    deadline: float | None = None,
    report: MaintenanceReport | None = None,
) -> MaintenanceReport:
    """Merge what is due in a table. A merge that lost to another rewriter is left for next time; a
    damaged file is reported and its hour left as it is. `deadline`: of time.monotonic()."""
    done = report or MaintenanceReport()
    table = lake.existing(name)
    if table is None:
        return done
    now_us = time_to_us(now)
    for partition, files in list(table.snapshot().partitions.items()):
        healthy = [f for f in files.values() if str(table.location / f.path) not in done.damaged]
        for merge in plan_merges(partition, healthy, now_us=now_us):
            if deadline is not None and time.monotonic() >= deadline:
                return done
            try:
                run_merge(table, merge)
            except LakeConflict as err:
                log.info("merge_lost", table=name, reason=err.reason)
                continue
            except LakeDamaged as err:
                log.error("data_file_damaged", table=name, path=err.path, reason=err.reason)
                done.damaged.append(err.path)
                continue
            done.merges += 1
            done.files_merged += len(merge.files)
            done.rows_merged += merge.rows
    return done


def retention_days(settings: StorageSettings, name: str, tenant: str) -> int:
    """Days a table keeps a tenant's rows; 0 = for ever."""
    override: Mapping[str, int] = dict(settings.retention_tenant_days)
    if TABLES[name].tier == "raw" and tenant in override:
        return override[tenant]
    return {
        "raw": settings.retention_raw_days,
        "minute": settings.retention_minute_days,
        "hour": settings.retention_hour_days,
        "day": settings.retention_day_days,
    }[TABLES[name].tier]


def expire(
    lake: Lake, name: str, now: datetime, *, report: MaintenanceReport | None = None
) -> MaintenanceReport:
    """Drop whole hours whose time and whose last write are both older than the retention."""
    done = report or MaintenanceReport()
    table = lake.existing(name)
    if table is None:
        return done
    expired = list(_expired(lake.settings, name, table.snapshot(), time_to_us(now)))
    for start in range(0, len(expired), FILES_PER_COMMIT_MAX):
        batch = expired[start : start + FILES_PER_COMMIT_MAX]
        _drop(table, batch, int(now.timestamp() * 1000))
        done.files_expired += len(batch)
    return done


def _expired(
    settings: StorageSettings, name: str, snapshot: Snapshot, now_us: int
) -> Iterator[FileEntry]:
    for (tenant, _day, _hour), files in snapshot.partitions.items():
        days = retention_days(settings, name, tenant)
        limit_us = now_us - days * 86_400_000_000
        newest = max(max(f.time_max, f.modified_ms * 1000) for f in files.values())
        if days > 0 and newest < limit_us:
            yield from files.values()


def _drop(table: LakeTable, files: list[FileEntry], now_ms: int) -> None:
    def still_valid(snapshot: Snapshot) -> str | None:
        missing = sum(f.path not in snapshot.partitions.get(f.partition, {}) for f in files)
        return f"{missing} of its files were rewritten meanwhile" if missing else None

    actions = [remove_action(f, at_ms=now_ms, data_change=True) for f in files]
    commit(table.log, actions, operation="DELETE", still_valid=still_valid)


def clean_log(
    table: LakeTable,
    now: datetime,
    *,
    consumed: int | None = None,
    report: MaintenanceReport | None = None,
) -> MaintenanceReport:
    """Checkpoint when due, then delete commit files that nobody needs: older than the checkpoint
    before, than LOG_KEEP_SECONDS, and consumed by every job."""
    done = report or MaintenanceReport()
    newest = table.version()
    last = table.log.checkpoint_version()
    if newest - last >= CHECKPOINT_INTERVAL:
        last = checkpoint(table.log)
    if last < 0:
        return done
    # a job at version v still reads v + 1
    keep_from = last if consumed is None else min(last, consumed + 1)
    limit = now.timestamp() - LOG_KEEP_SECONDS
    # oldest first: killed half-way, the log still has no hole
    for found in sorted(table.store.list(f"{table.log.prefix}/"), key=lambda f: f.path):
        if found.modified_s >= limit:
            continue
        name = found.path.rsplit("/", 1)[-1]
        version = name[:20]
        if version.isdigit():
            if int(version) < (keep_from if name.endswith(".json") else last):
                table.store.delete(found.path)
                done.log_files_removed += 1
        elif name.endswith(".tmp"):  # of a writer that was killed
            table.store.delete(found.path)
    return done


def sweep(
    table: LakeTable,
    now: datetime,
    *,
    consumed: int | None = None,
    report: MaintenanceReport | None = None,
) -> MaintenanceReport:
    """Delete data files that no snapshot names: replaced, expired, or left by a crash.

    A file is deleted when it was found dead GRACE_SECONDS ago (remembered in LEDGER) and no job
    still has to read it.
    """
    done = report or MaintenanceReport()
    now_s = now.timestamp()
    known = _read_ledger(table)
    # Order matters: files first, snapshot second, so that a file committed in between is live.
    on_disk = list(_data_files(table))
    snapshot = table.snapshot()
    live = {f.path for f in snapshot.files()}
    needed = _unconsumed(table, snapshot, consumed)
    dead: dict[str, float] = {}
    for relative, size in on_disk:
        if relative in live:
            continue
        since = known.get(relative, now_s)
        if now_s - since < GRACE_SECONDS or relative in needed:
            dead[relative] = since
            continue
        table.store.delete(f"{table.spec.name}/{relative}")
        done.files_swept += 1
        done.bytes_freed += size
    if dead != known:
        table.store.replace(f"{table.spec.name}/{LEDGER}", orjson.dumps(dead))
    _remove_empty_folders(table.location)
    return done


def _unconsumed(table: LakeTable, snapshot: Snapshot, consumed: int | None) -> set[str]:
    """Files that some job has yet to read."""
    if consumed is None:
        return set()
    needed: set[str] = set()
    for version in range(max(consumed, -1) + 1, snapshot.version + 1):
        found = table.log.read_commit(version)
        if found is not None and found.data_change:
            needed.update(f.path for f in found.adds)
    return needed


def _data_files(table: LakeTable) -> Iterator[tuple[str, int]]:
    """(path relative to the table, bytes) of every data file, live or not."""
    prefix = f"{table.spec.name}/"
    for found in table.store.list(prefix):
        relative = found.path.removeprefix(prefix)
        hidden = any(part.startswith(("_", ".")) for part in relative.split("/"))
        if relative.endswith(".parquet") and not hidden:
            yield relative, found.size


def _remove_empty_folders(location: Path) -> None:
    """Folders of hours that are gone. An append that is about to use one makes it again."""
    for folder, names, files in os.walk(location, topdown=False):
        path = Path(folder)
        if names or files or path == location or "_delta_log" in path.parts:
            continue
        if time.time() - path.stat().st_mtime > GRACE_SECONDS:
            try:
                path.rmdir()
            except OSError:
                continue  # somebody has just put a file there


def _read_ledger(table: LakeTable) -> dict[str, float]:
    try:
        data = table.store.read(f"{table.spec.name}/{LEDGER}")
        return {str(k): float(v) for k, v in orjson.loads(data).items()}
    except (FileNotFoundError, ValueError, AttributeError):
        return {}  # a lost ledger only means that the grace period starts again
