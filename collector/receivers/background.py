"""What receives without being asked over HTTP or gRPC: listeners, scrapes and probes.

One object for the collector to start and stop.
"""

from __future__ import annotations

from collector.intake import Intake
from collector.receivers.listeners import Listeners, bind_listeners
from collector.receivers.watch_file import read_watch_file
from collector.receivers.watcher import Watcher
from collector.settings import CollectorSettings

_STOP_S = 1.0
"""Time for what was read to reach the log when stopping."""


class Background:
    """Listeners, scrapes and probes of one collector."""

    def __init__(self, settings: CollectorSettings, intake: Intake) -> None:
        """Reads the watch file and binds the listeners' ports. Raises CollectorStartError."""
        watched = read_watch_file(settings.watch_file)
        self._bound = bind_listeners(settings.listeners)
        self._listeners = Listeners(intake, self._bound)
        self._watcher = Watcher(intake, watched)

    @property
    def ports(self) -> list[int]:
        """Ports of the listeners, in the order of the settings."""
        return self._listeners.ports

    async def start(self) -> None:
        await self._listeners.start()
        await self._watcher.start()

    async def stop(self) -> None:
        """Before the intake stops: what came is carried into the log."""
        await self._watcher.stop()
        await self._listeners.stop(_STOP_S)

    def close(self) -> None:
        """Give the ports back without having served."""
        for _, sock in self._bound:
            sock.close()
