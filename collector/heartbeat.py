"""Keeps down when this collector took data, in the state store: see storage/state_collectors.py.

`look` asks, every BEAT_S on the server's event loop, whether requests are taken; it writes nothing.
A thread of its own writes what was seen, so that a store that is slow or gone holds up neither the
looks nor the intake: what could not be written is written with the next beat. So a stretch reaches
from the opened port to the last look that found the door open: to the end of an orderly stop, and
up to BEAT_S too short after a kill. It is over, and the next one begins,

- when requests are refused whatever they are (the log has failed or is full, the disk is nearly
  full): the collector listens, but nothing that is sent gets in;
- when the last look was longer ago than LATE_S by either clock: the process was stopped, the
  machine slept, or its clock was set forward, and nobody can tell what came meanwhile.

A clock that is set back moves the stretch's ends with it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from prometheus_client import Counter
from sqlalchemy import Connection, Engine, delete, insert, update

from collector.limits import STRETCHES_WAITING_MAX
from storage.settings import StorageSettings
from storage.state import open_state
from storage.state_collectors import BEAT_S, LATE_S, collector_stretches

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Stretch:
    """Times in epoch seconds. `row`: its key in the store; None = not written yet."""

    since: float
    until: float
    row: int | None = None


class Heartbeat:
    """Of one collector. `open` when the port is, `look` again and again, `close` at its end."""

    def __init__(
        self,
        storage: StorageSettings,
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`steady` only moves forward, also while the process is stopped."""
        self._storage = storage
        self._clock = clock
        self._steady = steady
        self._collector = ""
        self._taking: Callable[[], bool] = lambda: False
        self._failures: Counter | None = None
        self._current: _Stretch | None = None
        self._looked_at: tuple[float, float] | None = None
        self._lock = threading.Lock()
        self._unwritten: list[_Stretch] = []
        self._state: Engine | None = None
        self._failing = False
        self._wake = threading.Event()
        self._ended = False
        self._writer = threading.Thread(target=self._write_on, name="heartbeat", daemon=True)

    def open(self, collector: str, taking: Callable[[], bool], failures: Counter) -> None:
        """Begin. `collector`: id of its log; `taking`: whether a request would be taken now;
        `failures` counts what could not be written."""
        self._collector, self._taking, self._failures = collector, taking, failures
        self._writer.start()
        self.look()

    async def keep_looking(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(BEAT_S)
            self.look()

    def look(self) -> None:
        """See whether requests are taken now, and have it written."""
        now, steady = self._clock(), self._steady()
        taking = self._taking()
        with self._lock:
            if not taking or self._was_away(now, steady):
                self._current = None
            self._looked_at = now, steady
            if not taking:
                return
            if self._current is None:
                self._current = _Stretch(now, now)
            self._current.since = min(self._current.since, now)
            self._current.until = now
            if self._current not in self._unwritten:
                self._unwritten.append(self._current)
                del self._unwritten[:-STRETCHES_WAITING_MAX]
        self._wake.set()

    def close(self, wait_s: float) -> None:
        """Write what is not written yet, for `wait_s` at most."""
        self._ended = True
        self._wake.set()
        if self._writer.ident is not None:
            self._writer.join(wait_s)

    def _was_away(self, now: float, steady: float) -> bool:
        if self._looked_at is None:
            return False
        then, steady_then = self._looked_at
        return max(now - then, steady - steady_then) > LATE_S

    # -- the writer's thread ------------------------------------------------------------------

    def _write_on(self) -> None:
        ended = False
        while not ended:
            self._wake.wait()
            self._wake.clear()
            ended = self._ended
            self.write()
        if self._state is not None:
            self._state.dispose()

    def write(self) -> None:
        """Write what was seen since the last time; what fails is counted, told once and kept."""
        with self._lock:
            waiting, self._unwritten = self._unwritten, []
        if not waiting:
            return
        try:
            if self._state is None:
                self._state = open_state(self._storage)
            with self._state.begin() as connection:
                rows = [self._write_one(connection, stretch) for stretch in waiting]
        except Exception as err:  # whatever is wrong with the store: intake must not suffer
            with self._lock:
                later = [s for s in self._unwritten if s not in waiting]
                self._unwritten = [*waiting, *later][-STRETCHES_WAITING_MAX:]
            self._tell_failure(err)
            return
        for stretch, row in zip(waiting, rows, strict=True):
            stretch.row = row
        if self._failing:
            self._failing = False
            log.info("heartbeat_written_again")

    def _write_one(self, connection: Connection, stretch: _Stretch) -> int:
        """The stretch's key in the store."""
        table, times = collector_stretches, {"since": stretch.since, "until": stretch.until}
        if stretch.row is not None:
            own = (table.c.id == stretch.row) & (table.c.collector == self._collector)
            if connection.execute(update(table).where(own).values(times)).rowcount:
                return stretch.row
            # Somebody put another state store in its place: it is told there from its beginning.
        else:
            self._sweep(connection, stretch.since)
        made = connection.execute(insert(table).values(collector=self._collector, **times))
        key: int = made.inserted_primary_key[0]  # type: ignore[index]
        return key

    def _sweep(self, connection: Connection, now: float) -> None:
        """Stretches older than all data."""
        days = kept_days(self._storage)
        if days:
            old = collector_stretches.c.until < now - days * 86_400
            connection.execute(delete(collector_stretches).where(old))

    def _tell_failure(self, err: Exception) -> None:
        if self._failures is not None:
            self._failures.inc()
        if not self._failing:
            self._failing = True
            log.warning(
                "heartbeat_not_written",
                error=(str(err).splitlines() or [type(err).__name__])[0],
                note="intake goes on; should the collector die before the state store is back, "
                "this time counts as one in which no collector took data",
            )


def kept_days(storage: StorageSettings) -> int:
    """Days for which anything is kept; 0 = for ever."""
    days = [
        storage.retention_raw_days,
        storage.retention_minute_days,
        storage.retention_hour_days,
        storage.retention_day_days,
        *(kept for _, kept in storage.retention_tenant_days),
    ]
    return 0 if 0 in days else max(days)
