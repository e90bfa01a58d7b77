"""Screens: server time, time until all is drawn, page weight.

    python -m benchmarks.bench_screens [--data DIR] [--rows 2000000 --hours 24] [--range 24h]
        [--rounds 5] [--settle 90] [--screens home,api] [--intake 10000]

Without --data a lake of --rows requests over --hours is made and rolled up first. Every round asks
for a range that nobody asked for before (moved by a minute), so no answer comes from the cache.
`server` is the wait for one update's first byte as the browser measures it; `whole` is from the
first update sent to the last one answered; `seen` from the navigation until every panel has its
data and every chart in view is drawn, `drawn` until those below the fold are too, in headless
Chromium with its own cache warm. Without --settle nobody has asked anything yet; with it, the
server has had that long to make its screens ready by itself (dashboards/serving/warm.py). With
--intake a collector takes so many spans a second meanwhile, and the jobs roll them up: the lake is
written to, so give a copy.
What readers cost the intake: benchmarks/bench_readers.py.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, Request, sync_playwright

from analytics.jobs import JOBS
from analytics.runner import RollupRunner
from benchmarks.bench_analytics import fill
from benchmarks.bench_collector import send_http, serve
from benchmarks.collector_corpus import corpus
from storage.lake import Lake
from storage.settings import StorageSettings
from tests.browser import chromium_path, launch_arguments, wait_for_screen
from tests.e2e.installation import free_port

UPDATE = "/_dash-update-component"
BOARD = "t-api-product-health"
"""A ready-made dashboard."""
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
    "trace": "/traces/{trace}",
    "alerts": "/alerts",
    "rules": "/alerts/rules",
    "delivery": "/alerts/delivery",
    "boards": "/dashboards",
    "board": "/dashboards/{board}",
    "reports": "/reports",
    "sql": "/sql",
    "operate": "/operate",
    "admin": "/admin",
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
    parser.add_argument("--data", type=Path, help="data folder with a lake")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--range", type=int, default=24, help="hours of each screen")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--settle", type=float, default=0.0, help="seconds the server is let alone")
    parser.add_argument("--screens", default=",".join(SCREENS))
    parser.add_argument("--intake", type=int, default=0, help="spans a second; writes to --data")
    options = parser.parse_args()
    out = sys.stdout.write
    with lake_in(options.data, options.rows, options.hours) as folder:
        lake = Lake(StorageSettings(data_dir=folder))
        rows, end = size_of(lake)
        out(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, ")
        out(f"{rows:,} requests, screens of {options.range} h, {options.rounds} rounds, ")
        out(f"{options.intake:,} spans/s meanwhile\n")
        with ExitStack() as running:
            if options.intake:
                running.enter_context(intake(folder, options.intake))
                running.enter_context(jobs(folder))
            base, _ = running.enter_context(dashboards(folder))
            time.sleep(options.settle)
            names = [name for name in options.screens.split(",") if name in SCREENS]
            bench_screens(base, names, end, options)


@contextmanager
def lake_in(given: Path | None, rows: int, hours: float) -> Iterator[Path]:
    """The data folder that was given, or one made here with so many requests, rolled up."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="gatelens-bench-") as made:
        folder = Path(made) / "data"
        lake = Lake(StorageSettings(data_dir=folder))
        fill(lake, rows, hours)
        runner = RollupRunner(lake)
        for job in JOBS.values():
            runner.catch_up(job)
        yield folder


def size_of(lake: Lake) -> tuple[int, datetime]:
    """Requests in the lake, and the newest one's time."""
    table = lake.existing("requests")
    assert table is not None, "the folder has no requests"
    files = table.snapshot().select(None, None, None)
    newest = datetime.fromtimestamp(max(f.time_max for f in files) / 1e6, UTC)
    return sum(f.rows for f in files), newest


@contextmanager
def dashboards(folder: Path) -> Iterator[tuple[str, int]]:
    """The real server, alone, on a free port: its address and its process."""
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
        yield base, process.pid
    finally:
        process.terminate()
        process.wait(20)


BATCH = 1000
CONNECTIONS = 4


@contextmanager
def intake(folder: Path, spans_s: int) -> Iterator[None]:
    """A collector on the lake, and a sender of about so many spans a second until the end."""
    ended = threading.Event()
    refused = 0

    with serve(folder, None) as collector:

        def send() -> None:
            nonlocal refused
            bodies = corpus("spans", BATCH)
            pause_ms = BATCH * CONNECTIONS * 1000 // spans_s
            while not ended.is_set():
                load = send_http(
                    collector, "spans", bodies, 5, CONNECTIONS, False, "1", delay_ms=pause_ms
                )
                refused += load.refused + load.broken

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            taken = collector.metric("gatelens_collector_records_accepted_total")
            sys.stdout.write(f"taken meanwhile: {taken:,.0f} spans, {refused} batches refused\n")


@contextmanager
def jobs(folder: Path) -> Iterator[None]:
    """The jobs role over the same lake."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gatelens", "jobs", "--data", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def bench_screens(base: str, names: list[str], end: datetime, options: argparse.Namespace) -> None:
    """Print a line per screen."""
    write = sys.stdout.write
    write(f"{'screen':10} {'updates':>7} {'server p50':>10} {'p95':>6} {'max':>6} ")
    write(f"{'whole p50':>9} {'p95':>6} {'seen p50':>8} {'max':>6} {'drawn p50':>9} {'max':>6} ")
    write(f"{'kB first':>8} {'again':>6}\n")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=launch_arguments()
        )
        about = {**largest(base), "trace": newest_trace(base), "board": BOARD}
        for number, name in enumerate(names):
            path = SCREENS[name].format(**about)
            cold = weigh(browser, base + path + query_of(end, options.range, 90 + number))
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            page = context.new_page()
            visit(page, base + path + query_of(end, options.range, 80 + number))
            visits = [
                visit(page, base + path + query_of(end, options.range, round_))
                for round_ in range(options.rounds)
            ]
            context.close()
            report(name, visits, cold)
        browser.close()


def query_of(end: datetime, hours: int, moved: int) -> str:
    until = end.replace(second=0, microsecond=0) - timedelta(minutes=moved)
    start = until - timedelta(hours=hours)
    return f"?from={start:%Y-%m-%dT%H:%M:%S}&to={until:%Y-%m-%dT%H:%M:%S}&refresh=off"


def largest(base: str) -> dict[str, str]:
    """The API and the consumer with the most requests, asked over SQL."""
    found = {}
    for column in ("api", "consumer"):
        sql = (
            f"SELECT {column} AS name FROM usage_day WHERE {column} IS NOT NULL "
            "GROUP BY 1 ORDER BY sum(requests) DESC LIMIT 1"
        )
        found[column] = first_cell(base, sql) or f"{column}-0"
    return found


def newest_trace(base: str) -> str:
    return first_cell(base, "SELECT trace_id FROM traces ORDER BY time DESC LIMIT 1") or "none"


def first_cell(base: str, sql: str) -> str | None:
    """The first cell of a statement's answer as text; None = there is no row."""
    answer = httpx.post(f"{base}/api/v1/sql", json={"sql": sql}, trust_env=False, timeout=120)
    rows = answer.json().get("rows") or []
    first = rows[0] if rows else None
    return None if first is None else str(first[0] if isinstance(first, list) else first["name"])


def visit(page: Page, url: str) -> Visit:
    """Open a screen and wait until all of it is there."""
    seen = Visit()

    def answered(request: Request) -> None:
        if UPDATE not in request.url:
            return
        timing = request.timing
        if timing["responseStart"] >= 0:
            seen.server_ms.append(timing["responseStart"] - max(0.0, timing["requestStart"]))
            seen.sent_at.append(timing["startTime"])
            seen.done_at.append(timing["startTime"] + timing["responseStart"])

    page.on("requestfinished", answered)
    began = time.perf_counter()
    page.goto(url)
    wait_for_screen(page, SETTLED_S, everywhere=False)
    seen.seen_ms = (time.perf_counter() - began) * 1e3
    wait_for_screen(page, SETTLED_S)
    seen.drawn_ms = (time.perf_counter() - began) * 1e3
    page.remove_listener("requestfinished", answered)
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
    server = [ms for v in visits for ms in v.server_ms] or [0.0]  # all of it came with the page
    whole, drawn = [v.whole_ms for v in visits], [v.drawn_ms for v in visits]
    shown = [v.seen_ms for v in visits]
    updates = sum(len(v.sent_at) for v in visits) / len(visits)
    sys.stdout.write(
        f"{name:10} {updates:7.1f} {statistics.median(server):10.0f} "
        f"{rank(server, 0.95):6.0f} {max(server):6.0f} {statistics.median(whole):9.0f} "
        f"{rank(whole, 0.95):6.0f} {statistics.median(shown):8.0f} {max(shown):6.0f} "
        f"{statistics.median(drawn):9.0f} {max(drawn):6.0f} "
        f"{weight[0] / 1e3:8.0f} {weight[1] / 1e3:6.0f}\n"
    )
    sys.stdout.flush()


def rank(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    main()
