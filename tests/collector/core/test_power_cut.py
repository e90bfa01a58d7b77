"""Power cuts at every system call of the log, of the lake and of a whole collector: what was
promised before the cut is there after it, once, whatever of the unsynced reached the disk."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from collector.wal import Append
from tests.collector.core.accounting import read_books
from tests.collector.core.doors import eventually, metric, open_collector, query
from tests.collector.core.logs import open_log, read_log, record
from tests.collector.core.process import counts, post, traces
from tests.power_cut import Recorder, recording

# -- the log alone -------------------------------------------------------------------------------


def _write_trim_restart(folder: Path, recorder: Recorder) -> None:
    """Three runs of a log with segments of a few records; what is trimmed is in the lake."""
    number = 0
    for run in range(3):
        wal, outcomes = open_log(folder, wal_segment_bytes=400)
        wal.start(floor=number if run else 0)
        for count in range(1, 9):
            number += 1
            body = b"%04d" % number * 5
            digest = body[:16]
            wal.append(Append(record(body, digest=digest)))
            outcomes.wait(count)
            recorder.mark(("stored", number, body, digest))
            if count % 5 == 0:
                recorder.mark(("in the lake", number - 1))
                wal.trim(number - 1, forget_before_ns=0)
        if run == 1:
            recorder.mark(("in the lake", number))
        wal.close(all_in_lake=run == 1)


def test_a_log_after_a_power_cut_anywhere_has_all_it_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "wal"
    folder.mkdir()
    with recording(folder, monkeypatch) as recorder:
        _write_trim_restart(folder, recorder)
    assert len(recorder.moments) > 100
    for turn, (where, disk, promised) in enumerate(recorder.disks(some=2)):
        place = disk.write_to(tmp_path / str(turn))
        stored = {what[1]: what[2:] for what in promised if what[0] == "stored"}
        committed = max((what[1] for what in promised if what[0] == "in the lake"), default=0)
        found, wal = read_log(place)
        missing = [n for n, (body, _) in stored.items() if n > committed and body not in found]
        assert not missing, where
        assert len(found) == len(set(found)), where
        assert all(len(body) == 20 for body in found), where
        # What is merely unfinished is no loss: nobody may be told that data is gone.
        assert wal.recovery.lost_records == 0, where
        digests = {d for d, _ in wal.recovery.digests}
        assert {digest for _, digest in stored.values()} <= digests, where
        again, _ = open_log(place)
        again.start(floor=committed)
        assert again.last_sequence >= max(stored, default=0), f"{where}: numbers used twice"
        again.close()


# -- a whole collector ---------------------------------------------------------------------------


def _collect(folder: Path, recorder: Recorder) -> list[bytes]:
    """Two runs of a collector; every acknowledged request is marked."""
    bodies = [traces(1 + 10 * n, 2) for n in range(8)]
    for run in range(2):
        with open_collector(folder, wal_segment_bytes=1500, grpc_port=-1) as collector:
            for number in range(run * 4, run * 4 + 4):
                assert post(collector.http_port, bodies[number])[0] == 200
                recorder.mark(number)
                if number % 2:
                    eventually(lambda: collector.batcher.lag == 0)
    return bodies


def _recovered(place: Path, bodies: list[bytes], promised: set[int], where: str) -> None:
    """What was acknowledged is there after a start; what is sent again is there once."""
    with open_collector(place, grpc_port=-1) as collector:
        assert metric(collector, "wal_lost_records") == 0, where
        eventually(lambda: collector.batcher.lag == 0)
        names = query(place, "SELECT DISTINCT span_id FROM spans")
        found = {int(str(row["span_id"]), 16) // 10 for row in names}
        assert promised <= found, f"{where}: acknowledged, and gone"
        for body in bodies:
            assert post(collector.http_port, body)[0] == 200, where
        eventually(lambda: collector.batcher.lag == 0 and collector.intake.budget.used == 0)
        read_books(collector._metrics().decode()).check()
    rows = 2 * len(bodies)
    assert counts(place) == {"spans": (rows, rows), "requests": (rows, rows)}, where


def _cut_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, disks_max: int, seed: int
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with recording(folder, monkeypatch) as recorder:
        bodies = _collect(folder, recorder)
    disks = recorder.disks(some=3)
    rng = random.Random(seed)
    for turn, (where, disk, promised) in enumerate(rng.sample(disks, min(disks_max, len(disks)))):
        place = disk.write_to(tmp_path / str(turn))
        _recovered(place, bodies, set(promised), f"seed {seed}, {where}")
        shutil.rmtree(place)


def test_a_collector_after_a_power_cut_has_all_it_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    _cut_power(tmp_path, monkeypatch, disks_max=5, seed=seed)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_collector_after_a_power_cut_at_every_call_has_all_it_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    _cut_power(tmp_path, monkeypatch, disks_max=10**6, seed=seed)
