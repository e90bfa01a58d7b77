"""Statements that run now, so that whoever started one can cancel it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SqlRuns:
    """To be used from one event loop. A key names one open SQL screen; it is made by the server and
    not to be guessed, so nobody cancels what another person runs."""

    def __init__(self) -> None:
        self._running: dict[str, threading.Event] = {}

    @contextmanager
    def run(self, key: str) -> Iterator[threading.Event]:
        """The event that is set when the run of this key is to end."""
        event = threading.Event()
        self._running[key] = event
        try:
            yield event
        finally:
            if self._running.get(key) is event:
                del self._running[key]

    def cancel(self, key: str) -> bool:
        """False when nothing of that key runs."""
        event = self._running.get(key)
        if event is not None:
            event.set()
        return event is not None
