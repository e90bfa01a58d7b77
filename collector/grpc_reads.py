"""Reading a gRPC message under the budget of bytes in flight.

gRPC's core hands a message over once it is whole, so 16 senders of 64 MiB would cost a gigabyte
before anybody could refuse one. Therefore a message is asked for on a thread of its own, and the
one that answers looks, while it waits, at what has come over the connection:

    little room left when the call comes       refused unread: UNAVAILABLE with RetryInfo
    whole within READ_UNWATCHED_S              most messages: nothing more to do
    longer                                     the reservation grows with the bytes that arrive;
                                               past the budget the call is ended, its bytes freed
    too slow, as a body over HTTP may be       ended

Bytes that come over one connection for several calls are shared between those calls. Where the
system does not tell what arrived, a slow message counts as the largest allowed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue

import grpc
import structlog

from collector.admission import Reservation
from collector.errors import BodyTooSlow, MalformedBody
from collector.limits import (
    BODY_RATE_GRACE_S,
    GRPC_CROWDED_STALL_S,
    GRPC_LEAVE_S,
    READ_LOOK_EVERY_S,
    READ_UNWATCHED_S,
)
from collector.settings import CollectorSettings
from collector.tcp_arrivals import Address, Arrivals, peer_address

log = structlog.get_logger(__name__)


class ClientLeft(Exception):
    """The client ended the call, or the core did; there is nobody to answer."""


@dataclass(slots=True)
class _Connection:
    """One with messages on their way."""

    reads: int = 0
    completed_bytes: int = 0
    """Of messages that became whole while others were on their way."""


class _Coming:
    """A message asked for. The bare lock is set free once it is there: a Future costs ten times
    as much, which small messages would notice."""

    __slots__ = ("held", "message", "messages", "over", "there")

    def __init__(self, messages: Iterator[bytes]) -> None:
        self.messages = messages
        self.message: bytes | None = None
        """None = it is not there yet, or there is none."""
        self.there = threading.Lock()
        self.there.acquire()
        self.over = False
        self.held: Reservation | None = None
        """Of a call that was refused: gRPC has its bytes until it is over."""

    def within(self, wait_s: float) -> bool:
        return self.there.acquire(timeout=wait_s)


class GrpcReads:
    """The threads that ask for messages. `read` is thread-safe."""

    def __init__(self, settings: CollectorSettings, port: int) -> None:
        self._settings = settings
        self._arrivals = Arrivals(port)
        self._asked: SimpleQueue[_Coming | None] = SimpleQueue()
        self._connections: dict[Address, _Connection] = {}
        self._watched = 0
        self._lock = threading.Lock()
        # More than calls handled: one that was refused keeps its thread until its call is gone.
        self._threads = [
            threading.Thread(target=self._ask, name="grpc-read", daemon=True)
            for _ in range(2 * settings.grpc_threads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Call it when every call has ended."""
        for _ in self._threads:
            self._asked.put(None)

    def _ask(self) -> None:
        while (coming := self._asked.get()) is not None:
            try:
                coming.message = next(coming.messages, None)
            except Exception as err:
                if not isinstance(err, grpc.RpcError):  # that one: the call is over
                    log.error("grpc_read_failed", error=repr(err), exc_info=err)
            finally:
                with self._lock:
                    coming.over = True
                if coming.held is not None:
                    coming.held.release()
                coming.there.release()
                del coming

    def read(
        self, messages: Iterator[bytes], context: grpc.ServicerContext, reservation: Reservation
    ) -> bytes:
        """The call's one message; `reservation` holds its size then, at least.

        Raises MemoryFull, BodyTooSlow, MalformedBody (the call had no message) or ClientLeft.
        """
        coming = _Coming(messages)
        peer = peer_address(context.peer()) or ("", 0)
        with self._lock:
            connection = self._connections.setdefault(peer, _Connection())
            connection.reads += 1
        # From before it is asked for: of a large one, tens of megabytes come until it is looked at.
        watch = _Watch(self._settings, self._arrivals, peer, connection)
        self._asked.put(coming)
        try:
            if not coming.within(READ_UNWATCHED_S):
                self._watch(coming, context, reservation, watch)
        finally:
            with self._lock:
                if not coming.over:
                    coming.held = reservation.hand_over()
                connection.reads -= 1
                connection.completed_bytes += len(coming.message or b"")
                if not connection.reads:
                    del self._connections[peer]
        if coming.message is None:
            if _has_ended(context):
                raise ClientLeft
            raise MalformedBody("the call carries no message")
        reservation.grow_to(len(coming.message))
        return coming.message

    def _watch(
        self,
        coming: _Coming,
        context: grpc.ServicerContext,
        reservation: Reservation,
        watch: _Watch,
    ) -> None:
        """Wait until it is there."""
        with self._lock:
            self._watched += 1
        try:
            while True:
                crowded = self._watched >= self._settings.grpc_threads
                reservation.grow_to(watch.arrived(crowded=crowded))
                if coming.within(READ_LOOK_EVERY_S):
                    return
                if not context.is_active():
                    raise ClientLeft
        finally:
            with self._lock:
                self._watched -= 1


def _has_ended(context: grpc.ServicerContext) -> bool:
    """Whether a call that brought no message is over. gRPC's core tells that the client has left
    only after it has told that nothing more comes."""
    ended = threading.Event()
    return not context.add_callback(ended.set) or ended.wait(GRPC_LEAVE_S)


class _Watch:
    """What has come of one message, and whether it comes fast enough."""

    def __init__(
        self,
        settings: CollectorSettings,
        arrivals: Arrivals,
        peer: Address,
        connection: _Connection,
    ) -> None:
        self._settings, self._arrivals = settings, arrivals
        self._peer, self._connection = peer, connection
        self._started = self._moved = time.monotonic()
        self._first = arrivals.count(peer)
        self._completed_before = connection.completed_bytes
        self._arrived = 0

    def arrived(self, *, crowded: bool) -> int:
        """Bytes to count for the message by now; never less than before. Raises BodyTooSlow.

        `crowded`: every thread waits for a message, so one that has stalled must go.
        """
        now, settings = time.monotonic(), self._settings
        elapsed = now - self._started
        if elapsed >= settings.body_timeout_s:
            raise BodyTooSlow(f"longer than {settings.body_timeout_s:g} s")
        total = self._arrivals.count(self._peer)
        if total is None or self._first is None:
            return settings.body_bytes_max
        connection = self._connection
        came = total - self._first - (connection.completed_bytes - self._completed_before)
        share = came // max(1, connection.reads)
        if share > self._arrived:
            self._arrived, self._moved = share, now
        if elapsed >= BODY_RATE_GRACE_S and self._arrived < settings.body_rate_min * elapsed:
            raise BodyTooSlow(f"less than {settings.body_rate_min} bytes a second")
        if crowded and now - self._moved >= GRPC_CROWDED_STALL_S:
            raise BodyTooSlow("it stalled while others wait")
        return min(self._arrived, settings.body_bytes_max)
