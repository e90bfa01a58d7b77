"""The write-ahead log while all is well, and its failures while writing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from collector import fault_points
from collector.errors import CollectorStartError, ShuttingDown, WalFailed, WalFull, WalUnavailable
from collector.wal import Append
from collector.wal_segment import segment_paths
from tests.collector.core.logs import open_log, read_log, record, write_log

BODIES = [b"one", b"two" * 500, b"", b"four"]


def test_what_was_written_is_read_back_in_order(tmp_path: Path) -> None:
    write_log(tmp_path, BODIES)
    found, wal = read_log(tmp_path)
    assert found == BODIES
    assert (wal.recovery.lost_records, wal.recovery.torn_bytes) == (0, 0)


def test_header_fields_survive(tmp_path: Path) -> None:
    from dataclasses import replace

    from collector.wal_record import Good, encode_record, scan_records

    full = replace(
        record(b"x"), sequence=7, environment="prod", tenant="tönant", encoding="zstd", records=3
    )
    (item,) = scan_records(encode_record(full, 5), 5, 0)
    assert isinstance(item, Good)
    assert item.record == full
    assert list(scan_records(encode_record(full, 5), 6, 0))[0].reason == "bad prefix"  # type: ignore[union-attr]


def test_numbering_goes_on_over_restarts(tmp_path: Path) -> None:
    for turn in range(3):
        write_log(tmp_path, [b"%d" % turn] * 2)
    found, wal = read_log(tmp_path)
    assert found == [b"0", b"0", b"1", b"1", b"2", b"2"]
    assert wal.recovery.last == 6


def test_numbers_the_lake_has_seen_are_never_used_again(tmp_path: Path) -> None:
    wal, outcomes = open_log(tmp_path)
    wal.start(floor=41)
    wal.append(Append(record(b"x")))
    outcomes.wait(1)
    assert outcomes.groups[0][0].sequence == 42
    wal.close()
    assert read_log(tmp_path)[1].recovery.lost_records == 0


def test_records_that_arrive_during_a_sync_share_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    real = os.fdatasync

    def slow(fd: int) -> None:
        entered.set()
        assert go_on.wait(10)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", slow)
    wal, outcomes = open_log(tmp_path)
    wal.start()
    wal.append(Append(record(b"first")))
    assert entered.wait(10)
    for number in range(50):
        wal.append(Append(record(b"%d" % number)))
    assert outcomes.count == 0, "nothing is acknowledged before its sync"
    go_on.set()
    outcomes.wait(51)
    wal.close()
    assert [len(g) for g in outcomes.groups] == [1, 50]
    assert wal.figures.syncs == 2


def test_full_segments_are_closed_and_trimmed_once_committed(tmp_path: Path) -> None:
    wal, outcomes = open_log(tmp_path, wal_segment_bytes=300)
    wal.start()
    for number in range(6):
        wal.append(Append(record(b"%d" % number * 100)))
        outcomes.wait(number + 1)
    before = wal.total_bytes
    assert len(segment_paths(tmp_path)) == 3
    freed = wal.trim(2, forget_before_ns=0)
    assert len(segment_paths(tmp_path)) == 2
    assert wal.total_bytes == before - freed
    assert len(list(tmp_path.glob("*.digests"))) == 1
    wal.close()
    again, _ = open_log(tmp_path)
    assert len(again.recovery.digests) == 6, "digests outlive their segment"
    again.close()


def test_a_clean_stop_with_everything_committed_leaves_nothing_to_replay(tmp_path: Path) -> None:
    wal, outcomes = open_log(tmp_path)
    wal.start()
    wal.append(Append(record(b"x")))
    outcomes.wait(1)
    wal.close(all_in_lake=True)
    found, again = read_log(tmp_path)
    assert found == []
    assert again.recovery.last == 1
    assert len(again.recovery.digests) == 1


def test_old_sidecars_are_forgotten(tmp_path: Path) -> None:
    wal, outcomes = open_log(tmp_path)
    wal.start()
    wal.append(Append(record(b"x")))
    outcomes.wait(1)
    wal.close(all_in_lake=True, forget_before_ns=2**62)
    assert not list(tmp_path.glob("*.digests"))


def test_the_size_cap_refuses_until_there_is_room(tmp_path: Path) -> None:
    wal, outcomes = open_log(tmp_path, wal_bytes_max=1000, wal_segment_bytes=300)
    wal.start()
    taken = 0
    with pytest.raises(WalFull):
        for _ in range(20):
            wal.append(Append(record(b"x" * 100)))
            taken += 1
            outcomes.wait(taken)
    assert wal.total_bytes <= 1000
    wal.trim(taken, forget_before_ns=0)
    wal.append(Append(record(b"x" * 100)))
    outcomes.wait(taken + 1)
    wal.close()


def test_a_failed_write_is_undone_and_the_next_one_works(tmp_path: Path) -> None:
    wal, outcomes = open_log(tmp_path)
    wal.start()
    fault_points.arm("wal.write=enospc@2")
    for number in range(3):
        wal.append(Append(record(b"%d" % number)))
        outcomes.wait(number + 1)
    wal.close()
    assert [type(e) for e in outcomes.errors] == [type(None), WalUnavailable, type(None)]
    found, again = read_log(tmp_path)
    assert found == [b"0", b"2"]
    assert again.recovery.lost_records == 0, "a refused record leaves no gap"


def test_a_partial_write_is_cut_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wal, outcomes = open_log(tmp_path)
    wal.start()
    real = os.writev

    def partial(fd: int, buffers: list[bytes]) -> int:
        os.write(fd, b"".join(buffers)[:40])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "writev", partial)
    wal.append(Append(record(b"lost")))
    outcomes.wait(1)
    monkeypatch.setattr(os, "writev", real)
    wal.append(Append(record(b"kept")))
    outcomes.wait(2)
    wal.close()
    found, again = read_log(tmp_path)
    assert found == [b"kept"]
    assert again.recovery.torn_bytes == 0


def test_a_short_write_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "writev", lambda fd, buffers: os.write(fd, b"".join(buffers)[:33]))
    write_log(tmp_path, BODIES)
    monkeypatch.undo()
    assert read_log(tmp_path)[0] == BODIES


def test_after_a_failed_sync_nothing_is_acknowledged_any_more(tmp_path: Path) -> None:
    wal, outcomes = open_log(tmp_path)
    wal.start()
    wal.append(Append(record(b"good")))
    outcomes.wait(1)
    fault_points.arm("wal.sync=eio@1")
    wal.append(Append(record(b"doubtful")))
    outcomes.wait(2)
    assert isinstance(outcomes.errors[1], WalFailed)
    assert "restart" in wal.failed
    with pytest.raises(WalFailed):
        wal.append(Append(record(b"late")))
    wal.close()
    found, again = read_log(tmp_path)
    assert found[0] == b"good"
    assert b"late" not in found


@pytest.mark.parametrize("mode", ["interval", "off"])
def test_weaker_modes_answer_after_the_write_and_lose_nothing_to_a_crash(
    tmp_path: Path, mode: str
) -> None:
    wal, outcomes = open_log(tmp_path, fsync=mode, fsync_interval_ms=5)
    wal.start()
    wal.append(Append(record(b"x")))
    outcomes.wait(1)
    wal.close()
    assert wal.figures.syncs == (1 if mode == "interval" else 0)
    assert read_log(tmp_path)[0] == [b"x"]


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    wal, _ = open_log(tmp_path)
    with pytest.raises(CollectorStartError, match="Another collector"):
        open_log(tmp_path)
    wal.close()
    open_log(tmp_path)[0].close()


def test_nothing_is_taken_after_close(tmp_path: Path) -> None:
    wal, _ = open_log(tmp_path)
    wal.start()
    wal.close()
    with pytest.raises(ShuttingDown):
        wal.append(Append(record(b"x")))


def test_a_folder_of_another_log_is_refused(tmp_path: Path) -> None:
    write_log(tmp_path / "a", [b"x"])
    write_log(tmp_path / "b", [b"y"])
    (path,) = segment_paths(tmp_path / "a")
    path.rename(tmp_path / "b" / "00000000000000000009.wal")
    with pytest.raises(CollectorStartError, match="another write-ahead log"):
        open_log(tmp_path / "b")
