"""Files into the lake: each line once, whatever happens to the file or to the process."""

from __future__ import annotations

import gzip
import io
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from backports import zstd

from collector.importer import ImportFailed, ImportReport, follow_files, import_files
from storage.lake import Lake, LakeTable
from storage.session import ReadSession
from storage.settings import StorageSettings

NOW_NS = 1_795_000_000_000_000_000


def line(number: int, *, path: str = "/orders") -> bytes:
    return (
        f"10.0.0.1 - - [21/Nov/2026:10:{number // 60 % 60:02d}:{number % 60:02d} +0000] "
        f'"GET {path}/{number} HTTP/1.1" 200 {number} "-" "curl/8.6.0"\n'
    ).encode()


def lines(first: int, last: int) -> bytes:
    return b"".join(line(n) for n in range(first, last))


class House:
    """A data folder and what is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = StorageSettings(data_dir=folder / "data")

    def write(self, name: str, body: bytes, *, age_s: float = 3600) -> Path:
        path = self.folder / name
        path.write_bytes(body)
        modified = NOW_NS / 1e9 - age_s
        os.utime(path, (modified, modified))
        return path

    def load(self, *paths: Path | str, format: str = "nginx", **options: object) -> ImportReport:
        return import_files(
            format, paths, storage=self.settings, now_ns=lambda: NOW_NS, **options  # type: ignore[arg-type]
        )  # fmt: skip

    def numbers(self) -> list[int]:
        """`response_bytes` of every stored request: the lines' numbers."""
        sql = "SELECT response_bytes AS n FROM requests ORDER BY n"
        return [row["n"] for row in self.rows(sql)]

    def rejects(self) -> list[tuple[int, str]]:
        sql = "SELECT position, reason FROM rejects ORDER BY position"
        return [(row["position"], row["reason"]) for row in self.rows(sql)]

    def rows(self, sql: str) -> list[dict[str, object]]:  # type: ignore[explicit-any]
        return ReadSession(Lake(self.settings)).query(sql).to_pylist()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_every_line_is_stored_and_named(house: House) -> None:
    report = house.load(house.write("a.log", lines(0, 100)))
    assert (report.read, report.stored, report.rejected) == (100, 100, 0)
    assert house.numbers() == list(range(100))
    [row] = house.rows("SELECT DISTINCT api, route, outcome, client_kind FROM requests")
    assert row == {"api": "orders", "route": "/orders/{id}", "outcome": "ok", "client_kind": "cli"}


@pytest.mark.parametrize("chunk_bytes", [1, 150, 1000, 10_000_000])
def test_importing_twice_stores_nothing_twice(house: House, chunk_bytes: int) -> None:
    path = house.write("a.log", lines(0, 12))
    house.load(path, chunk_bytes=chunk_bytes)
    again = house.load(path, chunk_bytes=777)
    assert (again.read, again.stored) == (0, 0)
    assert again.bytes_known == len(lines(0, 12))
    assert house.numbers() == list(range(12))


def test_a_renamed_copied_or_compressed_file_is_the_same_file(house: House) -> None:
    body = lines(0, 50)
    house.load(house.write("access.log", body))
    for name, copy in (
        ("access.log.1", body),
        ("access.log.2.gz", gzip.compress(body)),
        ("access.log.3.zst", zstd.compress(body)),
    ):
        assert house.load(house.write(name, copy)).stored == 0
    assert house.numbers() == list(range(50))


@pytest.mark.parametrize("first", [1, 3, 100, 900])
def test_a_grown_file_adds_only_what_is_new(house: House, first: int) -> None:
    house.load(house.write("a.log", lines(0, first)))
    report = house.load(house.write("a.log", lines(0, 1000)))
    assert report.stored == 1000 - first
    assert house.numbers() == list(range(1000))


def test_two_files_that_begin_alike_are_two_files(house: House) -> None:
    shared = lines(0, 1000)
    assert len(shared) > 65536
    for path in (
        house.write("a.log", shared + lines(2000, 2010)),
        house.write("b.log", shared + lines(3000, 3010)),
    ):
        assert house.load(path).stored == 1010
    assert house.load(house.folder / "a.log", house.folder / "b.log").stored == 0
    assert len(house.numbers()) == 2020


def test_small_files_that_begin_alike_are_two_files(house: House) -> None:
    house.load(house.write("a.log", line(1) + line(2)))
    report = house.load(house.write("b.log", line(1) + line(3) + line(4)))
    assert report.stored == 3


@pytest.mark.parametrize("fail_at", range(8))
def test_a_crash_at_any_commit_loses_and_doubles_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, fail_at: int
) -> None:
    body = b"".join(line(n) + (b"rubbish\n" if n % 5 == 0 else b"") for n in range(20))
    path = house.write("a.log", body + line(20)[:50], age_s=1)
    real = LakeTable.append
    calls = iter(range(100))

    def append(self: LakeTable, rows: object, **key: object) -> object:
        if next(calls) == fail_at:
            raise OSError("the disk is gone")
        return real(self, rows, **key)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(LakeTable, "append", append)
        with pytest.raises(OSError, match="disk"):
            house.load(path, chunk_bytes=500)
    # The file grows and the chunks are other ones: rejects that were committed must not come again.
    path = house.write("a.log", body + line(20) + b"rubbish without an end")
    house.load(path, chunk_bytes=100_000)
    assert house.numbers() == list(range(21))
    assert house.rejects() == [(n, "not_this_format") for n in (2, 8, 14, 20, 26)]


def test_rejects_carry_the_line_number_of_the_file(house: House) -> None:
    body = lines(0, 30) + b"broken ?token=s3cret\n" + lines(30, 50) + b"\n\n" + b"broken\n"
    report = house.load(house.write("a.log", body), chunk_bytes=400)
    assert house.rejects() == [(31, "not_this_format"), (54, "not_this_format")]
    assert report.reasons == {"not_this_format": 2}
    assert [place[1] for place in report.samples] == [31, 54]
    assert report.exceeds(1)
    assert not report.exceeds(2)
    [first, _] = house.rows("SELECT record, origin FROM rejects ORDER BY position")
    assert first["record"] == "broken ?[removed]"
    assert str(first["origin"]).endswith("a.log")


def test_an_unfinished_last_line_waits_for_its_end(house: House) -> None:
    half = line(2)[:-20]
    report = house.load(house.write("a.log", line(1) + half, age_s=1))
    assert (report.stored, report.rejected, report.bytes_pending) == (1, 0, len(half))
    house.load(house.write("a.log", line(1) + line(2), age_s=1))
    assert house.numbers() == [1, 2]


def test_a_readable_last_line_needs_no_newline(house: House) -> None:
    path = house.write("a.log", line(1) + line(2).rstrip(b"\n"), age_s=1)
    assert house.load(path).stored == 2
    house.write("a.log", line(1) + line(2) + line(3), age_s=1)
    house.load(path)
    assert house.numbers() == [1, 2, 3]


def test_a_finished_file_may_end_in_rubbish(house: House) -> None:
    report = house.load(house.write("a.log", line(1) + b"rubbish", age_s=3600))
    assert (report.stored, report.rejected, report.bytes_pending) == (1, 1, 0)


def test_what_is_readable_of_a_damaged_archive_is_stored(house: House) -> None:
    whole = gzip.compress(lines(0, 5000))
    report = house.load(house.write("a.log.gz", whole[: len(whole) // 2]), chunk_bytes=20_000)
    assert report.failures
    assert "a.log.gz" in report.failures[0]
    assert 0 < report.stored < 5000
    assert report.exceeds(None)
    house.load(house.write("a.log.gz", whole), chunk_bytes=20_000)
    assert house.numbers() == list(range(5000))


def test_standard_input_is_a_file_too(house: House) -> None:
    body = lines(0, 3000)
    for _ in range(2):
        house.load("-", stdin=io.BytesIO(body))
    house.load("-", stdin=io.BytesIO(gzip.compress(body + line(3000))))
    assert house.numbers() == list(range(3001))


def test_older_requests_are_read_but_not_stored(house: House) -> None:
    since = datetime(2026, 11, 21, 10, 1, tzinfo=UTC)
    report = house.load(house.write("a.log", lines(0, 90)), since=since)
    assert (report.read, report.stored, report.before_since) == (90, 30, 60)


def test_the_same_file_under_another_tenant_or_format_is_another_import(house: House) -> None:
    path = house.write("a.log", lines(0, 5))
    assert house.load(path, format="haproxy").rejected == 5
    assert house.load(path).stored == 5
    assert house.load(path, tenant="other").stored == 5


def test_globs_and_empty_files_are_fine(house: House) -> None:
    house.write("x1.log", lines(0, 3))
    house.write("x2.log", b"")
    house.write("x3.log", lines(3, 5))
    report = house.load(str(house.folder / "x*.log"))
    assert (report.files, report.stored) == (3, 5)


@pytest.mark.parametrize(
    ("format", "name", "sentence"),
    [
        ("nignx", "a.log", "not a format"),
        ("nginx", "nosuch*.log", "check the name"),
        ("nginx", ".", "is a folder"),
    ],
)
def test_a_wrong_call_says_what_to_do(house: House, format: str, name: str, sentence: str) -> None:
    house.write("a.log", lines(0, 1))
    with pytest.raises(ImportFailed, match=sentence):
        house.load(str(house.folder / name), format=format)


def test_an_unknown_option_is_refused(house: House) -> None:
    path = house.write("a.log", lines(0, 1))
    with pytest.raises(ImportFailed, match="no option 'colour'"):
        house.load(path, options={"colour": "red"})
    with pytest.raises(ImportFailed, match="nothing stands between"):
        house.load(path, options={"log_format": "$status$request"})


def test_progress_reaches_the_end(house: House) -> None:
    seen: list[float | None] = []
    house.load(
        house.write("a.log", lines(0, 500)),
        chunk_bytes=8000,
        progress=lambda p: seen.append(p.share),  # type: ignore[attr-defined]
    )
    assert len(seen) > 3
    assert seen[-1] == 1.0


def test_stopping_ends_after_a_chunk_and_the_next_run_goes_on(house: House) -> None:
    path = house.write("a.log", lines(0, 500))
    stop = threading.Event()
    stop.set()
    assert 0 < house.load(path, chunk_bytes=8000, stop=stop).stored < 500
    house.load(path)
    assert house.numbers() == list(range(500))


class Disk:
    """Free bytes as the system would tell, one value an asking; the last one stays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *free: int) -> None:
        self.free = list(free)
        monkeypatch.setattr("storage.disk.shutil.disk_usage", self._usage)

    def _usage(self, _place: object) -> SimpleNamespace:
        return SimpleNamespace(free=self.free.pop(0) if len(self.free) > 1 else self.free[0])


def test_an_import_stops_before_the_disk_is_full_and_goes_on_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = house.write("a.log", lines(0, 500)), house.write("b.log", lines(500, 510))
    with monkeypatch.context() as low:
        Disk(low, 10**12, 10**12, 10**6)
        report = house.load(first, second, chunk_bytes=8000)
    assert 0 < report.stored < 500
    (sentence,) = report.failures
    assert "a.log" in sentence and "in reserve" in sentence and "import again" in sentence
    house.load(first, second)
    assert house.numbers() == list(range(510))


def test_following_waits_while_the_disk_is_low(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = house.write("a.log", lines(0, 3))
    disk = Disk(monkeypatch, 0)
    seen: list[list[int]] = []
    follow(house, path, lambda: seen.append(house.numbers()), lambda: disk.free.append(10**12))
    assert seen == [[]]
    assert house.numbers() == [0, 1, 2]


class Script(threading.Event):
    """A stop event whose waits play the next scene, so that following needs no clock."""

    def __init__(self, *scenes: Callable[[], object]) -> None:
        super().__init__()
        self._scenes = list(scenes)

    def wait(self, timeout: float | None = None) -> bool:
        if self._scenes:
            self._scenes.pop(0)()
        else:
            self.set()
        return self.is_set()


def follow(house: House, path: Path, *scenes: Callable[[], object], format: str = "nginx") -> None:
    follow_files(
        format, [path], storage=house.settings, stop=Script(*scenes), now_ns=lambda: NOW_NS
    )


def append(path: Path, body: bytes) -> None:
    with path.open("ab") as file:
        file.write(body)


def test_following_takes_whole_lines_as_they_come(house: House) -> None:
    path = house.write("a.log", line(0))
    seen: list[list[int]] = []
    follow(
        house,
        path,
        lambda: append(path, line(1) + line(2)[:30]),
        lambda: seen.append(house.numbers()),
        lambda: append(path, line(2)[30:]),
    )
    assert seen == [[0, 1]]
    assert house.numbers() == [0, 1, 2]


def test_following_survives_rotation_by_renaming(house: House) -> None:
    path = house.write("a.log", lines(0, 3))
    old = house.folder / "a.log.1"

    def rotate() -> None:
        path.rename(old)
        append(old, line(3))  # the writer has not noticed yet

    follow(house, path, rotate, lambda: append(path, lines(4, 6)), lambda: append(path, line(6)))
    assert house.numbers() == list(range(7))
    assert house.load(old, path).stored == 0


def test_following_survives_truncation(house: House) -> None:
    path = house.write("a.log", lines(0, 5))
    follow(house, path, lambda: path.write_bytes(line(5)), lambda: append(path, line(6)))
    assert house.numbers() == list(range(7))


def test_following_waits_for_a_missing_file_and_tells_its_format(house: House) -> None:
    path = house.folder / "later.log"
    follow(
        house, path, lambda: path.write_bytes(b""), lambda: path.write_bytes(lines(0, 2)),
        format="auto",
    )  # fmt: skip
    assert house.numbers() == [0, 1]
