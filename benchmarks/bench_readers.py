"""What people looking at the screens cost the intake, in slices: alone, with readers, in turn.

    python -m benchmarks.bench_readers [--data DIR] [--slices 12] [--seconds 10] [--readers 20]
        [--jobs] [--settle 30]

Single runs of a minute differ by more than readers cost: a shared machine is faster in one minute
than in the next. So the collector, the dashboards (and with --jobs the jobs) run throughout, and
slices alternate: alone, readers, readers, alone, alone, ... What is printed is the median over
pairs of neighbours, with the quartiles. The collector is pinned to one processor, wrk to the other;
the dashboards run where they find room, at the niceness `gatelens up` gives them. Readers ask for
Home of the last 24 hours, now included, as a browser does: every one its updates every 10 s, on
kept connections. Spans are written into the lake under DIR, so give a copy; without, one of two
million requests is made.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx
from playwright.sync_api import sync_playwright

from benchmarks.bench_collector import Server, send_http, serve
from benchmarks.bench_screens import BATCH, UPDATE, dashboards, jobs, lake_in, rank
from benchmarks.collector_corpus import corpus
from tests.browser import chromium_path, launch_arguments, wait_for_screen

REFRESH_S = 10.0
HOME = "/?from=now-24h&to=now&refresh=off"


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of full load."""

    spans_s: float
    cpu_s_per_million: float
    screens_cpu_s: float
    """Of the dashboards, meanwhile."""


class Readers:
    """People who refresh one screen, on a thread and an event loop of their own."""

    def __init__(self, base: str, bodies: list[str], count: int) -> None:
        self._base, self._bodies, self._count = base, bodies, count
        self._looking = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()))
        self.waits_ms: list[float] = []
        self.failed = 0

    @contextmanager
    def looking(self) -> Iterator[None]:
        self._looking.set()
        yield
        self._looking.clear()

    def __enter__(self) -> Readers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    async def _all(self) -> None:
        limits = httpx.Limits(max_connections=self._count * 6)
        async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as client:
            await asyncio.gather(*(self._one(client, n) for n in range(self._count)))

    async def _one(self, client: httpx.AsyncClient, number: int) -> None:
        while not self._ended.is_set():
            if not self._looking.is_set():
                await asyncio.sleep(0.05)
                continue
            await asyncio.sleep(REFRESH_S * number / self._count)
            while self._looking.is_set():
                await asyncio.gather(*(self._update(client, body) for body in self._bodies))
                await asyncio.sleep(REFRESH_S)

    async def _update(self, client: httpx.AsyncClient, body: str) -> None:
        began = time.perf_counter()
        answer = await client.post(
            self._base + UPDATE, content=body, headers={"content-type": "application/json"}
        )
        self.waits_ms.append((time.perf_counter() - began) * 1e3)
        self.failed += answer.status_code not in (200, 204)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, help="written to: give a copy")
    parser.add_argument("--slices", type=int, default=12, help="of each kind")
    parser.add_argument("--seconds", type=int, default=10, help="length of a slice")
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--settle", type=float, default=30.0, help="seconds before the first")
    parser.add_argument("--jobs", action="store_true", help="roll up what comes, as in use")
    options = parser.parse_args()
    with lake_in(options.data, 2_000_000, 24.0) as folder:
        alone, beside, readers = run(folder, options)
    write = sys.stdout.write
    report("spans/s", [s.spans_s for s in alone], [s.spans_s for s in beside])
    report(
        "collector CPU-s per million",
        [s.cpu_s_per_million for s in alone],
        [s.cpu_s_per_million for s in beside],
    )
    busy = [[s.screens_cpu_s / options.seconds for s in kind] for kind in (alone, beside)]
    write(f"dashboards: {statistics.median(busy[0]):.2f} and {statistics.median(busy[1]):.2f} ")
    write(f"of a core; {len(readers.waits_ms)} updates, p50 {rank(readers.waits_ms, 0.5):.0f} ms, ")
    write(f"p95 {rank(readers.waits_ms, 0.95):.0f} ms, {readers.failed} failed\n")


def run(folder: Path, options: argparse.Namespace) -> tuple[list[Slice], list[Slice], Readers]:
    """Slices alone and beside readers, neighbours at the same index."""
    alone: list[Slice] = []
    beside: list[Slice] = []
    with (
        serve(folder, "0") as collector,
        dashboards(folder) as (base, screens),
        jobs(folder) if options.jobs else nullcontext(),
    ):
        bodies = updates_of(base + HOME)
        send_spans(collector, 2)
        time.sleep(options.settle)
        sys.stdout.write(
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {len(bodies)} updates a "
            f"refresh, {options.slices} slices of {options.seconds} s each\n"
        )
        sys.stdout.flush()
        with Readers(base, bodies, options.readers) as readers:
            for number in range(options.slices):
                for kind in ("ab", "ba")[number % 2]:
                    if kind == "a":
                        alone.append(measure(collector, screens, options.seconds))
                    else:
                        with readers.looking():
                            beside.append(measure(collector, screens, options.seconds))
    return alone, beside, readers


def measure(collector: Server, screens: int, seconds: int) -> Slice:
    cpu, seen = collector.cpu_s(), cpu_s(screens)
    sent, took = send_spans(collector, seconds)
    screens_cpu_s = cpu_s(screens) - seen
    collector.settle()
    return Slice(sent / took, (collector.cpu_s() - cpu) / sent * 1e6, screens_cpu_s)


def send_spans(collector: Server, seconds: int) -> tuple[int, float]:
    """Spans acknowledged, and the seconds it took."""
    load = send_http(collector, "spans", corpus("spans", BATCH), seconds, 8, zip_=False, cpu="1")
    assert load.broken == 0, load
    return (load.requests - load.refused) * BATCH, load.seconds


def report(what: str, alone: list[float], beside: list[float]) -> None:
    changes = sorted(b / a - 1 for a, b in zip(alone, beside, strict=True))
    low, middle, high = statistics.quantiles(changes, n=4)
    sys.stdout.write(
        f"{what}: alone {statistics.median(alone):,.2f}, with readers "
        f"{statistics.median(beside):,.2f}; of each pair {middle:+.1%} "
        f"(quartiles {low:+.1%} to {high:+.1%}, all {changes[0]:+.1%} to {changes[-1]:+.1%})\n"
    )


def updates_of(url: str) -> list[str]:
    """Bodies of the updates a browser sends for one screen."""
    bodies: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=launch_arguments()
        )
        page = browser.new_page()
        page.on("request", lambda r: bodies.append(r.post_data or "") if UPDATE in r.url else None)
        page.goto(url)
        wait_for_screen(page, 120)
        browser.close()
    assert all(json.loads(body)["output"] for body in bodies)
    return bodies


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
