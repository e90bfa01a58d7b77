"""The collector as a process."""

from __future__ import annotations

import asyncio
import gc
import signal
from pathlib import Path

import uvloop

from collector.heartbeat import Heartbeat
from collector.memory import keep_large_buffers
from collector.open_files import within_open_files
from collector.service import Collector
from collector.settings import CollectorSettings
from storage.settings import StorageSettings


def run(settings: CollectorSettings, storage: StorageSettings, catalog_path: Path | None) -> None:
    """Collect until SIGTERM or SIGINT, then flush to the lake and return, within 5 s.

    A second signal does not hurry it: what is acknowledged is safe either way. Raises
    CollectorStartError, in one sentence, when a port is taken or a folder cannot be written.
    """
    keep_large_buffers()
    settings = within_open_files(settings)
    collector = Collector(settings, storage, catalog_path, Heartbeat(storage))
    collector.start()
    # What exists now stays; the collector's own objects are short-lived and free of cycles, so
    # fewer collections over fewer objects save a few percent of a core under load.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await collector.serve(stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
