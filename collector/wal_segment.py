"""Segment files of the write-ahead log: naming, creating, reading, sidecars with digests."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from zlib_ng import zlib_ng

from collector import fault_points
from collector.wal_record import (
    NO_DIGEST,
    SEGMENT_HEAD_BYTES,
    Bad,
    Good,
    SegmentHead,
    WalRecord,
    decode_segment_head,
    salt_of,
    scan_records,
)

SUFFIX = ".wal"
DIGESTS_SUFFIX = ".digests"
_DIGEST = struct.Struct("<16sQ")


@dataclass(slots=True)
class Segment:
    """One segment file, as far as the log knows it. Guarded by the log's lock."""

    path: Path
    head: SegmentHead
    last: int
    """Sequence of its last good record; `head.previous` while it has none."""
    bytes: int
    """Bytes that count: everything beyond is not written or not durable yet."""
    bad: list[Bad] = field(default_factory=list)
    """Damaged ranges inside [0, bytes)."""
    digests: bytearray = field(default_factory=bytearray)
    """Packed (digest, received) of its records, for the sidecar that outlives it."""

    def note_digest(self, record: WalRecord) -> None:
        if record.digest != NO_DIGEST:
            self.digests += _DIGEST.pack(record.digest, record.received_unix_nano)


def segment_path(folder: Path, first: int) -> Path:
    return folder / f"{first:020d}{SUFFIX}"


def segment_paths(folder: Path) -> list[Path]:
    """Segment files, oldest first. Other files in the folder are none of the log's business."""
    return sorted(p for p in folder.glob(f"*{SUFFIX}") if p.stem.isdigit())


def sync_folder(folder: Path) -> None:
    """Make file names in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def create_segment(folder: Path, head: SegmentHead) -> tuple[Segment, int]:
    """A new, durable, empty segment and its file descriptor. Raises OSError; leaves no file then.

    An empty file of that name may exist (a crash between creating and writing): it is replaced.
    """
    path = segment_path(folder, head.first)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        fault_points.hit("wal.create")
        os.write(fd, head.encode())
        os.fsync(fd)
        sync_folder(folder)
    except OSError:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
    return Segment(path, head, head.previous, SEGMENT_HEAD_BYTES), fd


@dataclass(frozen=True, slots=True)
class ScannedHead:
    """Head of a segment that was read."""

    wal_id: str
    first: int
    previous: int
    damaged: bool
    """Made up from the file name, which says as much; only the link to what came before is gone."""


def scan_segment(path: Path, wal_id: str | None) -> tuple[ScannedHead | None, Iterator[Good | Bad]]:
    """The head and what follows it. Reads the whole file (one segment) at once.

    `wal_id` stands in for a damaged head; None head = damaged, and no id to stand in or no room
    for a head in the file.
    """
    raw = path.read_bytes()
    head = decode_segment_head(raw)
    if head is not None:
        found = ScannedHead(head.wal_id, head.first, head.previous, damaged=False)
    elif wal_id is not None and len(raw) >= SEGMENT_HEAD_BYTES:
        first = int(path.stem)
        found = ScannedHead(wal_id, first, first - 1, damaged=True)
    else:
        return None, iter(())
    return found, scan_records(raw, salt_of(found.wal_id))


def write_packed_digests(segment: Segment) -> None:
    """Sidecar of a segment that is about to be deleted. No file where it has no digests."""
    if segment.digests:
        _write_sidecar(segment.path.with_suffix(DIGESTS_SUFFIX), bytes(segment.digests))


def _write_sidecar(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(data + zlib_ng.crc32(data).to_bytes(4, "little"))
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def read_digests(path: Path) -> list[tuple[bytes, int]]:
    """Pairs of a sidecar; empty where it is damaged (then duplicates may be stored once more)."""
    raw = path.read_bytes()
    data, crc = raw[:-4], raw[-4:]
    if len(data) % _DIGEST.size or zlib_ng.crc32(data).to_bytes(4, "little") != crc:
        return []
    return [(bytes(d), t) for d, t in _DIGEST.iter_unpack(data)]
