"""Answers are held back while the lake is behind, and only as long as that helps."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector import backlog as backlog_module
from collector.backlog import Backlog, Entry
from collector.payload import Payload
from collector.wal_cursor import ReadBack
from tests.collector.core.doors import eventually, open_collector
from tests.collector.core.process import counts, post, traces
from tests.collector.otlp.compare import payload


class NoLog:
    """A cursor of a log that nothing needs to be read back from."""

    def read(self, start: int, last: int, *, rows: int, size: int) -> ReadBack:
        return ReadBack(last + 1)


def entries(first: int, count: int, size: int) -> list[Entry]:
    body: Payload = payload("otlp_traces", bytes(size))
    return [Entry(n, body, 1, 0.0) for n in range(first, first + count)]


class Waiting(threading.Thread):
    """Somebody who brings records, as the log's thread does."""

    def __init__(self, backlog: Backlog, size: int) -> None:
        super().__init__(daemon=True)
        self.backlog, self.size = backlog, size
        self.started, self.done = threading.Event(), threading.Event()
        self.start()
        assert self.started.wait(5)

    def run(self) -> None:
        self.started.set()
        self.backlog.wait_for_room(self.size)
        self.done.set()

    @property
    def held(self) -> bool:
        return not self.done.wait(0.05)


@pytest.fixture
def backlog(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backlog]:
    monkeypatch.setattr(backlog_module, "ANSWER_DELAY_S_MAX", 60.0)
    made = Backlog(NoLog(), 10_000, first=1, last=0)  # type: ignore[arg-type]
    yield made
    made.close()


def test_nobody_is_held_up_to_the_limit_and_everybody_beyond_it(backlog: Backlog) -> None:
    backlog.put(entries(1, 10, 100))
    assert not Waiting(backlog, 1000).held
    assert Waiting(backlog, 999).held


def test_room_ends_the_wait(backlog: Backlog) -> None:
    backlog.put(entries(1, 10, 100))
    waiting = Waiting(backlog, 500)
    backlog.take(rows=4, size=10**9)
    assert waiting.held, "600 bytes are still there"
    backlog.take(rows=1, size=10**9)
    assert waiting.done.wait(5)


def test_nobody_waits_for_a_lake_that_cannot_be_written(backlog: Backlog) -> None:
    backlog.put(entries(1, 10, 100))
    waiting = Waiting(backlog, 500)
    backlog.set_stalled(True)
    assert waiting.done.wait(5)
    assert not Waiting(backlog, 500).held
    backlog.set_stalled(False)
    assert Waiting(backlog, 500).held


def test_closing_ends_every_wait(backlog: Backlog) -> None:
    backlog.put(entries(1, 10, 100))
    waiting = [Waiting(backlog, 500) for _ in range(3)]
    backlog.close()
    assert all(w.done.wait(5) for w in waiting)


def test_the_wait_has_an_end(backlog: Backlog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog_module, "ANSWER_DELAY_S_MAX", 0.1)
    backlog.put(entries(1, 10, 100))
    started = time.monotonic()
    backlog.wait_for_room(500)
    assert 0.09 < time.monotonic() - started < 5


def test_reading_back_from_the_log_holds_each_group_a_little(
    backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_module, "READ_BACK_DELAY_S", 60.0)
    backlog.put(entries(1, 10, 2000))
    assert backlog.reads_back, "20,000 bytes are more than is kept in memory"
    waiting = Waiting(backlog, 10**9)
    assert waiting.held
    backlog.take(rows=100, size=10**9)
    assert waiting.done.wait(5)


def test_a_senders_answer_waits_for_the_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: with more than a commit's bytes waiting, the next answer comes only once a
    commit has taken them."""
    monkeypatch.setattr(backlog_module, "ANSWER_DELAY_S_MAX", 60.0)
    with open_collector(tmp_path, bytes_per_commit_max=1, grpc_port=-1) as collector:
        gate = threading.Event()
        real = collector.batcher._commit

        def commit(batch: Any) -> Any:
            assert gate.wait(30)
            return real(batch)

        monkeypatch.setattr(collector.batcher, "_commit", commit)
        assert post(collector.http_port, traces(1, 1))[0] == 200
        eventually(lambda: collector._backlog.queued_bytes == 0)
        answers: list[int] = []
        second = threading.Thread(
            target=lambda: answers.append(post(collector.http_port, traces(11, 1))[0])
        )
        second.start()
        eventually(lambda: collector._backlog.queued_bytes > 0)
        second.join(0.2)
        assert not answers, "durable, and not answered while the lake is behind"
        gate.set()
        second.join(10)
        assert answers == [200]
        eventually(lambda: collector.batcher.lag == 0)
    assert counts(tmp_path)["spans"] == (2, 2)
