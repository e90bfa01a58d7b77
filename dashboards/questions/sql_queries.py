"""Statements that run right now, by who asked and the id they were given: progress and stopping.

Only the asker finds a statement, and only by its id; there is no list.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

ID_PATTERN = r"^[A-Za-z0-9_-]{16,64}$"
"""A UUID is one. Short ones would meet by chance."""

Key = tuple[str, str]
"""Who asked, and the id of the statement."""

State = Literal["waiting", "running", "ended"]

ENDED_KEPT_S = 10.0
"""So long it is told of a statement that it has ended: its asker may still wait for the answer to
arrive, and asks how far it is."""


class IdTaken(Exception):
    """A statement with this id is running."""


@dataclass(slots=True)
class RunningQuery:
    """One statement. `progress`: share of the work that is done, 0 to 1, as far as the engine can
    tell; it may stand still and jump."""

    cancelled: threading.Event
    clock: Callable[[], float]
    state: State = "waiting"
    progress: float = 0.0
    started: float = field(init=False)
    ended: float | None = None

    def __post_init__(self) -> None:
        self.started = self.clock()

    def note(self, progress: float) -> None:
        """As `storage.sql_worker.Progress`: the first call says that it has left the queue."""
        self.state = "running"
        self.progress = progress

    def as_json(self) -> dict[str, object]:
        """`elapsed_ms` counts from when it was asked, waiting included, until it ended."""
        until = self.clock() if self.ended is None else self.ended
        elapsed_ms = round((until - self.started) * 1000)
        progress = round(self.progress, 4)
        return {"state": self.state, "progress": progress, "elapsed_ms": elapsed_ms}


class RunningQueries:
    """Thread-safe. Holds a statement as long as it runs, and for ENDED_KEPT_S that it has ended."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[Key, RunningQuery] = {}
        self._ended: dict[Key, RunningQuery] = {}

    @contextmanager
    def entered(self, key: Key | None, cancelled: threading.Event) -> Iterator[RunningQuery]:
        """A statement while the block runs; without an id nobody can ask for it. Raises IdTaken."""
        query = RunningQuery(cancelled, self._clock)
        if key is None:
            yield query
            return
        with self._lock:
            if key in self._running:
                raise IdTaken
            self._running[key] = query
            self._ended.pop(key, None)
        try:
            yield query
        finally:
            with self._lock:
                del self._running[key]
                query.state, query.ended = "ended", self._clock()
                self._ended[key] = query
                self._forget_locked(query.ended)

    def find(self, key: Key | None) -> RunningQuery | None:
        """None = no such statement, or it has ended."""
        with self._lock:
            return None if key is None else self._running.get(key)

    def look(self, key: Key | None) -> RunningQuery | None:
        """The same, and what ended a moment ago."""
        with self._lock:
            self._forget_locked(self._clock())
            return None if key is None else self._running.get(key) or self._ended.get(key)

    def _forget_locked(self, now: float) -> None:
        old = [k for k, q in self._ended.items() if now - (q.ended or 0.0) > ENDED_KEPT_S]
        for key in old:
            del self._ended[key]
