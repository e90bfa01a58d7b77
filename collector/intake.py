"""From a body to its acknowledgement: the one way in, used by HTTP and gRPC alike.

    decompress -> recognise a resend -> validate -> append to the log -> group sync -> answer

The doors reserve bytes before they read a body; everything here happens under that reservation.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import pyarrow as pa
import structlog

from collector.admission import ByteBudget, Reservation
from collector.auth import Principal
from collector.backlog import Backlog, Entry
from collector.decompress import decompress, plain_bytes_expected
from collector.dedupe import Dedupe, Seen, digest_of
from collector.errors import (
    BodyTooLarge,
    CollectorError,
    DiskNearlyFull,
    MalformedBody,
    ShuttingDown,
)
from collector.formats import FORMATS, Inspected, inspect
from collector.payload import Content, Format, Payload
from collector.privacy import secret_key
from collector.settings import CollectorSettings
from collector.telemetry import Telemetry
from collector.wal import Append, Wal
from collector.wal_record import NO_DIGEST, WalRecord
from collector.wal_scrub import Scrubber
from storage.disk import FreeSpace
from storage.settings import StorageSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request as a door hands it over."""

    body: bytes
    """As it came over the wire."""
    encoding: str
    """Result of `decompress.parse_encoding`."""
    format: Format
    content: Content
    principal: Principal
    origin: str
    transport: str
    """http or grpc; a label."""
    digest: bytes = NO_DIGEST
    """Of sources that number what they send: 16 bytes kept with the record. NO_DIGEST = none."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the sender is told."""

    rejected: int = 0
    """Records of the request that will not be stored as what they are."""
    message: str = ""
    """Why, or a warning where none is rejected."""


class Ticket(Protocol):
    """Where a door waits for the outcome. Called exactly once, from any thread, quickly."""

    def resolve(self, outcome: Accepted | Exception) -> None: ...


@dataclass(slots=True)
class Admitted(Append):
    """A request on its way through the log, with everybody who waits for it."""

    payload: Payload | None = None
    accepted: Accepted = Accepted()
    waiting: list[tuple[Ticket, str]] = field(default_factory=list)
    """Tickets and their transports; the first is the sender's, later ones sent the same bytes."""


class Intake:
    """Shared by all doors. Thread-safe."""

    def __init__(
        self,
        settings: CollectorSettings,
        telemetry: Telemetry,
        storage: StorageSettings,
        *,
        formats: Mapping[str, Format] = FORMATS,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`formats`: how bodies are looked at, by name. `attach` connects it to log and backlog
        before the first request."""
        self._formats = formats
        self.settings = settings
        self.telemetry = telemetry
        self._storage = storage
        self._space = FreeSpace(storage)
        self.budget = ByteBudget(settings.inflight_bytes_max)
        self.dedupe: Dedupe[Admitted] = Dedupe(
            settings.dedupe_window_s, settings.dedupe_entries_max
        )
        self._clock_ns = clock_ns
        self._share_lock = threading.Lock()
        self._wal: Wal[Admitted] | None = None
        self._backlog: Backlog | None = None
        self._scrubber: Scrubber | None = None
        self._digest_key = b""
        self._stopping = False
        self._warning: Callable[[str, str], str] = lambda tenant, format: ""

    def warn_with(self, warning: Callable[[str, str], str]) -> None:
        """`warning(tenant, format)`: what an answer says though nothing is refused; '' = nothing.
        Quick, from any thread."""
        self._warning = warning

    def attach(
        self, wal: Wal[Admitted], backlog: Backlog, scrubber: Scrubber | None = None
    ) -> None:
        """`scrubber`: takes secrets out of what the log gets; None = as it was sent."""
        self._scrubber = scrubber
        self._digest_key = secret_key("resend")
        self._wal = wal
        self._backlog = backlog

    def stop(self) -> None:
        """Refuse everything new; what is under way finishes."""
        self._stopping = True

    def reserve(self, size: int, encoding: str = "identity") -> Reservation:
        """Room for a body of `size` bytes (its declared length, or what came so far) and for what
        it becomes: a body that has no room is refused before anything is spent on it.

        Raises MemoryFull, WalFull, DiskNearlyFull, WalFailed or ShuttingDown before anything is
        read. The disk is asked ten times a second, and always before a refusal.
        """
        self.check_room(size)
        plain = min(plain_bytes_expected(size, encoding), self.settings.body_bytes_max)
        return self.budget.reserve(max(size, plain))

    def check_room(self, size: int) -> None:
        """Raise as `reserve`, but for MemoryFull: for a body that is held already."""
        if self._stopping or self._wal is None:
            raise ShuttingDown
        self._wal.check_room(size)
        if not self._space.ok(size):
            raise DiskNearlyFull(
                f"Less than {self._storage.disk_reserve_mb} MB would stay free on the data disk."
            )

    def submit(self, incoming: Incoming, reservation: Reservation, ticket: Ticket) -> None:
        """Take one request; `ticket` is told the outcome once it is durable.

        Raises what it is refused with, and then never touches the ticket. CPU-bound: about 1 ms
        per 400 KB.
        """
        settings = self.settings
        body = decompress(
            incoming.body,
            incoming.encoding,
            bytes_max=settings.body_bytes_max,
            ratio_max=settings.body_ratio_max,
            grow=lambda size: reservation.grow_to(size + len(incoming.body)),
        )
        reservation.grow_to(len(body) + len(incoming.body) * (body is not incoming.body))
        self._count_bytes(incoming, len(body))
        now_ns = self._clock_ns()
        who = incoming.principal
        admitted = Admitted(_record(incoming, body, now_ns, incoming.digest))
        admitted.waiting.append((ticket, incoming.transport))
        known = incoming.digest != NO_DIGEST
        if not known and incoming.format.dedupe and settings.dedupe_window_s:
            credential = f"{who.tenant}\0{who.environment or ''}\0{who.credential}"
            digest = digest_of(
                self._digest_key, credential, f"{incoming.format.name}/{incoming.content}", body
            )
            seen = self._seen(digest, admitted, now_ns)
            if seen == "stored":
                self._tell_again(incoming, admitted, body)
            if seen != "new":
                return
            admitted.record = _record(incoming, body, now_ns, digest)
        try:
            self._validate_and_append(incoming, admitted, body)
        except Exception as err:
            for joined, _ in self._settle(admitted, stored=False)[1:]:
                joined.resolve(err)
            raise

    def _validate_and_append(self, incoming: Incoming, admitted: Admitted, body: bytes) -> None:
        payload = admitted.record.payload(body)
        found = _inspect(self._formats[incoming.format.name], payload)
        if found.decoded_bytes > self.settings.decoded_bytes_max:
            raise BodyTooLarge(self.settings.decoded_bytes_max, "decoded body")
        admitted.accepted = self._accepted(admitted.record, found)
        if not found.records:
            # OTLP 1.11: an empty request is a success; there is nothing to keep.
            self._tell(admitted, self._settle(admitted, stored=False))
            return
        admitted.record = replace(admitted.record, records=found.records)
        if self._scrubber is not None:
            body = self._scrub(self._scrubber, admitted, body)
            payload = admitted.record.payload(body)
        admitted.payload = payload
        assert self._wal is not None, "reserve() comes first"
        self._wal.append(admitted)

    def _scrub(self, scrubber: Scrubber, admitted: Admitted, body: bytes) -> bytes:
        """The body without secrets, also as the record's own. Compressed again only if it was."""
        record = admitted.record
        clean = scrubber.scrub(record.format, record.content, record.tenant, body)
        if clean is not body:
            zipped = record.encoding != "identity"
            admitted.record = replace(
                record,
                wire_body=pa.compress(clean, codec="zstd", asbytes=True) if zipped else clean,
                encoding="zstd" if zipped else "identity",
                body_bytes=len(clean),
            )
        return clean

    def _seen(self, digest: bytes, admitted: Admitted, now_ns: int) -> Seen:
        """Whether an equal request is stored or under way; in the latter case the ticket shares
        its outcome."""
        with self._share_lock:
            seen, leader = self.dedupe.begin(digest, admitted, now_ns / 1e9)
            if seen == "in_flight":
                assert leader is not None
                leader.waiting.append(admitted.waiting[0])
        return seen

    def _tell_again(self, incoming: Incoming, admitted: Admitted, body: bytes) -> None:
        """The answer to a request that is stored already: the one that got lost, partial success
        included."""
        found = _inspect(self._formats[incoming.format.name], admitted.record.payload(body))
        self.telemetry.duplicated.labels(admitted.record.format, incoming.transport).inc()
        ((ticket, _),) = admitted.waiting
        ticket.resolve(self._accepted(admitted.record, found))

    def _accepted(self, record: WalRecord, found: Inspected) -> Accepted:
        """OTLP 1.11: a message with nothing rejected is a warning."""
        warning = self._warning(record.tenant, record.format)
        message = f"{found.message} {warning}".strip() if warning else found.message
        return Accepted(found.rejected, message)

    # -- the log's thread ---------------------------------------------------------------------

    def on_group(self, group: Sequence[Admitted], error: Exception | None) -> None:
        """A group is durable (None) or was refused as a whole."""
        if error is None:
            now = time.monotonic()
            entries = [
                Entry(a.sequence, a.payload, a.record.records, now)
                for a in group
                if a.payload is not None
            ]
            assert self._backlog is not None, "attach() comes first"
            self._backlog.put(entries)
            self._backlog.wait_for_room(self.settings.bytes_per_commit_max)
        for admitted in group:
            waiting = self._settle(admitted, stored=error is None)
            if error is None:
                self._tell(admitted, waiting)
                continue
            for ticket, _ in waiting:
                ticket.resolve(error)

    def _settle(self, admitted: Admitted, *, stored: bool) -> list[tuple[Ticket, str]]:
        """End the flight of a request: from here on nobody joins it. Returns who waits for it."""
        record = admitted.record
        with self._share_lock:
            if record.digest != NO_DIGEST:
                self.dedupe.settle(record.digest, record.received_unix_nano / 1e9, stored=stored)
            waiting, admitted.waiting = admitted.waiting, []
        return waiting

    def _tell(self, admitted: Admitted, waiting: list[tuple[Ticket, str]]) -> None:
        """Success, to the sender and to those who sent the same bytes meanwhile."""
        record = admitted.record
        first, *joined = waiting
        self.telemetry.accepted.labels(record.format, first[1]).inc()
        self.telemetry.records_accepted.labels(record.format).inc(record.records)
        for _, transport in joined:
            self.telemetry.duplicated.labels(record.format, transport).inc()
        for ticket, _ in waiting:
            ticket.resolve(admitted.accepted)

    # -- counting -----------------------------------------------------------------------------

    def _count_bytes(self, incoming: Incoming, body_bytes: int) -> None:
        labels = (incoming.format.name, incoming.transport)
        self.telemetry.wire_bytes.labels(*labels).inc(len(incoming.body))
        self.telemetry.body_bytes.labels(*labels).inc(body_bytes)

    def count_refused(self, format: str, transport: str, error: BaseException) -> None:
        """A door answered with an error."""
        reason = error.reason if isinstance(error, CollectorError) else "internal"
        if isinstance(error, MalformedBody):
            reason = "malformed"  # its own reason is free text, no label
        self.telemetry.refused.labels(format, transport, reason).inc()


def _inspect(format: Format, payload: Payload) -> Inspected:
    try:
        return inspect(format, payload)
    except RecursionError as err:
        raise MalformedBody("nested too deeply") from err


def _record(incoming: Incoming, body: bytes, now_ns: int, digest: bytes = NO_DIGEST) -> WalRecord:
    return WalRecord(
        sequence=0,
        wire_body=incoming.body,
        encoding=incoming.encoding,
        body_bytes=len(body),
        records=0,
        digest=digest,
        format=incoming.format.name,
        content=incoming.content,
        tenant=incoming.principal.tenant,
        environment=incoming.principal.environment,
        received_unix_nano=now_ns,
        origin=incoming.origin,
    )
