"""What receives without being asked over HTTP or gRPC: listeners, Kafka, scrapes and probes.

One object for the collector to start and stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from collector.errors import CollectorStartError
from collector.formats import FORMATS
from collector.intake import Intake
from collector.receivers.kafka_source import KafkaSource, client_library
from collector.receivers.kafka_spec import KafkaSpec, parse_kafka
from collector.receivers.listeners import Listeners, bind_listeners
from collector.receivers.watch_file import read_watch_file
from collector.receivers.watcher import Watcher
from collector.settings import CollectorSettings

_STOP_S = 1.0
"""Time for what was read to reach the log when stopping."""


class Background:
    """Listeners, Kafka topics, scrapes and probes of one collector."""

    def __init__(
        self,
        settings: CollectorSettings,
        intake: Intake,
        digests: Iterable[tuple[bytes, int]] = (),
    ) -> None:
        """Reads the watch file and binds the listeners' ports. Raises CollectorStartError.

        `digests`: those found in the log at start; Kafka sources read their progress from them.
        """
        specs = _kafka_specs(settings.kafka)
        config = _kafka_config(settings.kafka_config) if specs else {}
        self._kafka = [KafkaSource(intake, spec, config, digests) for spec in specs]
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
        for source in self._kafka:
            source.start()

    async def stop(self) -> None:
        """Before the intake stops: what came is carried into the log."""
        await asyncio.gather(*(asyncio.to_thread(s.stop, 2 * _STOP_S) for s in self._kafka))
        await self._watcher.stop()
        await self._listeners.stop(_STOP_S)

    def close(self) -> None:
        """Give the ports back without having served."""
        for _, sock in self._bound:
            sock.close()


def _kafka_specs(said: tuple[str, ...]) -> list[KafkaSpec]:
    if said:
        client_library()
    try:
        return [parse_kafka(text, FORMATS) for text in said]
    except ValueError as err:
        raise CollectorStartError(f"{err} Change kafka in [collector].") from err


def _kafka_config(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    found: dict[str, str] = {}
    try:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            name, equals, value = line.partition("=")
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if not equals:
                raise CollectorStartError(f"{path}, line {number}: write name=value.")
            found[name.strip()] = value.strip()
    except OSError as err:
        raise CollectorStartError(f"kafka_config cannot be read: {err}.") from err
    return found
