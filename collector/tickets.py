"""Where the doors wait for the log: one kind for the event loop, one for threads."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque

from collector.intake import Accepted

Outcome = Accepted | Exception


class LoopTickets:
    """Tickets of one event loop. A group of outcomes wakes the loop once, not once per request."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ready: deque[tuple[asyncio.Future[Accepted], Outcome]] = deque()
        self._scheduled = False

    def new(self) -> LoopTicket:
        return LoopTicket(self, self._loop.create_future())

    def push(self, future: asyncio.Future[Accepted], outcome: Outcome) -> None:
        self._ready.append((future, outcome))
        if not self._scheduled:
            self._scheduled = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        # Cleared first: what is pushed from here on schedules another call.
        self._scheduled = False
        while self._ready:
            future, outcome = self._ready.popleft()
            if future.done():  # its task was cancelled
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


class LoopTicket:
    """Awaited by one HTTP request."""

    __slots__ = ("_tickets", "future")

    def __init__(self, tickets: LoopTickets, future: asyncio.Future[Accepted]) -> None:
        self._tickets = tickets
        self.future = future

    def resolve(self, outcome: Outcome) -> None:
        self._tickets.push(self.future, outcome)


class ThreadTicket:
    """Waited for by one gRPC thread."""

    __slots__ = ("_event", "_outcome")

    def __init__(self) -> None:
        self._event = threading.Event()
        self._outcome: Outcome = Accepted()

    def resolve(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._event.set()

    def wait(self, timeout_s: float | None = None) -> Accepted:
        """The outcome; raises it where it is an error, TimeoutError after `timeout_s`."""
        if not self._event.wait(timeout_s):
            raise TimeoutError
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome
