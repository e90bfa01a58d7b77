"""The collector killed anywhere: what was acknowledged is there after the restart, once."""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time
from pathlib import Path

import pytest

from collector.wal_inspect import inspect_wal
from tests.collector.core.accounting import read_books
from tests.collector.core.doors import eventually
from tests.collector.core.process import CollectorProcess, counts, post, traces

POINTS = [
    "wal.create",
    "wal.write",
    "wal.written",
    "wal.sync",
    "wal.synced",
    "batch.decode",
    "batch.append",
    "batch.appended",
    "wal.trim",
]
"""Each is passed several times in a run: by both tables of a batch, by several batches."""


class Sender(threading.Thread):
    """Sends requests one after the other, its share or until it is told to stop; an unanswered one
    is sent again, the same bytes, as exporters do."""

    def __init__(self, port: int, first: int, requests: int | None, spans: int) -> None:
        """`requests`: its share; None = until `stop` is set."""
        super().__init__(daemon=True)
        self._port, self._first = port, first
        self._requests, self._spans = requests, spans
        self.stop = threading.Event()
        self.acknowledged = 0
        self.resent = 0
        self.statuses: set[int] = set()

    def run(self) -> None:
        numbers = itertools.count() if self._requests is None else range(self._requests)
        for number in numbers:
            if self.stop.is_set():
                break
            body = traces(self._first + number * self._spans, self._spans)
            while not self._send(body):
                self.resent += 1
                time.sleep(0.01)
            self.acknowledged += 1

    def _send(self, body: bytes) -> bool:
        try:
            status, _, _ = post(self._port, body)
        except OSError:
            return False
        self.statuses.add(status)
        return status == 200


_MORE = [pytest.param(p, hit, marks=pytest.mark.slow) for p in POINTS for hit in (2, 3)]


@pytest.mark.parametrize(("point", "hit"), [*((p, 1) for p in POINTS), *_MORE])
def test_killed_at_a_point_nothing_is_lost_or_doubled(tmp_path: Path, point: str, hit: int) -> None:
    collector = CollectorProcess(tmp_path, wal_segment_bytes=4000)
    # The log's first segment is made before the port opens.
    hit += point == "wal.create"
    collector.start(f"{point}=kill@{hit}")
    sender = Sender(collector.port, 1, 20, 10)
    sender.start()
    assert collector.process is not None
    collector.process.join(20)
    assert collector.process.exitcode == -9, f"{point} was not passed {hit} times"
    collector.start()
    sender.join(20)
    assert sender.acknowledged == 20
    assert sender.resent >= 1 or point.startswith(("batch", "wal.trim"))
    _check_books(collector)
    collector.terminate()
    assert counts(tmp_path) == {"spans": (200, 200), "requests": (200, 200)}


def _check_books(collector: CollectorProcess) -> None:
    """Everything this process took in or replayed has come somewhere."""
    eventually(lambda: read_books(collector.get("/metrics")[1].decode()).settled, 30)
    read_books(collector.get("/metrics")[1].decode()).check()


def _kill_loop(folder: Path, kills: int, seed: int) -> int:
    """Kill under load; the requests that were acknowledged, each of 5 spans."""
    rng = random.Random(seed)
    collector = CollectorProcess(folder, wal_segment_bytes=20_000, queue_bytes_max=30_000)
    collector.start()
    senders = [Sender(collector.port, 1 + n * 1_000_000, None, 5) for n in range(3)]
    for sender in senders:
        sender.start()
    for _ in range(kills):
        time.sleep(rng.uniform(0.05, 0.3))
        collector.kill()
        collector.start(wait=rng.random() < 0.7)
    assert collector.wait_ready()
    for sender in senders:
        assert sender.is_alive(), "the kills were to happen under load"
        sender.stop.set()
    for sender in senders:
        sender.join(60)
        assert not sender.is_alive(), f"seed {seed}: its last request is not answered"
    _check_books(collector)
    assert collector.terminate() < 5
    requests = sum(s.acknowledged for s in senders)
    rows = requests * 5
    assert counts(folder) == {"spans": (rows, rows), "requests": (rows, rows)}, f"seed {seed}"
    assert set().union(*(s.statuses for s in senders)) <= {200, 503}, f"seed {seed}"
    return requests


def test_killed_under_load_nothing_is_lost_or_doubled(tmp_path: Path, seed: int) -> None:
    assert _kill_loop(tmp_path, kills=3, seed=seed) > 10


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_killed_under_load_five_hundred_times(tmp_path: Path) -> None:
    for turn in range(10):
        acknowledged = _kill_loop(tmp_path / str(turn), kills=50, seed=turn)
        sys.stdout.write(f"50 kills, {acknowledged} requests acknowledged: all there, once\n")
        assert acknowledged > 0


def test_a_collector_whose_sync_failed_asks_for_a_restart_and_works_after_it(
    tmp_path: Path,
) -> None:
    collector = CollectorProcess(tmp_path)
    collector.start("wal.sync=eio@2")
    bodies = [traces(1 + n, 1) for n in range(4)]
    statuses = [post(collector.port, body)[0] for body in bodies]
    assert sorted(set(statuses)) in ([200, 503], [503])
    assert statuses[-1] == 503, "what the disk holds is unknown: nothing is acknowledged"
    status, answer = collector.get("/healthz")
    assert (status, b"restart" in answer) == (503, True), "this is what the supervisor acts on"
    assert collector.terminate() < 5
    collector.start()
    assert collector.get("/healthz")[0] == 200
    assert [post(collector.port, body)[0] for body in bodies] == [200] * 4
    collector.terminate()
    assert counts(tmp_path)["spans"] == (4, 4)


def test_a_stop_under_load_loses_nothing_and_leaves_nothing_to_replay(tmp_path: Path) -> None:
    collector = CollectorProcess(tmp_path)
    collector.start()
    senders = [Sender(collector.port, 1 + n * 1_000_000, 100, 5) for n in range(3)]
    for sender in senders:
        sender.start()
    time.sleep(0.1)
    assert collector.terminate() < 5
    acknowledged = sum(s.acknowledged for s in senders) * 5
    rows, distinct = counts(tmp_path)["spans"]
    # A request whose answer got lost with its connection may be in the lake already.
    assert acknowledged <= rows <= acknowledged + 15
    assert rows == distinct
    collector.start()
    for sender in senders:
        sender.join(20)
    _check_books(collector)
    collector.terminate()
    assert counts(tmp_path)["spans"] == (1500, 1500)


def test_stopped_and_started_over_and_over_under_load_nothing_is_lost_or_doubled(
    tmp_path: Path, seed: int
) -> None:
    """A rolling restart: every stop is graceful, quick, and leaves nothing to replay."""
    rng = random.Random(seed)
    collector = CollectorProcess(tmp_path)
    collector.start()
    senders = [Sender(collector.port, 1 + n * 1_000_000, 300, 5) for n in range(3)]
    for sender in senders:
        sender.start()
    for _ in range(5):
        time.sleep(rng.uniform(0.05, 0.4))
        assert collector.terminate() < 5
        assert inspect_wal(tmp_path / "wal").requests == 0, "all of it is in the lake"
        collector.start()
    for sender in senders:
        sender.join(60)
    assert [s.acknowledged for s in senders] == [300] * 3
    assert set().union(*(s.statuses for s in senders)) <= {200, 503}
    _check_books(collector)
    collector.terminate()
    assert counts(tmp_path) == {"spans": (4500, 4500), "requests": (4500, 4500)}
