"""From acknowledgement to lake: faults of the lake, resends, undecodable bodies, read-back."""

from __future__ import annotations

import errno
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from prometheus_client import generate_latest

from collector import fault_points
from collector.errors import CollectorStartError
from collector.otlp import OtlpFormat
from collector.payload import Decoded, Payload
from collector.service import Collector, bind
from collector.settings import CollectorSettings
from storage import disk
from storage.lake import LakeTable
from storage.settings import StorageSettings
from tests.collector.core.accounting import read_books
from tests.collector.core.doors import SETTINGS, eventually, metric, open_collector, query
from tests.collector.core.process import counts, post, traces


class StoppedStorage:
    """Storage that fails until it is told to work again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failing = True
        self.attempts = 0
        real = LakeTable.append

        def append(
            table: LakeTable, rows: pa.Table, *, app_id: str, app_version: int
        ) -> int | None:
            self.attempts += 1
            if self.failing:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(table, rows, app_id=app_id, app_version=app_version)

        monkeypatch.setattr(LakeTable, "append", append)


def test_while_storage_is_down_everything_acknowledged_waits_and_then_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = StoppedStorage(monkeypatch)
    sizes = {"wal_bytes_max": 60_000, "wal_segment_bytes": 10_000, "queue_bytes_max": 20_000}
    with open_collector(tmp_path, **sizes) as collector:
        acknowledged = refused = 0
        while refused < 3:
            status, headers, _ = post(collector.http_port, traces(1 + 10 * acknowledged, 10))
            if status == 200:
                acknowledged += 1
            else:
                assert (status, "retry-after" in headers) == (503, True)
                refused += 1
        assert acknowledged > 10
        gauges = read_books(collector._metrics().decode()).gauges
        assert gauges["wal_lag_requests"] == acknowledged
        assert gauges["commit_lag_seconds"] > 0
        assert 0 < gauges["wal_bytes"] <= 60_000
        assert collector._backlog.queued_bytes <= 20_000
        assert post(collector.http_port, b"")[0] == 200, "nothing to keep needs no room"
        eventually(lambda: storage.attempts >= 2)
        storage.failing = False
        eventually(lambda: collector.batcher.lag == 0, 20)
        assert post(collector.http_port, traces(1_000_000, 1))[0] == 200
        assert metric(collector, "commit_failures_total") >= 2
        eventually(lambda: collector.batcher.lag == 0 and collector.intake.budget.used == 0)
        read_books(collector._metrics().decode()).check()
    rows = acknowledged * 10 + 1
    assert counts(tmp_path) == {"spans": (rows, rows), "requests": (rows, rows)}


def test_a_lake_that_fails_between_two_tables_gets_neither_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault_points.arm("batch.append=eio@2")
    with open_collector(tmp_path) as collector:
        assert post(collector.http_port, traces(1, 10))[0] == 200
        eventually(lambda: metric(collector, "records_stored_total", format="otlp_traces") == 10)
    assert counts(tmp_path) == {"spans": (10, 10), "requests": (10, 10)}


def test_a_stop_while_storage_is_down_keeps_the_data_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = StoppedStorage(monkeypatch)
    with open_collector(tmp_path, shutdown_s=0.6) as collector:
        assert post(collector.http_port, traces(1, 10))[0] == 200
        eventually(lambda: storage.attempts >= 1)
    storage.failing = False
    with open_collector(tmp_path) as collector:
        eventually(lambda: collector.batcher.lag == 0)
        assert metric(collector, "records_replayed_total", format="otlp_traces") == 10
    assert counts(tmp_path) == {"spans": (10, 10), "requests": (10, 10)}


def test_a_failed_sync_stops_acknowledging_and_says_so(tmp_path: Path) -> None:
    with open_collector(tmp_path) as collector:
        fault_points.arm("wal.sync=eio@1")
        body = traces(1, 1)
        assert post(collector.http_port, body)[0] == 503
        fault_points.arm("")
        assert post(collector.http_port, body)[0] == 503
        assert "restart" in collector._alive()
        assert "restart" in collector._ready()
    with open_collector(tmp_path) as collector:
        assert post(collector.http_port, body)[0] == 200
        eventually(lambda: collector.batcher.lag == 0)
    assert counts(tmp_path)["spans"] == (1, 1), "the doubtful copy and the resend are one"


def test_a_full_disk_is_refused_and_recovers_by_itself(tmp_path: Path) -> None:
    with open_collector(tmp_path) as collector:
        fault_points.arm("wal.write=enospc@1+")
        for number in range(3):
            assert post(collector.http_port, traces(number + 1, 1))[0] == 503
        fault_points.arm("")
        for number in range(3):
            assert post(collector.http_port, traces(number + 1, 1))[0] == 200
    assert counts(tmp_path)["spans"] == (3, 3)


def test_a_disk_at_its_reserve_refuses_retryably_and_takes_again_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roomy = shutil.disk_usage(tmp_path)
    reserve = StorageSettings().disk_reserve_mb * 1024 * 1024
    body = traces(1, 1)

    def leave_free(free_bytes: int) -> None:
        monkeypatch.setattr(
            disk.shutil, "disk_usage", lambda _place: roomy._replace(free=free_bytes)
        )

    with open_collector(tmp_path) as collector:
        leave_free(reserve + len(body) - 1)
        status, headers, _ = post(collector.http_port, body)
        assert status == 503
        assert int(headers["retry-after"]) > 0
        assert 'reason="disk_low"' in generate_latest(collector.telemetry.registry).decode()
        leave_free(reserve + len(body))
        assert post(collector.http_port, body)[0] == 200
    assert len(query(tmp_path, "SELECT * FROM spans")) == 1


def test_resends_before_and_after_a_restart_are_stored_once(tmp_path: Path) -> None:
    body = traces(1, 10)
    for _ in range(2):
        with open_collector(tmp_path) as collector:
            for _ in range(3):
                assert post(collector.http_port, body)[0] == 200
            eventually(lambda: collector.batcher.lag == 0)
    assert counts(tmp_path)["spans"] == (10, 10)


def test_equal_requests_at_the_same_time_share_one_sync(tmp_path: Path) -> None:
    body = traces(1, 10)
    with open_collector(tmp_path) as collector:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: post(collector.http_port, body)[0], range(8)))
        assert answers == [200] * 8
        assert (
            metric(collector, "requests_duplicated_total", format="otlp_traces", transport="http")
            == 7
        )
    assert counts(tmp_path)["spans"] == (10, 10)


def test_equal_requests_whose_first_fails_all_fail(tmp_path: Path) -> None:
    fault_points.arm("wal.write=enospc@1")
    body = traces(1, 10)
    with open_collector(tmp_path) as collector:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: post(collector.http_port, body)[0], range(8)))
        assert set(answers) <= {200, 503}
        assert 503 in answers
        assert post(collector.http_port, body)[0] == 200
    assert counts(tmp_path)["spans"] == (10, 10)


def test_without_a_window_equal_requests_are_stored_each_time(tmp_path: Path) -> None:
    with open_collector(tmp_path, dedupe_window_s=0) as collector:
        for _ in range(3):
            assert post(collector.http_port, traces(1, 1))[0] == 200
    assert counts(tmp_path)["spans"][0] in (3,)


def test_an_undecodable_body_is_set_aside_and_blocks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = traces(666, 3)
    real = OtlpFormat.decode

    def decode(self: OtlpFormat, payloads: list[Payload]) -> Decoded:
        if any(p.body == poison for p in payloads):
            raise IndexError("a bug of the decoder")
        return real(self, payloads)

    monkeypatch.setattr(OtlpFormat, "decode", decode)
    with open_collector(tmp_path, commit_interval_s=0.3) as collector:
        for body in (traces(1, 2), poison, traces(11, 2)):
            assert post(collector.http_port, body)[0] == 200
        eventually(lambda: collector.batcher.lag == 0)
        assert metric(collector, "records_poisoned_total", format="otlp_traces") == 3
        assert metric(collector, "records_stored_total", format="otlp_traces") == 4
    assert counts(tmp_path)["spans"] == (4, 4)
    (reject,) = query(tmp_path, "SELECT reason, detail, record FROM rejects")
    assert (reject["reason"], reject["record"]) == ("undecodable", poison.hex())
    (kept,) = (tmp_path / "wal" / "quarantine").iterdir()
    assert kept.read_bytes() == poison


def test_what_does_not_fit_in_memory_is_read_back_from_the_log(tmp_path: Path) -> None:
    changes = {"queue_bytes_max": 1, "bytes_per_commit_max": 5000, "wal_segment_bytes": 8000}
    with open_collector(tmp_path, **changes) as collector, ThreadPoolExecutor(4) as pool:
        bodies = [traces(1 + 10 * n, 10) for n in range(60)]
        assert set(pool.map(lambda b: post(collector.http_port, b)[0], bodies)) == {200}
        eventually(lambda: collector.batcher.lag == 0)
    assert counts(tmp_path)["spans"] == (600, 600)


def test_every_record_is_accounted_for(tmp_path: Path) -> None:
    with open_collector(tmp_path) as collector:
        bodies = [traces(1 + 10 * number, 10) for number in range(5)]
        for body in (*bodies, bodies[0]):
            assert post(collector.http_port, body)[0] == 200
        eventually(lambda: collector.batcher.lag == 0)
        http = {"format": "otlp_traces", "transport": "http"}
        assert metric(collector, "requests_accepted_total", **http) == 5
        assert metric(collector, "requests_duplicated_total", **http) == 1
        by_format = {"format": "otlp_traces"}
        accepted = metric(collector, "records_accepted_total", **by_format)
        stored = metric(collector, "records_stored_total", **by_format)
        rejected = metric(collector, "records_rejected_total", **by_format)
        assert (accepted, stored + rejected) == (50, 50)
        assert b"gatelens_collector_ack_seconds_bucket" in collector._metrics()


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    taken = bind("127.0.0.1", 0)
    settings = CollectorSettings(http_port=taken.getsockname()[1], grpc_port=-1)
    with pytest.raises(CollectorStartError, match="set http_port"):
        Collector(settings, StorageSettings(data_dir=tmp_path), None)
    taken.close()
    # Nothing is held on to: the same folder can be used at once.
    with open_collector(tmp_path):
        pass


def test_a_grpc_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    taken = bind("127.0.0.1", 0)
    settings = CollectorSettings(http_port=0, grpc_port=taken.getsockname()[1])
    with pytest.raises(CollectorStartError, match="set grpc_port"):
        Collector(settings, StorageSettings(data_dir=tmp_path), None)
    taken.close()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CollectorStartError, match="Cannot write in"):
        Collector(SETTINGS, StorageSettings(data_dir=tmp_path / "file" / "data"), None)


def test_a_second_collector_on_the_folder_is_refused(tmp_path: Path) -> None:
    with open_collector(tmp_path), pytest.raises(CollectorStartError, match="Another collector"):
        Collector(SETTINGS, StorageSettings(data_dir=tmp_path), None)


def test_no_thread_outlives_a_collector(tmp_path: Path) -> None:
    with open_collector(tmp_path) as collector:
        post(collector.http_port, traces(1, 1))
    names = {t.name for t in threading.enumerate()}
    assert not {"wal", "batcher", "collector"} & names
