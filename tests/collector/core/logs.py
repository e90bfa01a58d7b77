"""Small write-ahead logs for tests."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from collector.settings import CollectorSettings
from collector.wal import Append, Wal
from collector.wal_cursor import WalCursor
from collector.wal_record import WalRecord

SETTINGS = CollectorSettings()
RECEIVED = 1_790_000_000_000_000_000


def record(body: bytes, *, digest: bytes | None = None, records: int = 1) -> WalRecord:
    return WalRecord(
        sequence=0,
        wire_body=body,
        encoding="identity",
        body_bytes=len(body),
        records=records,
        digest=digest or body.ljust(16, b"-")[:16],
        format="nginx",
        content="text",
        tenant="default",
        environment=None,
        received_unix_nano=RECEIVED,
        origin="192.0.2.1",
    )


class Outcomes:
    """Collects what the log's thread tells."""

    def __init__(self) -> None:
        self.groups: list[list[Append]] = []
        self.errors: list[Exception | None] = []
        self._told = threading.Condition()

    def __call__(self, group: Sequence[Append], error: Exception | None) -> None:
        with self._told:
            self.groups.append(list(group))
            self.errors.append(error)
            self._told.notify_all()

    @property
    def count(self) -> int:
        return sum(map(len, self.groups))

    def wait(self, count: int) -> None:
        with self._told:
            assert self._told.wait_for(lambda: self.count >= count, 10), self.count


def open_log(folder: Path, **changes: object) -> tuple[Wal[Append], Outcomes]:
    outcomes = Outcomes()
    wal: Wal[Append] = Wal(folder, replace(SETTINGS, **changes), outcomes)  # type: ignore[arg-type]
    return wal, outcomes


def write_log(folder: Path, bodies: Sequence[bytes], **changes: object) -> str:
    """A closed log with one record per body; its id."""
    wal, outcomes = open_log(folder, **changes)
    wal.start()
    for number, body in enumerate(bodies, 1):
        wal.append(Append(record(body)))
        outcomes.wait(number)
    wal.close()
    return wal.id


def read_log(folder: Path) -> tuple[list[bytes], Wal[Append]]:
    """Bodies that survive an opening, and the log (closed) for its recovery report."""
    wal, _ = open_log(folder)
    recovery = wal.recovery
    found: list[bytes] = []
    if recovery.segments:
        cursor = WalCursor(wal, body_bytes_max=1 << 20)
        start = recovery.segments[0].head.first
        while True:
            read = cursor.read(start, recovery.last, rows=3, size=1 << 20)
            if not read.records:
                break
            found += [body for _, body in read.records]
            start = read.next_sequence
    wal.close()
    return found, wal
