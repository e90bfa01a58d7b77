"""Damage to a log: what must survive, and what is told. Every byte of a small log is hit once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from collector.wal import Append
from collector.wal_inspect import inspect_wal
from collector.wal_record import SEGMENT_HEAD_BYTES
from collector.wal_segment import segment_paths
from tests.collector.core.logs import open_log, read_log, record, write_log

BODIES = [b"first", b"second-record", b"third"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes, list[int]]:
    """Id and bytes of a good log, and where its records start (and the last one ends)."""
    folder = tmp_path_factory.mktemp("image")
    wal_id = write_log(folder, BODIES)
    raw = segment_paths(folder)[0].read_bytes()
    starts = [raw.index(b"GLWR")]
    for _ in BODIES[1:]:
        starts.append(raw.index(b"GLWR", starts[-1] + 1))
    return wal_id, raw, [*starts, len(raw)]


def put(folder: Path, image: tuple[str, bytes, list[int]], raw: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        if old.is_file():
            old.unlink()
    for old in (folder / "quarantine").glob("*"):
        old.unlink()
    (folder / "wal.id").write_text(image[0] + "\n")
    path = folder / f"{1:020d}.wal"
    path.write_bytes(raw)
    return path


def survivors(at: int, starts: list[int]) -> list[bytes]:
    """Records that do not contain byte `at`."""
    return [
        b
        for b, start, end in zip(BODIES, starts, starts[1:], strict=False)
        if not start <= at < end
    ]


def test_a_flipped_byte_costs_only_the_record_it_is_in(
    tmp_path: Path, image: tuple[str, bytes, list[int]]
) -> None:
    _, raw, starts = image
    for at in range(len(raw)):
        put(tmp_path, image, raw[:at] + bytes([raw[at] ^ 0x40]) + raw[at + 1 :])
        found, wal = read_log(tmp_path)
        assert found == survivors(at, starts), f"byte {at}"
        in_last = at >= starts[-2]
        in_head = at < SEGMENT_HEAD_BYTES
        assert wal.recovery.lost_records == (0 if in_last or in_head else 1), f"byte {at}"
        assert bool(wal.recovery.torn_bytes) == in_last, f"byte {at}"
        assert len(wal.recovery.quarantined) == (0 if in_last or in_head else 1), f"byte {at}"


def test_a_log_cut_anywhere_keeps_every_whole_record(
    tmp_path: Path, image: tuple[str, bytes, list[int]]
) -> None:
    _, raw, starts = image
    for size in range(len(raw)):
        put(tmp_path, image, raw[:size])
        found, wal = read_log(tmp_path)
        whole = [b for b, end in zip(BODIES, starts[1:], strict=True) if end <= size]
        assert found == whole, f"cut at {size}"
        assert wal.recovery.lost_records == 0
        assert not wal.recovery.quarantined, "a torn tail was never acknowledged"


def test_zeros_from_anywhere_on_are_a_torn_tail(
    tmp_path: Path, image: tuple[str, bytes, list[int]]
) -> None:
    _, raw, starts = image
    for at in range(SEGMENT_HEAD_BYTES, len(raw)):
        put(tmp_path, image, raw[:at] + bytes(len(raw) - at + 100))
        found, wal = read_log(tmp_path)
        assert found == [b for b, end in zip(BODIES, starts[1:], strict=True) if end <= at]
        assert not [p for p in wal.recovery.quarantined if "zeros" in p.name]


def test_a_damaged_log_goes_on_and_counts_the_damage_once(
    tmp_path: Path, image: tuple[str, bytes, list[int]]
) -> None:
    _, raw, starts = image
    at = starts[1] + 40
    put(tmp_path, image, raw[:at] + b"\xff" + raw[at + 1 :])
    assert not inspect_wal(tmp_path).healthy
    wal, outcomes = open_log(tmp_path)
    assert wal.recovery.lost_records == 1
    wal.start()
    wal.append(Append(record(b"fourth")))
    outcomes.wait(1)
    wal.close()
    found, again = read_log(tmp_path)
    assert found == [b"first", b"third", b"fourth"]
    assert again.recovery.lost_records == 0, "counted by the start before"
    assert len(inspect_wal(tmp_path).quarantined) == 1


def test_a_missing_segment_is_counted_to_the_record(tmp_path: Path) -> None:
    for turn in range(3):
        write_log(tmp_path, [b"%d-%d" % (turn, n) for n in range(4)])
    segment_paths(tmp_path)[1].unlink()
    assert inspect_wal(tmp_path).missing == 4
    found, wal = read_log(tmp_path)
    assert found == [b"0-0", b"0-1", b"0-2", b"0-3", b"2-0", b"2-1", b"2-2", b"2-3"]
    assert wal.recovery.lost_records == 4


def test_a_tail_lost_before_a_later_segment_is_counted(tmp_path: Path) -> None:
    write_log(tmp_path, [b"a", b"b", b"c"])
    write_log(tmp_path, [b"d"])
    first = segment_paths(tmp_path)[0]
    first.write_bytes(first.read_bytes()[:-10])
    found, wal = read_log(tmp_path)
    assert found == [b"a", b"b", b"d"]
    assert wal.recovery.lost_records == 1


def test_a_lost_id_file_is_restored_from_the_segments(tmp_path: Path) -> None:
    wal_id = write_log(tmp_path, [b"a"])
    (tmp_path / "wal.id").unlink()
    found, wal = read_log(tmp_path)
    assert found == [b"a"]
    assert wal.id == wal_id


def test_an_empty_segment_file_is_no_trouble(tmp_path: Path) -> None:
    write_log(tmp_path, [b"a"])
    (tmp_path / f"{2:020d}.wal").touch()
    assert read_log(tmp_path)[0] == [b"a"]


def test_a_record_inside_a_body_is_not_taken_for_one(tmp_path: Path) -> None:
    """Someone sends us a log file; damage before it must not bring its records to life."""
    from dataclasses import replace

    from collector.wal_record import encode_record

    forged = encode_record(replace(record(b"forged"), sequence=2), 0)
    write_log(tmp_path, [b"x" * 50 + forged, b"last"])
    path = segment_paths(tmp_path)[0]
    raw = bytearray(path.read_bytes())
    raw[SEGMENT_HEAD_BYTES + 5] ^= 0xFF  # the first record's prefix
    path.write_bytes(raw)
    assert read_log(tmp_path)[0] == [b"last"]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("garbage", lambda data: b"garbage"),
        ("cut", lambda data: data[:-1]),
        ("flipped", lambda data: bytes([data[0] ^ 1]) + data[1:]),
        ("empty", lambda data: b""),
    ],
)
def test_a_damaged_digest_sidecar_does_not_stop_the_start(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    wal, outcomes = open_log(tmp_path)
    wal.start()
    wal.append(Append(record(b"x")))
    outcomes.wait(1)
    wal.close(all_in_lake=True)
    (sidecar,) = tmp_path.glob("*.digests")
    sidecar.write_bytes(damage(sidecar.read_bytes()))
    assert read_log(tmp_path)[1].recovery.digests == []


def test_inspection_tells_what_is_there(tmp_path: Path) -> None:
    write_log(tmp_path, BODIES)
    report = inspect_wal(tmp_path)
    assert report.healthy
    assert report.requests == 3
    assert report.records == {"nginx": 3}
    assert report.wire_bytes == sum(map(len, BODIES))
    assert any("sequences 1..3" in line for line in report.lines())


def test_the_doctor_tells_of_every_damage_what_the_next_start_will(
    tmp_path: Path, image: tuple[str, bytes, list[int]]
) -> None:
    """A flipped byte, a cut and zeros at every place: inspected first, then opened."""
    _, raw, starts = image
    for at in range(len(raw)):
        for damaged in (
            raw[:at] + bytes([raw[at] ^ 0x40]) + raw[at + 1 :],
            raw[:at],
            raw[:at] + bytes(len(raw) - at),
        ):
            put(tmp_path, image, damaged)
            report = inspect_wal(tmp_path)
            found, wal = read_log(tmp_path)
            assert report.requests == len(found), f"byte {at}"
            torn = [b for s in report.segments for b in s.damage if b.torn]
            assert bool(torn) == bool(wal.recovery.torn_bytes) or at < starts[0], f"byte {at}"
            broken = sum(not b.torn for s in report.segments for b in s.damage)
            assert broken == len(wal.recovery.quarantined), f"byte {at}"
            # Whether a damaged record at the end was one cannot be seen by the numbers.
            lost = wal.recovery.lost_records
            assert report.missing <= lost <= report.missing + broken, f"byte {at}"
            assert report.healthy == (not lost) or at < starts[0], f"byte {at}"
