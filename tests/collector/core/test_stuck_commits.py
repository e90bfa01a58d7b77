"""A batch that keeps failing: somebody is told, one request does not keep the others back."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from prometheus_client import generate_latest

from collector import batcher, quarantine
from collector.backlog import Entry
from collector.commit_trouble import CommitTrouble, is_of_rows
from collector.limits import COMMIT_FAILURES_TOLD
from collector.payload import Payload
from collector.service import Collector
from collector.telemetry import Telemetry
from storage.errors import InvalidRows, LakeDamaged, StoreUnavailable
from storage.lake import LakeTable
from storage.stuck_commit import StuckCommit, read_stuck
from tests.collector.core.accounting import read_books
from tests.collector.core.doors import eventually, metric, open_collector, query
from tests.collector.core.process import CollectorProcess, counts, post, traces

Fails = Callable[[str, pa.Table], Exception | None]
"""By table and rows: what its append raises; None = it works."""


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> FailingLake:
    monkeypatch.setattr(batcher, "RETRY_S_MIN", 0.002)
    monkeypatch.setattr(batcher, "RETRY_S_MAX", 0.01)
    return FailingLake(monkeypatch)


class FailingLake:
    """Tables that fail as they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails: Fails = lambda table, rows: None
        real = LakeTable.append

        def append(
            table: LakeTable, rows: pa.Table, *, app_id: str, app_version: int
        ) -> int | None:
            failure = self.fails(table.spec.name, rows)
            if failure is not None:
                raise failure
            return real(table, rows, app_id=app_id, app_version=app_version)

        monkeypatch.setattr(LakeTable, "append", append)


def holds(number: int) -> Callable[[pa.Table], bool]:
    """Whether rows have the span of that number."""
    span = number.to_bytes(8, "big").hex()

    def found(rows: pa.Table) -> bool:
        ids = rows["span_id"].cast("string").to_pylist() if "span_id" in rows.schema.names else []
        return span in ids

    return found


def health(collector: Collector) -> tuple[int, dict[str, str]]:
    status, body = CollectorProcess.get_from(collector.http_port, "/healthz")
    return status, json.loads(body)


def settle(collector: Collector) -> None:
    eventually(lambda: collector.batcher.lag == 0 and collector.intake.budget.used == 0)
    read_books(collector._metrics().decode()).check()


# -- somebody is told -------------------------------------------------------------------------


def test_failures_are_told_once_they_last_until_one_works(tmp_path: Path) -> None:
    now, telemetry = 1_000_000_000.0, Telemetry()
    trouble = CommitTrouble(tmp_path, telemetry, lambda: now)
    payload = Payload(b"x", "nginx", "text", "default", None, 999_999_990 * 10**9, "")
    for failures in range(1, COMMIT_FAILURES_TOLD + 2):
        told = failures >= COMMIT_FAILURES_TOLD
        trouble.failed(OSError("no space"), Entry(5, payload, 1, 0.0), 12, 0.25)
        assert bool(trouble.sentence()) == told
        stuck = StuckCommit(1_000_000_000.0, 999_999_990.0, failures, 12, "OSError: no space")
        assert read_stuck(tmp_path) == (stuck if told else None)
        assert f"commit_failures_in_a_row {failures}.0" in _page(telemetry)
        now += 60
        if failures == 1:
            now -= 60  # `since` is the first failure, not the last
    assert "since 2001-09-09 01:46:40 UTC: 12 acknowledged requests" in trouble.sentence()
    trouble.over()
    assert (trouble.sentence(), read_stuck(tmp_path)) == ("", None)
    assert "commit_failures_in_a_row 0.0" in _page(telemetry)
    trouble.failed(OSError("again"), Entry(5, payload, 1, 0.0), 1, 0.25)
    assert trouble.sentence() == "", "counted anew"


def _page(telemetry: Telemetry) -> str:
    return generate_latest(telemetry.registry).decode()


def test_what_an_earlier_run_left_behind_is_forgotten_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "stuck.json").write_text("{")
    assert read_stuck(tmp_path) is None
    CommitTrouble(tmp_path, Telemetry())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "of_rows"),
    [
        (pa.ArrowInvalid("x"), True),
        (pa.ArrowNotImplementedError("x"), True),
        (InvalidRows("spans", "x"), True),
        (IndexError("a mistake of ours"), True),
        (OSError(errno.ENOSPC, "x"), False),
        (StoreUnavailable("put", "x", "x"), False),
        (LakeDamaged("x", "x"), False),
        (MemoryError(), False),
        (pa.ArrowMemoryError("x"), False),
    ],
)
def test_only_errors_that_rows_can_cause_split_a_batch(error: Exception, of_rows: bool) -> None:
    assert is_of_rows(error) == of_rows


def test_while_commits_fail_health_metrics_and_a_file_say_so(
    tmp_path: Path, lake: FailingLake
) -> None:
    lake.fails = lambda table, rows: LakeDamaged("spans/_delta_log", "torn")
    with open_collector(tmp_path) as collector:
        assert health(collector) == (200, {"status": "ok"})
        for number in range(3):
            assert post(collector.http_port, traces(1 + number, 1))[0] == 200
        eventually(lambda: health(collector)[1]["status"] == "degraded")
        status, said = health(collector)
        assert status == 200, "a restart does not help"
        assert "LakeDamaged: spans/_delta_log cannot be read: torn" in said["reason"]
        assert CollectorProcess.get_from(collector.http_port, "/readyz")[0] == 200
        gauges = read_books(collector._metrics().decode()).gauges
        assert gauges["commit_failures_in_a_row"] >= COMMIT_FAILURES_TOLD
        eventually(lambda: (read_stuck(tmp_path / "wal") or NOTHING).requests == 3)
        lake.fails = lambda table, rows: None
        settle(collector)
        assert health(collector) == (200, {"status": "ok"})
        assert read_stuck(tmp_path / "wal") is None
        assert read_books(collector._metrics().decode()).gauges["commit_failures_in_a_row"] == 0
    assert counts(tmp_path)["spans"] == (3, 3)


NOTHING = StuckCommit(0, 0, 0, 0, "")


# -- one does not keep the others back --------------------------------------------------------


@pytest.mark.parametrize("table", ["spans", "requests"])
def test_a_request_that_no_table_takes_is_set_aside_and_the_others_arrive(
    tmp_path: Path, lake: FailingLake, table: str
) -> None:
    poisoned, poison = holds(666), traces(666, 3)
    lake.fails = lambda name, rows: (
        pa.ArrowInvalid("this row") if name == table and poisoned(rows) else None
    )
    with open_collector(tmp_path, commit_interval_s=0.2) as collector:
        for body in (traces(1, 2), traces(11, 2), poison, traces(21, 2), traces(31, 2)):
            assert post(collector.http_port, body)[0] == 200
        settle(collector)
        assert metric(collector, "records_poisoned_total", format="otlp_traces") == 3
        assert metric(collector, "records_stored_total", format="otlp_traces") == 8
        assert health(collector) == (200, {"status": "ok"})
        assert post(collector.http_port, traces(41, 2))[0] == 200, "and it goes on"
        settle(collector)
    whole, other = (10, 10), (13, 13)
    stored = counts(tmp_path)
    assert stored == {table: whole} | {({"spans", "requests"} - {table}).pop(): other}
    (reject,) = query(tmp_path, "SELECT reason, record FROM rejects")
    assert reject == {"reason": "unwritable", "record": poison.hex()}
    (kept,) = (tmp_path / "wal" / "quarantine").iterdir()
    assert kept.read_bytes() == poison
    lake.fails = lambda name, rows: None
    with open_collector(tmp_path) as collector:
        settle(collector)
    assert counts(tmp_path) == stored, "nothing comes twice with the next start"


def test_a_table_that_takes_nothing_sets_nothing_aside(tmp_path: Path, lake: FailingLake) -> None:
    lake.fails = lambda name, rows: TypeError("a mistake") if name == "requests" else None
    with open_collector(tmp_path, commit_interval_s=0.2) as collector:
        for number in range(4):
            assert post(collector.http_port, traces(1 + 10 * number, 2))[0] == 200
        eventually(lambda: metric(collector, "commit_failures_total") > 10)
        assert collector.batcher.lag > 0
        lake.fails = lambda name, rows: None
        settle(collector)
        assert metric(collector, "records_poisoned_total", format="otlp_traces") == 0
    assert counts(tmp_path) == {"spans": (8, 8), "requests": (8, 8)}


def test_a_disk_that_fails_while_a_batch_is_split_sets_nothing_aside(
    tmp_path: Path, lake: FailingLake
) -> None:
    poisoned, tried = holds(11), [0]

    def fails(name: str, rows: pa.Table) -> Exception | None:
        if poisoned(rows):
            return pa.ArrowInvalid("this row")
        tried[0] += 1
        return OSError(errno.EIO, "Input/output error") if tried[0] % 2 else None

    lake.fails = fails
    with open_collector(tmp_path, commit_interval_s=0.2) as collector:
        for number in range(4):
            assert post(collector.http_port, traces(1 + 10 * number, 2))[0] == 200
        settle(collector)
        assert metric(collector, "records_poisoned_total", format="otlp_traces") == 2
    assert counts(tmp_path) == {"spans": (6, 6), "requests": (6, 6)}


def test_without_a_place_to_put_a_body_aside_its_batch_waits(
    tmp_path: Path, lake: FailingLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "QUARANTINE_FILES_MAX", 1)
    folder = tmp_path / "wal" / "quarantine"
    folder.mkdir(parents=True)
    (folder / "old").write_bytes(b"x")
    poisoned = holds(1)
    lake.fails = lambda name, rows: pa.ArrowInvalid("this row") if poisoned(rows) else None
    with open_collector(tmp_path) as collector:
        assert post(collector.http_port, traces(1, 1))[0] == 200
        eventually(lambda: "quarantine holds 1 files already" in str(health(collector)))
        (folder / "old").unlink()
        settle(collector)
    assert [f.name for f in folder.iterdir()] == ["1-otlp_traces.protobuf"]
