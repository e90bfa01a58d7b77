"""`gatelens import`: access logs from files straight into the lake, exactly once and resumable.

No collector needs to run. A file is recognised by its content (`import_ledger.py`), so importing it
again, renamed, copied or compressed, stores nothing twice, and a file that has grown adds only what
is new. `follow_files` keeps reading like `tail -F`, rotation included.

A last line without newline counts if the file is finished (compressed, a pipe, or not touched for
FINISHED_AFTER_S) or if the line reads well; otherwise it is left for the next run (`pending`).
Two imports of the same file at the same time: one of them is refused by the lake.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import structlog

from collector.gateways import GATEWAY_FORMATS, gateway_format
from collector.gateways.detect import detect
from collector.import_file import CHUNK_BYTES, FileImport, ImportTarget
from collector.import_ledger import ImportLedger
from collector.import_source import STDIN, ImportFailed, Source, expand_paths, open_source
from collector.naming import Naming
from collector.privacy import use_secret
from collector.privacy_rules import rules_of
from collector.settings import CollectorSettings
from storage.catalog import load_catalog
from storage.errors import DiskLow
from storage.lake import Lake
from storage.settings import StorageSettings
from storage.state import open_state

__all__ = ["ImportFailed", "ImportProgress", "ImportReport", "follow_files", "import_files"]

log = structlog.get_logger(__name__)

FINISHED_AFTER_S = 60.0
"""A file not written to for this long is finished: its last line counts even without newline."""

AUTO = "auto"
"""Name that stands for whatever format the file's first lines are in."""

DETECT_BYTES = 64 * 1024
"""How much of a file its format is told from."""

POLL_S = 1.0
"""How often a followed file is looked at when it has nothing new."""


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """After each chunk."""

    path: str
    file_number: int
    files: int
    share: float | None
    """How much of this file was read, 0 to 1; None where its length is unknown (a pipe)."""
    read: int
    stored: int
    rejected: int


@dataclass(slots=True)
class ImportReport:
    """What became of everything that was read. Counts are lines (records in JSON arrays)."""

    files: int = 0
    read: int = 0
    stored: int = 0
    rejected: int = 0
    before_since: int = 0
    left_to_spans: int = 0
    """Records not counted because their gateway's spans are (docs/counting-once.md)."""
    bytes_known: int = 0
    """Bytes that were in the lake already from an earlier import."""
    bytes_pending: int = 0
    """Bytes of unfinished last lines, left for the next run."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Rejects by reason."""
    samples: list[tuple[str, int, str]] = field(default_factory=list)
    """The first rejects of each file: path, line number, reason."""
    failures: list[str] = field(default_factory=list)
    """Files that could not be read to their end, one sentence each."""

    def exceeds(self, rejects_max: int | None) -> bool:
        """Whether the exit code must say no: a file failed, or too many rejects (None = any)."""
        return bool(self.failures) or (rejects_max is not None and self.rejected > rejects_max)

    def add(self, path: str, imported: FileImport) -> None:
        tally = imported.tally
        self.files += 1
        self.read += tally.read
        self.stored += tally.stored
        self.rejected += tally.rejected
        self.before_since += tally.before_since
        self.left_to_spans += tally.left_to_spans
        self.bytes_known += tally.bytes_known
        self.bytes_pending += tally.bytes_pending
        for reason, count in tally.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + count
        self.samples += [(path, line, reason) for line, reason in tally.samples]


Progress = Callable[[ImportProgress], None]


def import_files(
    format: str,
    paths: Iterable[str | Path],
    *,
    storage: StorageSettings,
    catalog_path: Path | None = None,
    progress: Progress | None = None,
    tenant: str = "default",
    environment: str | None = None,
    since: datetime | None = None,
    options: Mapping[str, str] | None = None,
    privacy: CollectorSettings | None = None,
    stop: threading.Event | None = None,
    stdin: BinaryIO | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    now_ns: Callable[[], int] = time.time_ns,
) -> ImportReport:
    """Read files (names, globs, `-`) of a gateway format into `requests` and `rejects`.

    `options`: of the format (`log_format` for nginx). `privacy`: settings whose privacy part holds,
    None = the defaults. `since`: older requests are read but not
    stored. `stop`: set it to end after the current chunk; the next run goes on there. Raises
    ImportFailed for an unknown format or name before anything is read; a file that turns out to be
    damaged is in `report.failures`, with what was readable stored.
    """
    target = _target(
        format, storage, catalog_path, tenant, environment, since, options or {}, now_ns, privacy
    )
    target = replace(target, chunk_bytes=chunk_bytes)
    names = expand_paths(paths)
    report = ImportReport()
    for number, path in enumerate(names, 1):
        try:
            source = open_source(path, stdin)
        except ImportFailed as err:
            report.failures.append(str(err))
            continue
        imported = FileImport(source, target)
        try:
            if format == AUTO:
                imported = FileImport(source, detected(source, target) or target)
            while imported.step(whole_tail=_finished(source, now_ns)):
                if progress is not None:
                    progress(_progress(path, number, len(names), imported, report))
                if stop is not None and stop.is_set():
                    break
        except ImportFailed as err:
            report.failures.append(str(err))
        except DiskLow as err:
            # The files that follow would not fit, either. What was read is stored.
            report.failures.append(f"{path}: {err} Then import again: it goes on from here.")
            break
        finally:
            source.close()
            report.add(path, imported)
    _tell_uncounted(report)
    return report


def _tell_uncounted(report: ImportReport) -> None:
    if report.left_to_spans:
        log.warning(
            "records_left_to_spans",
            records=report.left_to_spans,
            hint="They name the gateway's span, which is counted instead. If those spans are sent "
            "elsewhere, add the gateway to the catalog with `count: access_log`.",
        )


def follow_files(
    format: str,
    paths: Iterable[str | Path],
    *,
    storage: StorageSettings,
    stop: threading.Event,
    catalog_path: Path | None = None,
    progress: Progress | None = None,
    tenant: str = "default",
    environment: str | None = None,
    since: datetime | None = None,
    options: Mapping[str, str] | None = None,
    privacy: CollectorSettings | None = None,
    poll_s: float = POLL_S,
    now_ns: Callable[[], int] = time.time_ns,
) -> ImportReport:
    """Import the files and go on with what is written to them until `stop` is set.

    Rotation by renaming: the old file is read to its end, then the new one under the name. Rotation
    by truncation: what is shorter than before is a new file. A file that is missing is waited for.
    Only whole lines are taken. While the disk is low nothing is read; then it goes on by itself.
    Raises ImportFailed as `import_files` does.
    """
    target = _target(
        format, storage, catalog_path, tenant, environment, since, options or {}, now_ns, privacy
    )
    names = [str(p) for p in paths]
    if STDIN in names:
        raise ImportFailed("standard input cannot be followed; leave out --follow")
    report = ImportReport()
    followed: dict[str, FileImport] = {}
    disk_low = False
    try:
        while True:
            last_round = stop.is_set()
            for number, path in enumerate(names, 1):
                try:
                    moved = _follow(path, target, format == AUTO, followed, report)
                    disk_low = False
                except DiskLow as err:
                    if not disk_low:
                        log.warning("import_waits_for_disk", path=path, reason=str(err))
                    disk_low, moved = True, False
                if moved and progress is not None and path in followed:
                    progress(_progress(path, number, len(names), followed[path], report))
            if last_round:
                return report
            stop.wait(poll_s)
    finally:
        for path, imported in followed.items():
            report.add(path, imported)
            imported.source.close()


def _follow(
    path: str,
    target: ImportTarget,
    auto: bool,
    followed: dict[str, FileImport],
    report: ImportReport,
) -> bool:
    """Take in what a followed file has; whether there was anything."""
    imported = followed.get(path)
    moved = False
    if imported is not None:
        while imported.step(whole_tail=False):
            moved = True
        if not _replaced(path, imported.source, imported.position):
            return moved
        # The writer keeps the old file open until it notices the rotation: one more look.
        while imported.step(whole_tail=True):
            moved = True
        imported.source.close()
        report.add(path, imported)
        del followed[path]
        log.info("followed_file_rotated", path=path, position=imported.position)
    try:
        source = open_source(path)
    except ImportFailed:
        return moved
    try:
        chosen = detected(source, target) if auto else target
    except ImportFailed:
        source.close()
        return moved
    if chosen is None:
        source.close()
        return moved
    followed[path] = imported = FileImport(source, chosen)
    while imported.step(whole_tail=False):
        moved = True
    return moved


def _replaced(path: str, source: Source, position: int) -> bool:
    """Whether the name now means another file, or the file was cut short."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return False
    return (status.st_dev, status.st_ino) != source.inode() or status.st_size < position


def _target(
    format: str,
    storage: StorageSettings,
    catalog_path: Path | None,
    tenant: str,
    environment: str | None,
    since: datetime | None,
    options: Mapping[str, str],
    now_ns: Callable[[], int],
    privacy: CollectorSettings | None,
) -> ImportTarget:
    if format not in GATEWAY_FORMATS and format != AUTO:
        known = ", ".join([AUTO, *sorted(GATEWAY_FORMATS)])
        raise ImportFailed(f"{format!r} is not a format that can be imported; known: {known}")
    if format == AUTO and options:
        raise ImportFailed(f"options ({', '.join(options)}) need a format named, not {AUTO!r}")
    try:
        chosen = gateway_format("nginx" if format == AUTO else format, options)
    except ValueError as err:
        raise ImportFailed(str(err)) from err
    use_secret(storage.data_dir)
    naming = Naming(load_catalog(catalog_path))
    try:
        rules = rules_of(privacy or CollectorSettings(), naming.is_consumer)
    except (OSError, ValueError) as err:
        raise ImportFailed(f"the privacy file cannot be used: {err}") from err
    return ImportTarget(
        lake=Lake(storage),
        ledger=ImportLedger(open_state(storage)),
        naming=naming,
        format=chosen,
        tenant=tenant,
        environment=environment,
        since_us=None if since is None else int(since.timestamp() * 1_000_000),
        now_ns=now_ns,
        scope=_scope(format, tenant, options),
        privacy=rules,
    )


def _scope(format: str, tenant: str, options: Mapping[str, str]) -> str:
    return "\0".join([format, tenant, *(f"{k}={v}" for k, v in sorted(options.items()))])


def detected(source: Source, target: ImportTarget) -> ImportTarget | None:
    """The target with the format the source's first lines are written in; None for an empty source.

    Raises ImportFailed if no format reads them.
    """
    head = b""
    while len(head) < DETECT_BYTES and (more := source.read(DETECT_BYTES - len(head))):
        head += more
    source.restart()
    whole = head if len(head) < DETECT_BYTES else head[: head.rfind(b"\n") + 1]
    name = detect(whole, GATEWAY_FORMATS)
    if name is None:
        if not head.strip():
            return None
        raise ImportFailed(
            f"{source.name}: no known format reads its first lines; name one of "
            + ", ".join(sorted(GATEWAY_FORMATS))
        )
    log.info("format_detected", path=source.name, format=name)
    return replace(target, format=GATEWAY_FORMATS[name], scope=_scope(name, target.tenant, {}))


def _finished(source: Source, now_ns: Callable[[], int]) -> bool | None:
    """Whether the last line counts without its newline: True, or None = only if it is readable."""
    if source.finished:
        return True
    modified_ns = os.stat(source.name).st_mtime_ns
    return True if now_ns() - modified_ns > FINISHED_AFTER_S * 1e9 else None


def _progress(
    path: str, number: int, files: int, imported: FileImport, before: ImportReport
) -> ImportProgress:
    tally = imported.tally
    return ImportProgress(
        path=path,
        file_number=number,
        files=files,
        share=imported.source.share(),
        read=before.read + tally.read,
        stored=before.stored + tally.stored,
        rejected=before.rejected + tally.rejected,
    )
