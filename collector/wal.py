"""The write-ahead log: what is acknowledged is in here, synced, until the lake has it.

One thread writes. Whatever arrives while it syncs goes out together with the next write: one
writev and one fdatasync for all of it (group commit), so the cost of a sync is shared by load
and a lone sender waits for one sync only.

A failed write (disk full) is undone by cutting the file back, and its requests are refused with
a retryable error. A failed sync is different: the kernel may have dropped the pages and a second
sync would lie, so the log stops for good (WalFailed) and says so until the process is restarted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from collector import fault_points
from collector.errors import CollectorStartError, ShuttingDown, WalError, WalFailed, WalFull
from collector.errors import WalUnavailable as Unavailable
from collector.settings import CollectorSettings
from collector.wal_record import (
    PREFIX_BYTES,
    SegmentHead,
    WalRecord,
    content_crc,
    encode_header,
    encode_prefix,
    salt_of,
)
from collector.wal_recovery import Recovery, next_segment_head, recover
from collector.wal_segment import (
    DIGESTS_SUFFIX,
    Segment,
    create_segment,
    read_digests,
    sync_folder,
    write_packed_digests,
)
from storage.files import make_folder

log = structlog.get_logger(__name__)

LOCK_FILE = "lock"
_IOV_MAX = 1000
"""Buffers per writev; the kernel's limit is 1024."""


@dataclass(slots=True)
class Append:
    """One record on its way into the log. The intake adds what it needs to answer."""

    record: WalRecord
    sequence: int = 0
    """Given when it is written."""
    header: bytes = b""
    crc: int = 0

    @property
    def size(self) -> int:
        return PREFIX_BYTES + len(self.header) + len(self.record.wire_body)


A = TypeVar("A", bound=Append)
OnGroup = Callable[[Sequence[A], Exception | None], None]
"""Called on the log's thread with each group, in order of sequence. None = durable."""


@dataclass(slots=True)
class WalFigures:
    """For /metrics. Plain numbers, written by the log's thread."""

    groups: int = 0
    syncs: int = 0
    sync_s: float = 0.0
    sync_s_max: float = 0.0
    bytes: int = 0


@dataclass(slots=True)
class _State:
    segments: list[Segment]
    total_bytes: int
    next_sequence: int
    pending_bytes: int = 0
    failed: str = ""
    closing: bool = False
    dirty: bool = False
    """Written but not synced (modes interval and off)."""
    synced_at: float = 0.0
    figures: WalFigures = field(default_factory=WalFigures)


class FolderLock:
    """One process per log folder, by flock: it goes away with the process, however that ends."""

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK_FILE
        try:
            make_folder(folder)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as err:
            raise CollectorStartError(
                f"Cannot write in {folder} ({err.strerror}); "
                "give the collector a data folder it may write to."
            ) from err
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            holder = os.read(self._fd, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise CollectorStartError(
                f"Another collector (process {holder}) uses {folder}; "
                "stop it, or give this one a data folder of its own."
            ) from err
        # Only for the sentence above: a full disk is no reason not to start.
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        os.close(self._fd)


class Wal(Generic[A]):
    """The log of one collector. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        settings: CollectorSettings,
        on_group: OnGroup[A],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Lock and recover; nothing is written until `start`. Raises CollectorStartError."""
        self.folder = folder
        self._settings = settings
        self._on_group = on_group
        self._clock = clock
        self._lock_file = FolderLock(folder)
        try:
            self.recovery: Recovery = recover(folder)
        except OSError as err:
            self._lock_file.release()
            raise CollectorStartError(
                f"Cannot read the write-ahead log in {folder}: {err.strerror}."
            ) from err
        except CollectorStartError:
            self._lock_file.release()
            raise
        self.id = self.recovery.wal_id
        self._salt = salt_of(self.id)
        self._cond = threading.Condition()
        self._queue: list[A] = []
        self._fd = -1
        self._state = _State(
            segments=list(self.recovery.segments),
            total_bytes=self.recovery.total_bytes,
            next_sequence=self.recovery.last + 1,
        )
        self._thread = threading.Thread(target=self._run, name="wal", daemon=True)

    # -- life ---------------------------------------------------------------------------------

    def start(self, floor: int = 0) -> None:
        """Begin a new segment and take records. `floor`: highest sequence the lake knows of."""
        head = next_segment_head(self.recovery, floor)
        try:
            segment, self._fd = create_segment(self.folder, head)
        except OSError as err:
            raise CollectorStartError(
                f"Cannot write in {self.folder} ({err.strerror}); "
                "free some space or give the collector a data folder it may write to."
            ) from err
        # A restart without traffic leaves a segment with the same name and nothing in it.
        self._state.segments = [s for s in self._state.segments if s.path != segment.path]
        self._state.segments.append(segment)
        self._state.next_sequence = head.first
        self._state.synced_at = self._clock()
        self._thread.start()

    def close(self, *, all_in_lake: bool = False, forget_before_ns: int = 0) -> None:
        """Write what is queued, sync, unlock. Later appends are refused.

        `all_in_lake`: everything written was committed, so the next start has nothing to replay:
        a fresh segment is left, which carries the numbering on, and digests for resends.
        """
        with self._cond:
            self._state.closing = True
            self._cond.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        if all_in_lake and not self._state.failed:
            try:
                self._roll(self._state.segments[-1])
                self.trim(self.last_sequence, forget_before_ns=forget_before_ns)
            except OSError as err:
                log.warning("wal_trim_failed", error=str(err))
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._lock_file.release()

    # -- facts --------------------------------------------------------------------------------

    @property
    def failed(self) -> str:
        """Why the log has stopped for good; '' = it has not."""
        return self._state.failed

    @property
    def total_bytes(self) -> int:
        return self._state.total_bytes

    @property
    def last_sequence(self) -> int:
        """Last sequence written (and, in mode strict, synced)."""
        return self._state.next_sequence - 1

    @property
    def figures(self) -> WalFigures:
        return self._state.figures

    def segments(self) -> list[Segment]:
        """The segments now, oldest first; the objects are live, read `bytes` once."""
        with self._cond:
            return list(self._state.segments)

    # -- writing ------------------------------------------------------------------------------

    def check_room(self, size: int) -> None:
        """Raise what `append` would for a body of `size` bytes; cheap, for early refusal."""
        state = self._state
        if state.failed:
            raise WalFailed(state.failed)
        if state.closing:
            raise ShuttingDown
        if state.total_bytes + state.pending_bytes + size > self._settings.wal_bytes_max:
            raise WalFull(self._settings.wal_bytes_max)

    def append(self, item: A) -> None:
        """Queue one record; `on_group` tells how it went. Raises as `check_room`."""
        item.header = encode_header(item.record)
        item.crc = content_crc(item.header, item.record.wire_body, self._salt)
        with self._cond:
            self.check_room(item.size)
            self._queue.append(item)
            self._state.pending_bytes += item.size
            if len(self._queue) == 1:
                self._cond.notify()

    def _run(self) -> None:
        while True:
            with self._cond:
                while not self._queue and not self._state.closing:
                    if not self._cond.wait(self._wait_s()):
                        break
                group, self._queue = self._queue, []
                closing = self._state.closing
            if group:
                self._commit(group)
            self._sync_if_due(at_once=closing)
            if closing and not group:
                return

    def _wait_s(self) -> float | None:
        return self._settings.fsync_interval_ms / 1000 if self._state.dirty else None

    def _commit(self, group: list[A]) -> None:
        error: Exception | None = None
        try:
            if self._state.failed:
                raise WalFailed(self._state.failed)
            self._roll_if_full()
            self._write_group(group)
        except (WalError, Unavailable) as err:
            error = err
        except OSError as err:
            log.error("wal_write_failed", error=str(err))
            error = Unavailable(f"The write-ahead log cannot be written: {err.strerror}.")
        with self._cond:
            self._state.pending_bytes -= sum(item.size for item in group)
        self._on_group(group, error)

    def _write_group(self, group: list[A]) -> None:
        segment = self._state.segments[-1]
        sequence = self._state.next_sequence
        buffers: list[bytes] = []
        for item in group:
            item.sequence = sequence
            sequence += 1
            body = item.record.wire_body
            buffers += (
                encode_prefix(len(item.header), len(body), item.sequence, item.crc, self._salt),
                item.header,
                body,
            )
        size = sum(map(len, buffers))
        try:
            fault_points.hit("wal.write")
            self._write_all(buffers)
        except OSError:
            self._cut_back(segment)
            raise
        fault_points.hit("wal.written")
        if self._settings.fsync == "strict":
            self._sync()
        else:
            self._state.dirty = True
        fault_points.hit("wal.synced")
        with self._cond:
            for item in group:
                segment.note_digest(item.record)
            segment.last = sequence - 1
            segment.bytes += size
            self._state.total_bytes += size
            self._state.next_sequence = sequence
        self._state.figures.groups += 1
        self._state.figures.bytes += size

    def _write_all(self, buffers: list[bytes]) -> None:
        for start in range(0, len(buffers), _IOV_MAX):
            part = buffers[start : start + _IOV_MAX]
            missing = sum(map(len, part)) - os.writev(self._fd, part)
            if missing:  # a signal or a nearly full disk cut the write short
                rest = memoryview(b"".join(part))[-missing:]
                while rest:
                    rest = rest[os.write(self._fd, rest) :]

    def _cut_back(self, segment: Segment) -> None:
        """Undo a partial write. Where even that fails, numbers could be used twice: stop."""
        try:
            os.ftruncate(self._fd, segment.bytes)
            os.lseek(self._fd, segment.bytes, os.SEEK_SET)
        except OSError as err:
            self._fail(f"a failed write could not be undone ({err.strerror})")

    def _sync_if_due(self, *, at_once: bool) -> None:
        if not self._state.dirty or self._state.failed or self._settings.fsync == "off":
            return
        elapsed_ms = (self._clock() - self._state.synced_at) * 1000
        if at_once or elapsed_ms >= self._settings.fsync_interval_ms:
            with contextlib.suppress(WalFailed):  # seen by the next append
                self._sync()

    def _sync(self) -> None:
        started = self._clock()
        try:
            fault_points.hit("wal.sync")
            os.fdatasync(self._fd)
        except OSError as err:
            self._fail(f"fsync failed ({err.strerror})")
            raise WalFailed(self._state.failed) from err
        self._state.synced_at = self._clock()
        self._state.dirty = False
        took = self._state.synced_at - started
        figures = self._state.figures
        figures.syncs += 1
        figures.sync_s += took
        figures.sync_s_max = max(figures.sync_s_max, took)

    def _fail(self, why: str) -> None:
        self._state.failed = (
            f"The write-ahead log has stopped: {why}. Check the disk of {self.folder}, "
            "then restart the collector."
        )
        log.critical("wal_stopped", why=why, folder=str(self.folder))

    def _roll_if_full(self) -> None:
        segment = self._state.segments[-1]
        if segment.bytes < self._settings.wal_segment_bytes:
            return
        if self._settings.fsync != "off":
            self._sync()
        self._roll(segment)

    def _roll(self, segment: Segment) -> None:
        if segment.last < segment.head.first:
            return  # nothing in it: it may go on as it is
        head = SegmentHead(self.id, self._state.next_sequence, segment.last)
        new, fd = create_segment(self.folder, head)
        os.close(self._fd)
        self._fd = fd
        with self._cond:
            self._state.segments.append(new)

    # -- trimming -----------------------------------------------------------------------------

    def trim(self, sequence: int, *, forget_before_ns: int) -> int:
        """Delete segments whose records are all in the lake, i.e. <= `sequence`.

        Their digests stay behind in sidecars; sidecars with nothing newer than
        `forget_before_ns` go too. The segment being written stays. Returns bytes freed.
        """
        with self._cond:
            done = [s for s in self._state.segments[:-1] if s.last <= sequence]
        for segment in done:
            write_packed_digests(segment)
        if done:
            # A power cut may keep a deletion and forget an earlier renaming: the sidecars' names
            # come first, or a request sent again after it would be stored twice.
            sync_folder(self.folder)
        for segment in done:
            fault_points.hit("wal.trim")
            segment.path.unlink(missing_ok=True)
            # One at a time, oldest first: else a power cut may bring back an older one than it
            # takes away, and the gap between them would look like lost requests.
            sync_folder(self.folder)
        if done:
            with self._cond:
                self._state.segments = [s for s in self._state.segments if s not in done]
                self._state.total_bytes -= sum(s.bytes for s in done)
            self._forget_digests(forget_before_ns)
        return sum(s.bytes for s in done)

    def _forget_digests(self, before_ns: int) -> None:
        for path in self.folder.glob(f"*{DIGESTS_SUFFIX}"):
            if all(received < before_ns for _, received in read_digests(path)):
                path.unlink(missing_ok=True)
