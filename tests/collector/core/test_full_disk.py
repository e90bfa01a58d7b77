"""A real small disk that is full, or read-only: mounted, not pretended. Needs to be root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.errors import CollectorStartError
from collector.service import Collector
from collector.wal_inspect import inspect_wal
from storage.settings import StorageSettings
from tests.collector.core.accounting import read_books
from tests.collector.core.doors import SETTINGS, eventually, metric, open_collector
from tests.collector.core.logs import write_log
from tests.collector.core.process import counts, post, traces

MB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _fill(disk: Path, *, leave_bytes: int) -> Path:
    filler = disk / "filler"
    space = os.statvfs(disk)
    with filler.open("ab") as file:
        os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - leave_bytes)
    return filler


@pytest.mark.parametrize("reserve_mb", [0, 4])
def test_a_full_disk_is_refused_retryably_and_taken_again_once_there_is_room(
    disk: Path, reserve_mb: int
) -> None:
    storage = StorageSettings(data_dir=disk / "data", disk_reserve_mb=reserve_mb)
    acknowledged = []
    with open_collector(disk / "data", storage=storage, wal_segment_bytes=100_000) as collector:
        assert post(collector.http_port, traces(1, 10))[0] == 200
        acknowledged.append(0)
        eventually(lambda: collector.batcher.lag == 0)
        # With a reserve nothing is ever written to the last of it; without, the disk says no.
        filler = _fill(disk, leave_bytes=reserve_mb * MB + 300_000)
        refused = 0
        for number in range(1, 400):
            status, headers, answer = post(collector.http_port, traces(1 + 1000 * number, 40))
            assert status in (200, 503), answer
            if status == 200:
                acknowledged.append(number)
                continue
            assert int(headers["retry-after"]) > 0
            refused += 1
            if refused > 5:
                break
        assert refused > 5, "the disk was to be full"
        assert len(acknowledged) > 3, "and not at once"
        assert not collector._alive(), "a full disk is no reason to be restarted"
        labels = {"format": "otlp_traces", "transport": "http"}
        refusals = {
            reason: metric(collector, "requests_refused_total", reason=reason, **labels)
            for reason in ("disk_low", "wal_unavailable")
        }
        assert sum(refusals.values()) == refused
        assert not (reserve_mb and refusals["wal_unavailable"]), "the reserve was not touched"
        filler.unlink()
        eventually(lambda: post(collector.http_port, traces(9_000_001, 10))[0] == 200, 20)
        eventually(lambda: collector.batcher.lag == 0 and not collector.intake.budget.used, 30)
        read_books(collector._metrics().decode()).check()
    rows = 10 + 40 * (len(acknowledged) - 1) + 10
    assert counts(disk / "data") == {"spans": (rows, rows), "requests": (rows, rows)}


def test_a_read_only_disk_is_one_sentence_and_can_be_inspected(disk: Path) -> None:
    write_log(disk / "wal", [b"first", b"second"])
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(CollectorStartError, match="[Rr]ead-only") as caught:
        Collector(SETTINGS, StorageSettings(data_dir=disk), None)
    assert "\n" not in str(caught.value)
    report = inspect_wal(disk / "wal")
    assert (report.healthy, report.requests) == (True, 2)
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    with open_collector(disk) as collector:
        eventually(lambda: collector.batcher.lag == 0)
