"""Opening a write-ahead log that a crash, a full disk or a bad disk left behind.

What is found                      what is done                             what is told
---------------------------------  ---------------------------------------  ---------------------
torn or zero tail, last segment    cut off (it was never acknowledged)      torn_bytes
bad record, good ones after it     bytes copied to quarantine/, skipped     lost_records, exact
missing segment, lost tail         nothing to do                            lost_records, exact
segment with a damaged head        its records are read all the same        a log line
empty segment file                 removed                                  -
segment of another log             refused: somebody mixed two folders      CollectorStartError
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from collector.errors import CollectorStartError
from collector.limits import QUARANTINE_FILES_MAX
from collector.wal_record import (
    NO_DIGEST,
    SEGMENT_HEAD_BYTES,
    Bad,
    Good,
    SegmentHead,
)
from collector.wal_segment import (
    DIGESTS_SUFFIX,
    Segment,
    read_digests,
    scan_segment,
    segment_paths,
    sync_folder,
)

log = structlog.get_logger(__name__)

ID_FILE = "wal.id"
QUARANTINE = "quarantine"


@dataclass(slots=True)
class Recovery:
    """What opening found."""

    wal_id: str
    segments: list[Segment] = field(default_factory=list)
    """Oldest first; none of them is written to again."""
    last: int = 0
    """Highest sequence known to have been used; 0 = a new log."""
    records: int = 0
    total_bytes: int = 0
    torn_bytes: int = 0
    """Cut off the end of the last segment."""
    lost_records: int = 0
    """Records that were there once and cannot be read. Damage put aside by an earlier start is
    not counted again; a missing segment is, until the segments after it are done with."""
    quarantined: list[Path] = field(default_factory=list)
    digests: list[tuple[bytes, int]] = field(default_factory=list)
    """(digest, received ns) of the records and of the sidecars."""


def read_wal_id(folder: Path) -> str | None:
    """The log's id, None where there is no log yet."""
    try:
        text = (folder / ID_FILE).read_text("ascii").strip()
        if len(bytes.fromhex(text)) != 16:
            raise ValueError
    except FileNotFoundError:
        return None
    except ValueError:
        return None
    return text


def _create_wal_id(folder: Path) -> str:
    """A new id, or that of the segments where only the id file was lost."""
    wal_id = secrets.token_hex(16)
    for path in segment_paths(folder):
        head, _ = scan_segment(path, None)
        if head is not None:
            wal_id = head.wal_id
    temporary = folder / f"{ID_FILE}.tmp"
    with temporary.open("w", encoding="ascii") as file:
        file.write(wal_id + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(folder / ID_FILE)
    sync_folder(folder)
    return wal_id


def recover(folder: Path) -> Recovery:
    """Read every segment, put damage aside, say what is left. The caller holds the lock file."""
    wal_id = read_wal_id(folder) or _create_wal_id(folder)
    found = Recovery(wal_id)
    for leftover in folder.glob("*.tmp"):
        leftover.unlink()
    for path in sorted(folder.glob(f"*{DIGESTS_SUFFIX}")):
        found.digests += read_digests(path)
    paths = segment_paths(folder)
    seen: int | None = None  # last sequence accounted for; None until a first segment is read
    for index, path in enumerate(paths):
        if path.stat().st_size == 0:
            path.unlink()
            continue
        seen = _recover_segment(found, path, seen, is_last=index == len(paths) - 1)
    found.last = max(seen or 0, found.last)
    return found


def _recover_segment(found: Recovery, path: Path, seen: int | None, *, is_last: bool) -> int | None:
    head, items = scan_segment(path, found.wal_id)
    if head is None:  # a crash while the segment was being made: nothing was in it
        found.torn_bytes += path.stat().st_size
        path.unlink()
        return seen
    if head.damaged:
        log.error("wal_segment_head_damaged", segment=path.name)
    if head.wal_id != found.wal_id:
        raise CollectorStartError(
            f"{path} belongs to another write-ahead log ({head.wal_id}); "
            "move it away, or point the data folder at the log it belongs to."
        )
    if seen is not None and head.previous > seen:
        found.lost_records += head.previous - seen
        log.error("wal_records_missing", before=path.name, records=head.previous - seen)
    plain = SegmentHead(head.wal_id, head.first, head.previous)
    segment = Segment(path, plain, head.previous, SEGMENT_HEAD_BYTES)
    expected = head.first
    trailing = 0  # damaged records with no good one after them to tell the gap by
    for item in items:
        if isinstance(item, Good):
            expected = _take(found, segment, item, expected)
            trailing = 0
        elif item.torn and is_last:
            _cut_tail(found, segment, item)
        else:
            trailing += _quarantine_range(found, segment, item)
    if is_last:
        found.lost_records += trailing
    found.segments.append(segment)
    found.total_bytes += segment.bytes
    return max(seen or 0, segment.last)


def _take(found: Recovery, segment: Segment, item: Good, expected: int) -> int:
    """Count a good record and the ones missing right before it; the sequence expected next."""
    record = item.record
    if record.sequence > expected and _is_new_loss(found, segment):
        found.lost_records += record.sequence - expected
    segment.last = record.sequence
    segment.bytes = item.end
    segment.note_digest(record)
    found.records += 1
    if record.digest != NO_DIGEST:
        found.digests.append((record.digest, record.received_unix_nano))
    return record.sequence + 1


def _is_new_loss(found: Recovery, segment: Segment) -> bool:
    """False when the damage was put aside by an earlier start, and so counted then."""
    return not segment.bad or any(p.name.startswith(segment.path.stem) for p in found.quarantined)


def _cut_tail(found: Recovery, segment: Segment, bad: Bad) -> None:
    size = bad.end - bad.start
    found.torn_bytes += size
    log.warning("wal_tail_cut", segment=segment.path.name, at=bad.start, bytes=size, why=bad.reason)
    with segment.path.open("r+b") as file:
        file.truncate(bad.start)
        os.fsync(file.fileno())


def _quarantine_range(found: Recovery, segment: Segment, bad: Bad) -> bool:
    """Put a damaged range aside. False: an earlier start did that."""
    segment.bad.append(bad)
    segment.bytes = bad.end
    target = _quarantine_folder(segment.path) / f"{segment.path.stem}-{bad.start}.bad"
    if target.exists():
        return False
    log.error(
        "wal_record_damaged",
        segment=segment.path.name,
        at=bad.start,
        bytes=bad.end - bad.start,
        why=bad.reason,
        kept=str(target),
    )
    if len(list(target.parent.iterdir())) < QUARANTINE_FILES_MAX:
        with segment.path.open("rb") as file:
            file.seek(bad.start)
            target.write_bytes(file.read(bad.end - bad.start))
    found.quarantined.append(target)
    return True


def _quarantine_folder(path: Path) -> Path:
    folder = path.parent / QUARANTINE
    folder.mkdir(exist_ok=True)
    return folder


def next_segment_head(found: Recovery, floor: int) -> SegmentHead:
    """Head of the segment to write next. `floor`: a sequence the lake has seen already; numbers
    up to it are never used again, or the lake would take new records for old ones."""
    return SegmentHead(found.wal_id, max(found.last, floor) + 1, found.last)
