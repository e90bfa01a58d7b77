"""Screens: server time, time until all is drawn, page weight, and what readers cost the intake.

    python -m benchmarks.bench_screens [--data DIR] [--rows 2000000 --hours 24] [--range 24h]
        [--rounds 5] [--readers 20] [--ingest-seconds 20] [--settle 90]

Without --data a lake of --rows requests over --hours is made and rolled up first. Every round asks
for a range that nobody asked for before (moved by a minute), so no answer comes from the cache.
`server` is the wait for one update's first byte as the browser measures it; `whole` is from the
first update sent to the last one answered; `seen` from the navigation until every panel has its
data and every chart in view is drawn, `drawn` until those below the fold are too, in headless
Chromium with its own cache warm. Without --settle nobody has asked anything yet; with it, the
server has had that long to make its screens ready by itself (dashboards/warm.py). With
--ingest-seconds, spans are posted to a collector over the same lake, first alone and then while
--readers people refresh Home every 10 s.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, Response, sync_playwright

from analytics.jobs import JOBS
from analytics.runner import RollupRunner
from benchmarks.bench_analytics import fill
from benchmarks.bench_collector import serve
from benchmarks.collector_corpus import MARK, body_of
from storage.lake import Lake
from storage.settings import StorageSettings
from tests.browser import chromium_path, launch_arguments, wait_for_screen
from tests.e2e.installation import free_port

UPDATE = "/_dash-update-component"
REFRESH_S = 10.0
SETTLED_S = 120.0
"""Longest wait for one screen."""

SCREENS = {
    "home": "/",
    "apis": "/apis",
    "api": "/apis/{api}",
    "consumers": "/consumers",
    "consumer": "/consumers/{consumer}",
    "products": "/products",
    "requests": "/requests",
    "traces": "/traces",
    "services": "/services",
    "logs": "/logs",
    "explorer": "/explorer",
    "alerts": "/alerts",
    "operate": "/operate",
}


@dataclass(slots=True)
class Visit:
    """One screen opened once."""

    server_ms: list[float] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)
    done_at: list[float] = field(default_factory=list)
    seen_ms: float = 0.0
    drawn_ms: float = 0.0
    bytes: int = 0

    @property
    def whole_ms(self) -> float:
        return max(self.done_at) - min(self.sent_at) if self.done_at else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, help="data folder with a lake; left as it is")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--range", type=int, default=24, help="hours of each screen")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--ingest-seconds", type=float, default=0.0)
    parser.add_argument("--settle", type=float, default=0.0, help="seconds the server is let alone")
    parser.add_argument("--screens", default=",".join(SCREENS))
    options = parser.parse_args()
    out = sys.stdout.write
    with tempfile.TemporaryDirectory() as made:
        folder = options.data or Path(made)
        if options.data is None:
            lake = Lake(StorageSettings(data_dir=folder))
            fill(lake, options.rows, options.hours)
            runner = RollupRunner(lake)
            for job in JOBS.values():
                runner.catch_up(job)
        lake = Lake(StorageSettings(data_dir=folder))
        rows, end = size_of(lake)
        out(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, ")
        out(f"{rows:,} requests, screens of {options.range} h, {options.rounds} rounds\n")
        with dashboards(folder) as base:
            time.sleep(options.settle)
            names = [name for name in options.screens.split(",") if name in SCREENS]
            bodies = bench_screens(base, names, end, options)
            if options.ingest_seconds:
                bench_ingest(base, folder, bodies, options)


def size_of(lake: Lake) -> tuple[int, datetime]:
    """Requests in the lake, and the newest one's time."""
    table = lake.existing("requests")
    assert table is not None, "the folder has no requests"
    files = table.snapshot().select(None, None, None)
    newest = datetime.fromtimestamp(max(f.time_max for f in files) / 1e6, UTC)
    return sum(f.rows for f in files), newest


@contextmanager
def dashboards(folder: Path) -> Iterator[str]:
    """The real server, alone, on a free port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "gatelens", "dash", "--data", str(folder)],
        env={**os.environ, "GATELENS_DASHBOARD_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    base = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                if httpx.get(f"{base}/readyz", trust_env=False, timeout=2).status_code == 200:
                    break
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise SystemExit("the dashboards did not come up") from None
            time.sleep(0.3)
        yield base
    finally:
        process.terminate()
        process.wait(20)


def bench_screens(
    base: str, names: list[str], end: datetime, options: argparse.Namespace
) -> list[str]:
    """Print a line per screen. Returns the update bodies of the first, for the readers."""
    write = sys.stdout.write
    write(f"{'screen':10} {'updates':>7} {'server p50':>10} {'p95':>6} {'max':>6} ")
    write(f"{'whole p50':>9} {'p95':>6} {'seen p50':>8} {'max':>6} {'drawn p50':>9} {'max':>6} ")
    write(f"{'kB first':>8} {'again':>6}\n")
    bodies: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=launch_arguments()
        )
        api, consumer = largest(base)
        for number, name in enumerate(names):
            path = SCREENS[name].format(api=api, consumer=consumer)
            cold = weigh(browser, base + path + query_of(end, options.range, 90 + number))
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            page = context.new_page()
            visit(page, base + path + query_of(end, options.range, 80 + number), [])
            visits = [
                visit(page, base + path + query_of(end, options.range, round_), bodies)
                for round_ in range(options.rounds)
            ]
            if number:
                del bodies[len(bodies) - sum(len(v.sent_at) for v in visits) :]
            context.close()
            report(name, visits, cold)
        browser.close()
    return bodies[: len(bodies) // max(1, options.rounds)]


def query_of(end: datetime, hours: int, moved: int) -> str:
    until = end.replace(second=0, microsecond=0) - timedelta(minutes=moved)
    start = until - timedelta(hours=hours)
    return f"?from={start:%Y-%m-%dT%H:%M:%S}&to={until:%Y-%m-%dT%H:%M:%S}&refresh=off"


def largest(base: str) -> tuple[str, str]:
    """The API and the consumer with the most requests, asked over SQL."""
    found = []
    for column in ("api", "consumer"):
        sql = (
            f"SELECT {column} AS name FROM usage_day WHERE {column} IS NOT NULL "
            "GROUP BY 1 ORDER BY sum(requests) DESC LIMIT 1"
        )
        answer = httpx.post(f"{base}/api/v1/sql", json={"sql": sql}, trust_env=False, timeout=120)
        rows = answer.json().get("rows") or []
        found.append(str(rows[0][0] if rows and isinstance(rows[0], list) else f"{column}-0"))
    return found[0], found[1]


def visit(page: Page, url: str, bodies: list[str]) -> Visit:
    """Open a screen and wait until all of it is there."""
    seen = Visit()

    def answered(response: Response) -> None:
        if UPDATE not in response.url:
            return
        timing = response.request.timing
        if timing["responseStart"] >= 0:
            seen.server_ms.append(timing["responseStart"] - max(0.0, timing["requestStart"]))
            seen.sent_at.append(timing["startTime"])
            seen.done_at.append(timing["startTime"] + timing["responseStart"])
            bodies.append(response.request.post_data or "")

    page.on("response", answered)
    began = time.perf_counter()
    page.goto(url)
    wait_for_screen(page, SETTLED_S, everywhere=False)
    seen.seen_ms = (time.perf_counter() - began) * 1e3
    wait_for_screen(page, SETTLED_S)
    seen.drawn_ms = (time.perf_counter() - began) * 1e3
    page.remove_listener("response", answered)
    return seen


def weigh(browser: Browser, url: str) -> tuple[int, int]:
    """Bytes over the wire, on the first visit and on the next one, updates included."""
    context = browser.new_context()
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    total = 0

    def loaded(event: dict[str, float]) -> None:
        nonlocal total
        total += int(event["encodedDataLength"])

    session.on("Network.loadingFinished", loaded)
    sizes = []
    for _ in range(2):
        total = 0
        page.goto(url)
        wait_for_screen(page, SETTLED_S)
        sizes.append(total)
    context.close()
    return sizes[0], sizes[1]


def report(name: str, visits: list[Visit], weight: tuple[int, int]) -> None:
    server = [ms for v in visits for ms in v.server_ms]
    whole, drawn = [v.whole_ms for v in visits], [v.drawn_ms for v in visits]
    shown = [v.seen_ms for v in visits]
    sys.stdout.write(
        f"{name:10} {len(server) / len(visits):7.1f} {statistics.median(server):10.0f} "
        f"{rank(server, 0.95):6.0f} {max(server):6.0f} {statistics.median(whole):9.0f} "
        f"{rank(whole, 0.95):6.0f} {statistics.median(shown):8.0f} {max(shown):6.0f} "
        f"{statistics.median(drawn):9.0f} {max(drawn):6.0f} "
        f"{weight[0] / 1e3:8.0f} {weight[1] / 1e3:6.0f}\n"
    )
    sys.stdout.flush()


def rank(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def bench_ingest(base: str, folder: Path, bodies: list[str], options: argparse.Namespace) -> None:
    """Spans a second the collector takes, alone and with readers; the lake is the same."""
    with serve(folder, None) as collector:
        url = f"http://127.0.0.1:{collector.http}/v1/traces"
        post_spans(url, 3.0)
        alone = post_spans(url, options.ingest_seconds)
        together = asyncio.run(with_readers(base, bodies, options, url))
    change = together[0] / alone - 1
    sys.stdout.write(
        f"intake alone {alone:,.0f} spans/s, with {options.readers} readers every "
        f"{REFRESH_S:.0f} s {together[0]:,.0f} spans/s ({change:+.1%}); their updates: "
        f"{len(together[1])}, p95 {rank(together[1], 0.95):.0f} ms, {together[2]} failed\n"
    )


def post_spans(url: str, seconds: float) -> float:
    """Spans acknowledged per second over one connection; every body differs from the others."""
    body = body_of("spans", 1000)
    at = body.index(MARK.encode())
    sent = 0
    began = time.perf_counter()
    with httpx.Client(trust_env=False, timeout=30) as client:
        while time.perf_counter() - began < seconds:
            marked = body[:at] + os.urandom(8).hex().encode() + body[at + 16 :]
            answer = client.post(
                url, content=marked, headers={"content-type": "application/x-protobuf"}
            )
            sent += 1000 if answer.status_code == 200 else 0
    return sent / (time.perf_counter() - began)


async def with_readers(
    base: str, bodies: list[str], options: argparse.Namespace, url: str
) -> tuple[float, list[float], int]:
    waits: list[float] = []
    failed = 0

    async def reader(client: httpx.AsyncClient, number: int) -> None:
        nonlocal failed
        await asyncio.sleep(REFRESH_S * number / options.readers)
        while True:
            for body in bodies:
                began = time.perf_counter()
                answer = await client.post(
                    base + UPDATE, content=body, headers={"content-type": "application/json"}
                )
                waits.append((time.perf_counter() - began) * 1e3)
                failed += answer.status_code not in (200, 204)
            await asyncio.sleep(REFRESH_S)

    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        tasks = [asyncio.create_task(reader(client, n)) for n in range(options.readers)]
        rate = await asyncio.to_thread(post_spans, url, options.ingest_seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return rate, waits or [0.0], failed


if __name__ == "__main__":
    main()
