"""Fetches what a watch file names, on its schedule, and hands it to the intake.

Each target has a task of its own and a first fetch spread over its interval, so that targets are
not asked all at once. A fetch that finds no room in the log is dropped and counted: the next one
comes by itself. Answers are read up to a cap.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import httpx
import orjson
import structlog
from prometheus_client import Counter

from collector.auth import Principal
from collector.errors import CollectorError
from collector.intake import Incoming, Intake
from collector.payload import Content, Format
from collector.receivers.certificates import certificate_expiry_s
from collector.receivers.exposition import SCRAPE, scrape_body
from collector.receivers.limits import WATCH_BODY_BYTES_MAX
from collector.receivers.probe_results import PROBE
from collector.receivers.watch_file import Probe, Scrape, WatchFile
from collector.tickets import LoopTickets

log = structlog.get_logger(__name__)

_ACCEPT = (
    "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a fetch found."""

    status: int
    """0 = nothing answered."""
    body: bytes
    content_type: str
    duration_s: float
    reason: str = ""
    """'' = answered; else timeout, connect, too_large, or another short word."""
    certificate_expiry_s: float | None = None


class Watcher:
    """All scrapes and probes of one collector. Lives on its event loop."""

    def __init__(self, intake: Intake, watched: WatchFile) -> None:
        self._intake = intake
        self._watched = watched
        self._missed = Counter(
            "gatelens_collector_watch_missed",
            "Scrapes and probes whose result the log had no room for.",
            ("format",),
            registry=intake.telemetry.registry,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._clients: dict[bool, httpx.AsyncClient] = {}

    async def start(self) -> None:
        if not self._watched.scrapes and not self._watched.probes:
            return
        self._tickets = LoopTickets(asyncio.get_running_loop())
        self._clients = {
            insecure: httpx.AsyncClient(verify=not insecure, trust_env=False)
            for insecure in (False, True)
        }
        for scrape in self._watched.scrapes:
            for url in scrape.urls():
                self._every(scrape.interval_s, partial(self.scrape, scrape, url))
        for probe in self._watched.probes:
            self._every(probe.interval_s, partial(self.probe, probe))

    def _every(self, interval_s: float, act: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(_repeat(interval_s, act)))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for client in self._clients.values():
            await client.aclose()

    async def scrape(self, scrape: Scrape, url: str) -> None:
        """Fetch one target and hand it in."""
        answer = await self._fetch(scrape, url, {"Accept": _ACCEPT})
        up = 1 if answer.status == 200 and not answer.reason else 0
        head = {
            "job": scrape.job,
            "instance": urlsplit(url).netloc.rpartition("@")[2],
            "labels": scrape.labels,
            "up": up,
            "duration_s": answer.duration_s,
            "openmetrics": "openmetrics" in answer.content_type,
        }
        await self._hand_in(SCRAPE, scrape_body(head, answer.body if up else b""), "text")

    async def probe(self, probe: Probe) -> None:
        """Ask one endpoint and hand the result in."""
        answer = await self._fetch(probe, probe.url, {})
        reason = answer.reason or _disappointment(probe, answer)
        parts = urlsplit(probe.url)
        result = {
            "name": probe.name,
            "url": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}",
            "up": 0 if reason else 1,
            "duration_ms": answer.duration_s * 1000 if answer.status else None,
            "status": answer.status or None,
            "certificate_expiry_s": answer.certificate_expiry_s,
            "reason": reason,
            "labels": probe.labels,
        }
        await self._hand_in(PROBE, orjson.dumps(result), "json")

    async def _fetch(self, what: Scrape | Probe, url: str, headers: dict[str, str]) -> Answer:
        started = time.perf_counter()

        def took() -> float:
            return time.perf_counter() - started

        headers = {"User-Agent": "gatelens", **headers, **what.headers}
        try:
            if what.bearer_token_file is not None:
                token = what.bearer_token_file.read_text("utf-8").strip()
                headers["Authorization"] = f"Bearer {token}"
            async with asyncio.timeout(what.timeout_s):
                return await self._read(what, url, headers, took)
        except TimeoutError:
            return Answer(0, b"", "", took(), "timeout")
        except httpx.ConnectError as err:
            refused = "certificate" if "CERTIFICATE" in str(err) else "connect"
            return Answer(0, b"", "", took(), refused)
        except (httpx.HTTPError, OSError, ValueError) as err:
            return Answer(0, b"", "", took(), type(err).__name__)

    async def _read(
        self, what: Scrape | Probe, url: str, headers: dict[str, str], took: Callable[[], float]
    ) -> Answer:
        client = self._clients[what.insecure_skip_verify]
        request = client.stream("GET", url, headers=headers, timeout=what.timeout_s)
        async with request as response:
            expiry = certificate_expiry_s(response.extensions.get("network_stream"), time.time())
            parts, size = [], 0
            async for part in response.aiter_bytes():
                size += len(part)
                if size > WATCH_BODY_BYTES_MAX:
                    return Answer(response.status_code, b"", "", took(), "too_large", expiry)
                parts.append(part)
            kind = response.headers.get("content-type", "")
            return Answer(response.status_code, b"".join(parts), kind, took(), "", expiry)

    async def _hand_in(self, format: Format, body: bytes, content: Content) -> None:
        try:
            reservation = self._intake.reserve(len(body))
            try:
                ticket = self._tickets.new()
                incoming = Incoming(
                    body=body,
                    encoding="identity",
                    format=format,
                    content=content,
                    principal=Principal(),
                    origin="",
                    transport="watch",
                )
                self._intake.submit(incoming, reservation, ticket)
                await ticket.future
            finally:
                reservation.release()
        except CollectorError as err:
            self._missed.labels(format.name).inc()
            log.warning("watch_result_lost", format=format.name, error=str(err)[:200])


async def _repeat(interval_s: float, act: Callable[[], Awaitable[None]]) -> None:
    """At a steady pace from a random start; a fetch that takes long delays only itself."""
    loop = asyncio.get_running_loop()
    due = loop.time() + random.uniform(0, min(interval_s, 5.0))
    while True:
        await asyncio.sleep(max(0.0, due - loop.time()))
        try:
            await act()
        except Exception as err:
            # A task that ended would stop the watching without a word.
            log.error("watch_failed", error=repr(err)[:500], exc_info=err)
        due = max(due + interval_s, loop.time())


def _disappointment(probe: Probe, answer: Answer) -> str:
    """Why an answer does not count as up; '' = it does."""
    good = (
        answer.status in probe.expect_status if probe.expect_status else 200 <= answer.status <= 299
    )
    if not good:
        return f"status_{answer.status}"
    found = not probe.expect or probe.expect.encode() in answer.body
    return "" if found else "unexpected_body"
