"""Reading a request's body: size, deadline, minimum rate and the budget, while it streams in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from collector.admission import Reservation
from collector.errors import BodyTooLarge, BodyTooSlow
from collector.limits import BODY_RATE_GRACE_S
from collector.settings import CollectorSettings

Message = MutableMapping[str, Any]
Scope = Message
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_DRAIN_S = 2.0
"""How long a refused body is read and thrown away, so that the sender gets to read the answer
instead of a reset connection."""


class Disconnected(Exception):
    """The client went away before the body was complete; there is nobody to answer."""


class BodySource:
    """The body of one request, as far as it has come."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.complete = False
        """Nothing of it is left on the wire."""
        self.size = 0
        """Bytes that have come."""
        self.complete_unix_nano = 0
        """When the last of it came; 0 = not yet."""

    async def next(self) -> bytes:
        """Some more of it. Raises Disconnected."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.complete = True
            raise Disconnected
        data: bytes = message.get("body", b"")
        self.size += len(data)
        self.complete = not message.get("more_body", False)
        if self.complete:
            self.complete_unix_nano = time.time_ns()
        return data


async def read_body(
    source: BodySource, reservation: Reservation, settings: CollectorSettings
) -> bytes:
    """The whole body as it came. Raises BodyTooLarge, BodyTooSlow, MemoryFull, Disconnected."""
    parts: list[bytes] = []
    size = 0
    started = asyncio.get_running_loop().time()
    while not source.complete:
        parts.append(await _next(source, settings, started, size))
        size += len(parts[-1])
        if size > settings.body_bytes_max:
            raise BodyTooLarge(settings.body_bytes_max)
        reservation.grow_to(size)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _next(
    source: BodySource, settings: CollectorSettings, started: float, size: int
) -> bytes:
    loop = asyncio.get_running_loop()
    while True:
        elapsed = loop.time() - started
        if elapsed >= settings.body_timeout_s:
            raise BodyTooSlow(f"longer than {settings.body_timeout_s:g} s")
        if elapsed >= BODY_RATE_GRACE_S and size < settings.body_rate_min * elapsed:
            raise BodyTooSlow(f"less than {settings.body_rate_min} bytes a second")
        try:
            async with asyncio.timeout(min(settings.body_timeout_s - elapsed, BODY_RATE_GRACE_S)):
                return await source.next()
        except TimeoutError:
            continue


async def drain(source: BodySource, bytes_max: int) -> None:
    """Throw away the rest of a refused body, for a moment."""
    size = 0
    try:
        async with asyncio.timeout(_DRAIN_S):
            while not source.complete and size <= bytes_max:
                size += len(await source.next())
    except (TimeoutError, Disconnected):
        return


__all__ = [
    "BodySource",
    "Disconnected",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "drain",
    "read_body",
]
