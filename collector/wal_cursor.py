"""Reading records back from the log, in order, a commit's worth at a time."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from collector.decompress import decompress
from collector.errors import CollectorError
from collector.wal_record import (
    PREFIX_BYTES,
    SEGMENT_HEAD_BYTES,
    Good,
    WalRecord,
    record_size,
    salt_of,
    scan_records,
)
from collector.wal_segment import Segment

log = structlog.get_logger(__name__)


class Segments(Protocol):
    """What the cursor needs of the log."""

    @property
    def id(self) -> str: ...

    def segments(self) -> list[Segment]: ...


@dataclass(slots=True)
class ReadBack:
    """What one read gave."""

    next_sequence: int
    """Where to go on."""
    records: list[tuple[WalRecord, bytes]] = field(default_factory=list)
    """Records with their decompressed bodies."""


class WalCursor:
    """A place in the log. Not thread-safe: the batcher's."""

    def __init__(self, wal: Segments, *, body_bytes_max: int) -> None:
        self._wal = wal
        self._body_bytes_max = body_bytes_max
        self._first = -1  # which segment `_offset` is in
        self._offset = 0

    def read(self, start: int, last: int, *, rows: int, size: int) -> ReadBack:
        """Intact records with start <= sequence <= last; stops once `rows` or `size` is reached.

        An empty answer means there is none left up to `last`.
        """
        found = ReadBack(start)
        took_rows = took_bytes = 0
        while took_rows < rows and took_bytes < size:
            segment = self._segment_of(found.next_sequence)
            if segment is None or found.next_sequence > last:
                found.next_sequence = max(found.next_sequence, last + 1)
                break
            record = self._next_in(segment)
            if record is None or record.sequence > last:
                if record is not None:
                    self._first = -1  # read again from the segment's start
                found.next_sequence = (last if record is not None else segment.last) + 1
                continue
            if record.sequence < found.next_sequence:
                continue
            found.next_sequence = record.sequence + 1
            body = self._body(record)
            if body is not None:
                found.records.append((record, body))
                took_rows += record.records
                took_bytes += len(body)
        return found

    def _segment_of(self, sequence: int) -> Segment | None:
        """The first segment that holds `sequence` or something after it."""
        for segment in self._wal.segments():
            if segment.last >= sequence and segment.bytes > SEGMENT_HEAD_BYTES:
                if segment.head.first != self._first:
                    self._first = segment.head.first
                    self._offset = SEGMENT_HEAD_BYTES
                return segment
        return None

    def _next_in(self, segment: Segment) -> WalRecord | None:
        """The next intact record of the segment, stepping over damage found when it was opened."""
        salt = salt_of(self._wal.id)
        with segment.path.open("rb", buffering=0) as file:
            fd = file.fileno()
            while self._offset < segment.bytes:
                for bad in segment.bad:
                    if bad.start <= self._offset < bad.end:
                        self._offset = bad.end
                prefix = os.pread(fd, PREFIX_BYTES, self._offset)
                length = record_size(prefix, salt)
                if length is None:
                    return None
                raw = os.pread(fd, length, self._offset)
                self._offset += length
                for item in scan_records(raw, salt, 0):
                    if isinstance(item, Good):
                        return item.record
        return None

    def _body(self, record: WalRecord) -> bytes | None:
        try:
            return decompress(record.wire_body, record.encoding, bytes_max=self._body_bytes_max)
        except CollectorError as err:
            # It was decompressed once before it was acknowledged; the limit may have been lowered.
            log.error("wal_body_unreadable", sequence=record.sequence, error=str(err))
            return None
