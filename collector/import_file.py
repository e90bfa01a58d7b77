"""Bring one file into the lake, chunk by chunk, each exactly once.

    read a chunk -> cut at its last newline -> decode, name -> note the mark -> commit rejects ->
    commit requests (application version = byte position behind the chunk)

A chunk's rejects, and its records that are not counted (docs/counting-once.md), are committed
before its requests; what a crash leaves between the two is made up for by ending the next run's
first chunk exactly where those ended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.uncounted import split_access_records
from collector.import_ledger import HEAD_BYTES_MAX, ImportLedger, Mark
from collector.import_source import Source
from collector.naming import Naming
from collector.payload import Decoded, Format, Payload
from collector.privacy_rules import PrivacyRules
from storage.disk import require_free_bytes
from storage.lake import Lake
from storage.schemas import TABLES

CHUNK_BYTES = 32 * 1024 * 1024
"""Bytes decoded and committed at a time; bounds the memory of an import (some ten times this)."""

LINE_BYTES_MAX = 1024 * 1024
"""A chunk without a newline is cut here, so that a file of one endless line ends in rejects."""

_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ImportTarget:
    """Where rows go and under which circumstances."""

    lake: Lake
    ledger: ImportLedger
    naming: Naming
    format: Format
    tenant: str
    environment: str | None
    since_us: int | None
    """Requests before this are not stored; None = all."""
    now_ns: Callable[[], int]
    scope: str
    """What besides the bytes tells two imports apart: format, its options, tenant."""
    chunk_bytes: int = CHUNK_BYTES
    privacy: PrivacyRules = field(default_factory=PrivacyRules)


@dataclass(slots=True)
class Tally:
    """What became of the lines of one file in this run."""

    read: int = 0
    stored: int = 0
    rejected: int = 0
    before_since: int = 0
    left_to_spans: int = 0
    """Records whose call is counted by the gateway's span, or not at all; they are in `logs`."""
    bytes_known: int = 0
    """Bytes that an earlier import had read."""
    bytes_pending: int = 0
    """An unfinished last line, left for the next run."""
    reasons: dict[str, int] = field(default_factory=dict)
    samples: list[tuple[int, str]] = field(default_factory=list)
    """The first rejects: line number and reason."""


SAMPLES_MAX = 20
"""Rejects shown by name after an import; all are in the `rejects` table."""


class FileImport:
    """The import of one source; `step` until it says there is nothing more."""

    def __init__(self, source: Source, target: ImportTarget) -> None:
        self.source = source
        self.tally = Tally()
        self._target = target
        self._requests = target.lake.table("requests")
        self._rejects = target.lake.table("rejects")
        self._logs = target.lake.table("logs")
        self._hash = hashlib.sha256()
        self._position = 0
        self._lines = 0
        self._pending = b""
        self._app_id: str | None = None
        self._identity = ""
        self._ahead_until = 0
        """Position up to which an earlier run committed other tables than `requests`."""

    @property
    def position(self) -> int:
        """Bytes read and committed, uncompressed."""
        return self._position

    def step(self, *, whole_tail: bool | None = None) -> bool:
        """Commit the next chunk. False = nothing (more) to commit.

        `whole_tail`: whether a last line without newline counts: True = yes, None = only if it is
        readable, False = never (the file is being written to). Raises DiskLow before anything is
        read when the disk's reserve would be touched; the same step may be tried again.
        """
        require_free_bytes(self._target.lake.settings, needed_bytes=self._target.chunk_bytes)
        if self._app_id is None and not self._identify(whole_tail):
            return False
        chunk, at_end = self._next_chunk()
        if at_end:
            chunk = self._with_tail(chunk, whole_tail)
        if not chunk:
            self.tally.bytes_pending = len(self._pending)
            return False
        self._commit(chunk)
        return True

    def _identify(self, whole_tail: bool | None) -> bool:
        """Find out which import this continues, if any. False while the file is empty."""
        head = self._head()
        if not head or (whole_tail is False and b"\n" not in head):
            self.source.restart()
            return False
        for mark in self._target.ledger.candidates(head, self._target.scope):
            if self._requests.app_version(mark.app_id) != mark.position:
                continue
            self.source.restart()
            if self._skip(mark):
                self._app_id = mark.app_id
                self._identity = self._target.ledger.identity_of(mark.app_id)
                break
        else:
            self.source.restart()
            self._app_id, self._identity = self._continue_uncommitted(head)
        self.source.settle()
        self._ahead_until = max(
            table.app_version(self._app_id) or 0 for table in (self._rejects, self._logs)
        )
        return True

    def _continue_uncommitted(self, head: bytes) -> tuple[str, str]:
        """An app_id of which nothing was committed yet, or a new one.

        A crash before the first commit leaves a mark, perhaps with rejects committed.
        """
        ledger = self._target.ledger
        for mark in ledger.candidates(head, self._target.scope):
            if self._requests.app_version(mark.app_id) is None and self._skip(mark):
                self._position, self._lines, self._hash = 0, 0, hashlib.sha256()
                self.tally.bytes_known = 0
                self.source.restart()
                return mark.app_id, ledger.identity_of(mark.app_id)
            self.source.restart()
        return ledger.new_app_id(head, self._target.scope)

    def _head(self) -> bytes:
        head = b""
        while len(head) < HEAD_BYTES_MAX and (more := self.source.read(HEAD_BYTES_MAX - len(head))):
            head += more
        return head

    def _skip(self, mark: Mark) -> bool:
        """Read up to the mark; whether the bytes are those that were read back then."""
        digest = hashlib.sha256()
        left = mark.position
        while left and (data := self.source.read(min(left, _READ_BYTES))):
            digest.update(data)
            left -= len(data)
        if left or digest.hexdigest() != mark.digest:
            return False
        self._hash, self._position, self._lines = digest, mark.position, mark.lines
        self.tally.bytes_known = mark.position
        return True

    def _next_chunk(self) -> tuple[bytes, bool]:
        """Whole lines, about a chunk's worth; True if the source has no more at the moment."""
        exact = self._ahead_until - self._position
        limit = exact if exact > 0 else self._target.chunk_bytes
        data, at_end = self._fill(self._pending, limit)
        if exact > 0 and len(data) >= exact:
            cut = exact
        else:
            cut = (data.rfind(b"\n", 0, limit) + 1) or (data.find(b"\n") + 1)
            while not cut and not at_end and len(data) < LINE_BYTES_MAX:
                # A line longer than the chunk.
                data, at_end = self._fill(data, max(2 * len(data), 4096))
                cut = data.find(b"\n") + 1
            if not cut and len(data) >= LINE_BYTES_MAX:
                cut = len(data)
        self._pending = data[cut:]
        return data[:cut], at_end and exact <= 0 and b"\n" not in self._pending

    def _fill(self, data: bytes, size: int) -> tuple[bytes, bool]:
        """`data` made up to `size` bytes; True if the source ended before."""
        parts, length = [data], len(data)
        while length < size:
            more = self.source.read(min(size - length, _READ_BYTES * 8))
            if not more:
                return b"".join(parts), True
            parts.append(more)
            length += len(more)
        return b"".join(parts), False

    def _with_tail(self, chunk: bytes, whole_tail: bool | None) -> bytes:
        if not self._pending or whole_tail is False:
            return chunk
        if whole_tail is None and not self._decode(self._pending).accepted:
            return chunk
        tail, self._pending = self._pending, b""
        return chunk + tail

    def _decode(self, chunk: bytes) -> Decoded:
        target = self._target
        payload = Payload(
            body=chunk,
            format=target.format.name,
            content="text",
            tenant=target.tenant,
            environment=target.environment,
            received_unix_nano=target.now_ns(),
            origin=self.source.name,
        )
        return target.format.decode([payload])

    def _commit(self, chunk: bytes) -> None:
        decoded = self._decode(chunk)
        self._hash.update(chunk)
        position = self._position + len(chunk)
        lines = self._lines + chunk.count(b"\n")
        assert self._app_id is not None
        mark = Mark(self._app_id, position, self._hash.hexdigest(), lines)
        self._target.ledger.note(mark, self._identity)
        rejects = decoded.tables.get("rejects")
        if rejects is not None:
            rejects = _shift_positions(rejects, self._lines)
            kept = self._target.privacy.apply("rejects", rejects)
            self._rejects.append(kept, app_id=self._app_id, app_version=position)
            self._count_rejects(rejects)
        requests, uncounted = self._counted(self._since(decoded.tables.get("requests")))
        if uncounted is not None:
            self._logs.append(uncounted, app_id=self._app_id, app_version=position)
            self.tally.left_to_spans += uncounted.num_rows
        self._requests.append(requests, app_id=self._app_id, app_version=position)
        self._target.ledger.settle(mark)
        self._position, self._lines = position, lines
        self.tally.read += decoded.accepted + decoded.rejected
        self.tally.stored += requests.num_rows
        self.tally.rejected += decoded.rejected

    def _counted(
        self, requests: pa.RecordBatch | None
    ) -> tuple[pa.RecordBatch | pa.Table, pa.RecordBatch | None]:
        """Named rows that count, and the others as rows of `logs`."""
        if requests is None:
            return TABLES["requests"].arrow_schema.empty_table(), None
        naming, privacy = self._target.naming, self._target.privacy
        counted, uncounted = split_access_records(requests, naming)
        named = privacy.apply("requests", naming.apply(counted))
        return named, None if uncounted is None else privacy.apply("logs", uncounted)

    def _since(self, requests: pa.RecordBatch | None) -> pa.RecordBatch | None:
        since = self._target.since_us
        if requests is None or since is None:
            return requests
        late = pc.greater_equal(requests.column("time").cast(pa.int64()), since)
        kept = requests.filter(late)
        self.tally.before_since += requests.num_rows - kept.num_rows
        return kept

    def _count_rejects(self, rejects: pa.RecordBatch) -> None:
        reasons = rejects.column("reason").to_pylist()
        for reason in reasons:
            self.tally.reasons[reason] = self.tally.reasons.get(reason, 0) + 1
        room = SAMPLES_MAX - len(self.tally.samples)
        positions = rejects.column("position").to_pylist()
        self.tally.samples += list(zip(positions[:room], reasons[:room], strict=True))


def _shift_positions(rejects: pa.RecordBatch, lines: int) -> pa.RecordBatch:
    index = rejects.schema.get_field_index("position")
    moved = pc.add(rejects.column(index), lines)
    return rejects.set_column(index, rejects.schema.field(index), moved)
