"""A disk that fails at any call, once or from then on: the answer is retryable, nothing crashes,
and once the disk works again everything acknowledged is there, once."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest

from collector.errors import CollectorStartError
from collector.service import Collector
from tests.collector.core.accounting import read_books
from tests.collector.core.doors import eventually, open_collector
from tests.collector.core.process import counts, post, traces
from tests.power_cut import Recorder, failing_at, recording

BODIES = [traces(1 + 10 * n, 2) for n in range(5)]
SIZES = {"wal_segment_bytes": 700, "grpc_port": -1}
"""Every other request closes a segment."""


def _run(folder: Path, disk: Recorder, *, after: int) -> set[int]:
    """One run of a collector on a disk that is repaired after `after` requests; the acknowledged.
    A log that has stopped for good ends it, as a supervisor would."""
    acknowledged: set[int] = set()
    try:
        with open_collector(folder, **SIZES) as collector:
            for number, body in enumerate(BODIES):
                if number == after:
                    disk.fail = None
                status, headers, _ = post(collector.http_port, body)
                assert status in (200, 503), "anything else makes clients drop the data"
                assert status == 200 or int(headers["retry-after"]) > 0
                if status == 200:
                    acknowledged.add(number)
            disk.fail = None
            assert post(collector.http_port, b"")[0] == (503 if collector._alive() else 200)
            if not collector._alive():
                eventually(lambda: collector.batcher.lag == 0, 20)
                _check_books(collector)
    except CollectorStartError as err:
        assert "\n" not in str(err)
    disk.fail = None
    return acknowledged


def _check_books(collector: Collector) -> None:
    eventually(lambda: collector.intake.budget.used == 0)
    read_books(collector._metrics().decode()).check()


def _fail_and_recover(folder: Path, disk: Recorder, number: int, code: int, onwards: bool) -> None:
    where = f"call {number}, {errno.errorcode[code]}, {'onwards' if onwards else 'once'}"
    folder.mkdir()
    disk.root, disk.calls = folder, 0
    disk.fail = failing_at(number, code, onwards=onwards)
    acknowledged = _run(folder, disk, after=4)
    with open_collector(folder, **SIZES) as collector:
        eventually(lambda: collector.batcher.lag == 0, 20)
        present = counts(folder)["spans"][0] if acknowledged else 0
        assert present >= 2 * len(acknowledged), f"{where}: acknowledged, and gone"
        for body in BODIES:
            assert post(collector.http_port, body)[0] == 200, where
        eventually(lambda: collector.batcher.lag == 0, 20)
        _check_books(collector)
    rows = 2 * len(BODIES)
    assert counts(folder) == {"spans": (rows, rows), "requests": (rows, rows)}, where


def _calls(folder: Path, disk: Recorder) -> int:
    """System calls of a run in which nothing fails."""
    folder.mkdir()
    assert _run(folder, disk, after=0) == set(range(len(BODIES)))
    assert disk.calls > 60
    return disk.calls


def test_a_disk_that_fails_at_some_call_costs_nothing_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    with recording(tmp_path, monkeypatch, keep=False) as disk:
        calls = _calls(tmp_path / "sound", disk)
        for number in rng.sample(range(1, calls), 4):
            code, onwards = rng.choice((errno.EIO, errno.ENOSPC)), rng.random() < 0.5
            _fail_and_recover(tmp_path / str(number), disk, number, code, onwards)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("onwards", [False, True], ids=["once", "onwards"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
def test_a_disk_that_fails_at_any_call_costs_nothing_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, onwards: bool
) -> None:
    with recording(tmp_path, monkeypatch, keep=False) as disk:
        for number in range(1, _calls(tmp_path / "sound", disk) + 1):
            _fail_and_recover(tmp_path / str(number), disk, number, code, onwards)
