"""Posts log lines to the collector in small batches, once a second, and again when that fails."""

from __future__ import annotations

import threading
from collections import deque

import httpx
import structlog

log = structlog.get_logger(__name__)

PERIOD_S = 1.0
LINES_PER_POST_MAX = 1_000
LINES_KEPT_MAX = 20_000
"""Kept while the collector is down; the oldest go first."""


class LinePoster:
    """A thread that posts lines. A batch whose answer got lost is posted again: at least once."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lines: deque[str] = deque(maxlen=LINES_KEPT_MAX)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sample-nginx", daemon=True)
        self._down = False

    def add(self, line: str) -> None:
        self._lines.append(line)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Post what is there, once, and stop."""
        self._stopping.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        with httpx.Client(timeout=2.0) as client:
            while not self._stopping.wait(PERIOD_S):
                self._post_all(client)
            self._post_all(client)

    def _post_all(self, client: httpx.Client) -> None:
        while self._lines:
            batch = [
                self._lines.popleft() for _ in range(min(len(self._lines), LINES_PER_POST_MAX))
            ]
            if not self._post(client, batch):
                self._lines.extendleft(reversed(batch))
                return

    def _post(self, client: httpx.Client, batch: list[str]) -> bool:
        body = "\n".join(batch) + "\n"
        try:
            response = client.post(
                self._url, content=body.encode(), headers={"content-type": "text/plain"}
            )
            reason = None if response.is_success else f"status {response.status_code}"
        except httpx.HTTPError as error:
            reason = type(error).__name__
        if reason is not None and not self._down:
            log.info("live_collector_unreachable", destination=self._url, reason=reason)
        if reason is None and self._down:
            log.info("live_collector_reached", destination=self._url)
        self._down = reason is not None
        return reason is None
