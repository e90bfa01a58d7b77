"""A small world for tests of alerting: written-down series, a state store, a clock, real sinks."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from alerting.channel import ChannelConfig
from alerting.channels import Delivery, deliver_to
from alerting.engine import AlertEngine
from alerting.net_guard import parse_networks
from alerting.outbox import Outbox
from alerting.pipeline import SIGNALS
from alerting.point import Labels, Point
from alerting.rules import parse_rules
from alerting.settings import AlertingSettings
from alerting.source import SqlQuestion
from analytics.query import Filters
from analytics.quota import QuotaUsage
from storage.settings import StorageSettings
from storage.state import open_state

START = 1_790_000_000.0
LOOPBACK = parse_networks(["127.0.0.0/8"])


@dataclass
class FakeSource:
    """Answers what the test set: value and requests per (measure, series), now or as a function."""

    until: float | None = START
    values: dict[tuple[str, Labels], tuple[float | None, int]] = field(default_factory=dict)
    answer: Callable[[str, float, float, Filters, tuple[str, ...]], Sequence[Point]] | None = None
    broken: set[str] = field(default_factory=set)
    usages: list[QuotaUsage] = field(default_factory=list)
    asked: int = 0

    def set(self, measure: str, value: float | None, requests: int = 1_000, **labels: str) -> None:
        self.values[measure, tuple(labels.items())] = (value, requests)

    def drop(self, measure: str, **labels: str) -> None:
        del self.values[measure, tuple(labels.items())]

    def data_until(self, now: float) -> float | None:
        return None if self.until is None else min(now, self.until)

    def measure(
        self, name: str, start: float, end: float, filters: Filters, by: tuple[str, ...]
    ) -> Sequence[Point]:
        self.asked += 1
        if name in self.broken:
            raise RuntimeError(f"{name} is broken")
        if self.answer is not None:
            return self.answer(name, start, end, filters, by)
        return [
            Point(labels, value, requests)
            for (measure, labels), (value, requests) in self.values.items()
            if measure == name and tuple(k for k, _ in labels) == by
        ]

    def slow_share(
        self, threshold_ms: float, start: float, end: float, filters: Filters, by: tuple[str, ...]
    ) -> Sequence[Point]:
        return self.measure(f"slower_than_{threshold_ms:g}", start, end, filters, by)

    def ask_sql(self, question: SqlQuestion) -> Sequence[Point]:
        return self.measure("sql", question.start, question.end, Filters(), question.by)

    def pipeline(self, signal: str, start: float, end: float) -> Sequence[Point]:
        return self.measure(signal, start, end, Filters(), SIGNALS[signal][0])

    def quotas(self, period: str, at: float, filters: Filters) -> Sequence[QuotaUsage]:
        return [usage for usage in self.usages if usage.kind == period]


@dataclass
class World:
    """Engine, state and time of one test. `step` lets time and data go on together."""

    state: sa.Engine
    source: FakeSource
    engine: AlertEngine
    now: float = START

    def step(self, seconds: float = 5.0, *, data: bool = True):
        self.now += seconds
        if data:
            self.source.until = self.now
        return self.engine.evaluate_once(self.now)

    def restart(self, rules: str | None = None, delivery: Delivery | None = None) -> None:
        """A new process on the same state."""
        old = self.engine
        self.engine = AlertEngine(
            self.source,
            self.state,
            old.rules if rules is None else parse_rules(rules),
            delivery or old.delivery,
            AlertingSettings(),
            clock=lambda: self.now,
        )


@cache
def _template() -> bytes:
    """An empty state store as `open_state` makes it: making its tables is most of a short test."""
    with TemporaryDirectory() as folder:
        state = open_state(StorageSettings(data_dir=Path(folder)))
        with state.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        state.dispose()
        return (Path(folder) / "state.sqlite").read_bytes()


def quick_state(storage: StorageSettings) -> sa.Engine:
    """The state store without waiting for the disk: as safe when a process dies, and no test pulls
    a plug."""
    file = storage.data_dir / "state.sqlite"
    storage.data_dir.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.write_bytes(_template())
    state = sa.create_engine(storage.resolved_state_url)

    @sa.event.listens_for(state, "connect")
    def do_not_wait(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout=5000")
        connection.execute("PRAGMA synchronous=OFF")

    return state


def make_world(
    folder: Path, rules: str, delivery: Delivery | None = None, **engine_options
) -> World:
    state = quick_state(StorageSettings(data_dir=folder))
    source = FakeSource()
    delivery = delivery or deliver_to(ChannelConfig("sink", "webhook", url="https://x.example"))
    world = World(state, source, None)  # type: ignore[arg-type]
    world.engine = AlertEngine(
        source,
        state,
        parse_rules(rules),
        delivery,
        AlertingSettings(),
        clock=lambda: world.now,
        **engine_options,
    )
    return world


def outbox_rows(state: sa.Engine) -> list[dict]:
    with state.connect() as connection:
        rows = connection.execute(sa.text("SELECT * FROM outbox ORDER BY id")).mappings()
        return [{**row, "payload": json.loads(row["payload"])} for row in rows]


def drain(outbox: Outbox, channels: Sequence[str], now: float) -> None:
    for name in channels:
        outbox.deliver_channel(name, now)


class Sink:
    """A real HTTP receiver. `answers` is used up first (status, or None = hang), then 200."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int | None] = []
        self.headers: dict[str, str] = {}
        self.release = threading.Event()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = sink.answers.pop(0) if sink.answers else 200
                if answer is None:
                    sink.release.wait(20)
                    return
                if 200 <= answer < 300:
                    sink.received.append((dict(self.headers.items()), body))
                self.send_response(answer)
                for name, value in sink.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"no" if answer >= 300 else b"ok")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def channel(self, name: str = "sink", **options) -> ChannelConfig:
        return ChannelConfig(name, "webhook", url=self.url, allow_networks=LOOPBACK, **options)

    @property
    def notices(self) -> list[dict]:
        return [json.loads(body) for _, body in self.received]


@contextmanager
def running_sink() -> Iterator[Sink]:
    sink = Sink()
    try:
        yield sink
    finally:
        sink.release.set()
        sink.server.shutdown()
        sink.server.server_close()
        sink.thread.join()
