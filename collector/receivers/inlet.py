"""Messages of a listener on their way into the intake: gathered, bounded, tried again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from collector.auth import Principal
from collector.errors import SenderError
from collector.intake import Accepted, Incoming, Intake
from collector.payload import Content, Format
from collector.receivers.limits import (
    LISTENER_BATCH_BYTES,
    LISTENER_BYTES_MAX,
    LISTENER_PAUSE_S,
)
from collector.tickets import LoopTickets

log = structlog.get_logger(__name__)

_RETRY_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Pauses between tries; the last one repeats."""


class Inlet:
    """One listener's way into the log. Lives on the event loop.

    Nobody acknowledges what comes here, so it is kept, up to a bound, until the log took it.
    """

    def __init__(
        self,
        intake: Intake,
        format: Format,
        principal: Principal,
        *,
        join: Callable[[list[bytes]], bytes],
        content: Content,
        transport: str,
        dropped: Callable[[str, int], None],
    ) -> None:
        """`join`: messages to a body. `dropped`: told reason and number of what is lost."""
        self._intake = intake
        self._format = format
        self._principal = principal
        self._join = join
        self._content = content
        self._transport = transport
        self._dropped = dropped
        self._queue: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._came = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closing = False
        self._tickets = LoopTickets(asyncio.get_running_loop())

    def offer(self, message: bytes, origin: str) -> bool:
        """Take a message; False where there is no room (it is counted as dropped)."""
        if self._bytes + len(message) > LISTENER_BYTES_MAX:
            self._dropped("buffer_full", 1)
            return False
        self._put(message, origin)
        return True

    async def put(self, message: bytes, origin: str) -> None:
        """Take a message as soon as there is room."""
        while self._bytes + len(message) > LISTENER_BYTES_MAX:
            self._room.clear()
            await self._room.wait()
        self._put(message, origin)

    def _put(self, message: bytes, origin: str) -> None:
        self._queue.append((origin, message))
        self._bytes += len(message)
        self._came.set()

    def close(self) -> None:
        """Let `run` return once everything is in the log, or cannot get there."""
        self._closing = True
        self._came.set()

    async def run(self) -> None:
        """Carry messages into the log until `close`."""
        while True:
            await self._came.wait()
            if not self._closing and self._bytes < LISTENER_BATCH_BYTES:
                await asyncio.sleep(LISTENER_PAUSE_S)
            while self._queue:
                origin, messages, size = self._take()
                await self._carry(origin, messages)
                self._bytes -= size
                self._room.set()
            if self._closing:
                return
            self._came.clear()

    def _take(self) -> tuple[str, list[bytes], int]:
        """The next messages of one sender, about a batch's worth; they count until carried."""
        origin = self._queue[0][0]
        messages: list[bytes] = []
        size = 0
        while self._queue and self._queue[0][0] == origin and size < LISTENER_BATCH_BYTES:
            message = self._queue.popleft()[1]
            messages.append(message)
            size += len(message)
        return origin, messages, size

    async def _carry(self, origin: str, messages: list[bytes]) -> None:
        body = self._join(messages)
        attempt = 0
        while True:
            try:
                await self._submit(body, origin)
                return
            except SenderError as err:
                self._lost("refused", messages, err)
                return
            except Exception as err:
                if self._closing:
                    self._lost("stopping", messages, err)
                    return
                pause_s = _RETRY_S[min(attempt, len(_RETRY_S) - 1)]
                log.warning("listener_waits", format=self._format.name, error=str(err)[:200])
                attempt += 1
                await asyncio.sleep(pause_s)

    async def _submit(self, body: bytes, origin: str) -> Accepted:
        reservation = self._intake.reserve(len(body))
        try:
            ticket = self._tickets.new()
            incoming = Incoming(
                body=body,
                encoding="identity",
                format=self._format,
                content=self._content,
                principal=self._principal,
                origin=origin,
                transport=self._transport,
            )
            self._intake.submit(incoming, reservation, ticket)
            return await ticket.future
        finally:
            reservation.release()

    def _lost(self, reason: str, messages: list[bytes], err: Exception) -> None:
        self._dropped(reason, len(messages))
        log.error(
            "messages_lost", format=self._format.name, reason=reason, messages=len(messages),
            error=str(err)[:200],
        )  # fmt: skip
