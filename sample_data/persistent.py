"""Exporters that hold on to a batch while the collector is down, and say so once, not per batch."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

import structlog
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

log = structlog.get_logger(__name__)

PAUSE_S = 0.5
"""Between two tries of one batch."""
GIVE_UP_S = 300.0
"""A batch that was refused for that long is dropped; one line says so."""


def quiet_sdk_logs() -> None:
    """Silence the SDK's own loggers: an outage would fill the terminal with one line per batch.

    What matters is logged here instead, once when an outage begins and once when it ends.
    """
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)


class Persistence:
    """Tries one batch at a time until it is taken. Shared by the exporters of one destination."""

    def __init__(self, destination: str) -> None:
        self.destination = destination
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._down_since: float | None = None

    def export(self, send: Callable[[], bool]) -> bool:
        """Call `send` until it gives True. False when stopping or given up."""
        began = time.monotonic()
        while True:
            if send():
                self._reached()
                return True
            self._missed()
            if time.monotonic() - began > GIVE_UP_S:
                log.warning("live_batch_dropped", destination=self.destination, after_s=GIVE_UP_S)
                return False
            if self.stopping.wait(PAUSE_S):
                return False

    def _missed(self) -> None:
        with self._lock:
            if self._down_since is None:
                self._down_since = time.monotonic()
                log.info("live_collector_unreachable", destination=self.destination)

    def _reached(self) -> None:
        with self._lock:
            if self._down_since is not None:
                down_s = round(time.monotonic() - self._down_since, 1)
                self._down_since = None
                log.info("live_collector_reached", destination=self.destination, down_s=down_s)


class PersistentSpanExporter(SpanExporter):
    """A span exporter that tries again."""

    def __init__(self, inner: SpanExporter, persistence: Persistence) -> None:
        self._inner, self._persistence = inner, persistence

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        sent = self._persistence.export(
            lambda: self._inner.export(spans) is SpanExportResult.SUCCESS
        )
        return SpanExportResult.SUCCESS if sent else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self._inner.shutdown()


class PersistentLogExporter(LogRecordExporter):
    """A log exporter that tries again."""

    def __init__(self, inner: LogRecordExporter, persistence: Persistence) -> None:
        self._inner, self._persistence = inner, persistence

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        sent = self._persistence.export(
            lambda: self._inner.export(batch) is LogRecordExportResult.SUCCESS
        )
        return LogRecordExportResult.SUCCESS if sent else LogRecordExportResult.FAILURE

    def shutdown(self) -> None:
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True  # nothing is buffered here
