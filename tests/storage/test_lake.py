"""Appending: exactly once, into the right hour, durable before it is visible."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from storage import store as store_module
from storage.creation import VERSION_FILE
from storage.errors import (
    CommitUncertain,
    InvalidRows,
    LakeConflict,
    LakeDamaged,
    LakeError,
    LakeTooNew,
    UnknownTable,
)
from storage.lake import Lake
from storage.schemas import TABLES, TIMESTAMP
from storage.session import ReadSession
from storage.settings import StorageSettings
from tests.storage.conftest import HOUR, requests


def count(session: ReadSession, table: str = "requests") -> int:
    return int(session.query(f"SELECT count(*) AS n FROM {table}")["n"][0].as_py())


def test_rows_appended_are_read_back(lake: Lake, session: ReadSession) -> None:
    assert lake.table("requests").append(requests(3), app_id="w", app_version=1) == 1
    rows = session.query(
        "SELECT request_id, tenant, day, hour FROM requests ORDER BY 1"
    ).to_pylist()
    assert [r["request_id"] for r in rows] == ["00000000", "00000001", "00000002"]
    assert rows[0] | {"request_id": ""} == {
        "request_id": "",
        "tenant": "default",
        "day": HOUR.date(),
        "hour": 10,
    }


def test_every_table_can_be_created_written_and_read(lake: Lake, session: ReadSession) -> None:
    for name in TABLES:
        row = pa.table({"time": pa.array([HOUR], TIMESTAMP), "tenant": ["default"]})
        lake.table(name).append(row, app_id="w", app_version=1)
        read = session.query(f"SELECT * FROM {name}")
        assert read.num_rows == 1
        assert read.column_names == [*TABLES[name].column_names, "day", "hour"]


def test_same_app_version_is_written_once(lake: Lake, session: ReadSession) -> None:
    table = lake.table("requests")
    table.append(requests(3), app_id="w", app_version=5)
    assert table.append(requests(3), app_id="w", app_version=5) is None
    assert table.append(requests(3), app_id="w", app_version=4) is None
    assert count(session) == 3
    assert table.app_version("w") == 5
    assert table.app_version("someone else") is None


def test_no_rows_still_record_the_app_version(lake: Lake) -> None:
    table = lake.table("requests")
    assert table.append(requests(0), app_id="w", app_version=7) is not None
    assert table.app_version("w") == 7


def test_rows_land_in_the_hour_of_their_time(lake: Lake, session: ReadSession) -> None:
    late = requests(2, start=HOUR - timedelta(hours=1, seconds=1), step_s=2.0)
    lake.table("requests").append(late, app_id="w", app_version=1)
    rows = session.query("SELECT hour FROM requests ORDER BY time").to_pylist()
    assert [r["hour"] for r in rows] == [8, 9]


def test_unsorted_hours_and_tenants_are_split_without_loss(lake: Lake) -> None:
    parts = [
        requests(5, start=HOUR + timedelta(hours=h), tenant=t, first=i * 10)
        for i, (h, t) in enumerate([(3, "b"), (0, "a"), (3, "a"), (1, "b"), (0, "a")])
    ]
    lake.table("requests").append(pa.concat_tables(parts), app_id="w", app_version=1)
    assert len(list(lake.table("requests").snapshot().files())) == 4
    with ReadSession(lake, tenant=None) as everyone, ReadSession(lake, tenant="a") as one:
        assert count(everyone) == 25
        assert count(one) == 15


def test_unsigned_numbers_survive_in_full(lake: Lake, session: ReadSession) -> None:
    top = 2**64 - 1
    rows = pa.table(
        {
            "time": pa.array([HOUR, HOUR + timedelta(seconds=1)], TIMESTAMP),
            "tenant": ["default"] * 2,
            "series": pa.array([top, 1], pa.uint64()),
            "flags": pa.array([2**32 - 1, None], pa.uint32()),
            "bucket_counts": pa.array([[0, top, None], None], pa.list_(pa.uint64())),
        }
    )
    lake.table("metrics").append(rows, app_id="w", app_version=1)
    read = session.query("SELECT series, flags, bucket_counts FROM metrics ORDER BY time")
    assert read.to_pylist() == rows.select(["series", "flags", "bucket_counts"]).to_pylist()


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (pa.table({"tenant": ["default"]}), "column time is missing"),
        (pa.table({"time": pa.array([HOUR], TIMESTAMP)}), "column tenant is missing"),
        (requests(1).append_column("nope", [["x"]]), "unknown column nope"),
        (requests(1, tenant="../../etc"), "is not a tenant's name"),
        (requests(1, tenant="a/b"), "is not a tenant's name"),
        (requests(1, tenant="x" * 64), "is not a tenant's name"),
        (requests(1, tenant=""), "is not a tenant's name"),
        (
            pa.table({"time": pa.array([None], TIMESTAMP), "tenant": ["default"]}),
            "column time has NULL",
        ),
        (
            pa.table({"time": pa.array([2**62], TIMESTAMP), "tenant": ["default"]}),
            "outside the years",
        ),
        (
            pa.table(
                {"time": pa.array([HOUR], TIMESTAMP), "tenant": ["a"], "status_code": [70000]}
            ),
            "column status_code",
        ),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_nothing_is_written(
    lake: Lake, rows: pa.Table, reason: str
) -> None:
    table = lake.table("requests")
    with pytest.raises(InvalidRows, match=reason):
        table.append(rows, app_id="w", app_version=1)
    assert table.version() == 0
    assert list(table.location.rglob("*.parquet")) == []


def test_more_hours_than_a_commit_may_touch_are_refused(lake: Lake) -> None:
    with pytest.raises(InvalidRows, match="hours in one append"):
        lake.table("requests").append(requests(10_001, step_s=-3600), app_id="w", app_version=1)


def test_second_writer_with_the_same_app_id_is_refused(
    lake: Lake, settings: StorageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have read version 1 of the application; only one may become version 2."""
    ours, theirs = lake.table("requests"), Lake(settings).table("requests")
    ours.append(requests(1), app_id="w", app_version=1)
    original = store_module.write_durably

    def overtaken(path: Path, data: bytes) -> None:
        monkeypatch.setattr(store_module, "write_durably", original)
        theirs.append(requests(1), app_id="w", app_version=2)
        original(path, data)

    monkeypatch.setattr(store_module, "write_durably", overtaken)
    with pytest.raises(LakeConflict, match="'w' went from 1 to 2"):
        ours.append(requests(1), app_id="w", app_version=2)
    assert sum(f.rows for f in ours.snapshot().files()) == 2
    assert len(list(ours.location.rglob("*.parquet"))) == 2


def test_many_writers_side_by_side_lose_and_double_nothing(settings: StorageSettings) -> None:
    Lake(settings).table("requests")

    def write(number: int) -> None:
        table = Lake(settings).table("requests")
        for version in range(8):
            rows = requests(2, first=(number * 100 + version) * 10)
            table.append(rows, app_id=f"w{number}", app_version=version)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ReadSession(Lake(settings)) as session:
        rows = session.query("SELECT count(*) n, count(DISTINCT request_id) d FROM requests")
        assert rows.to_pylist() == [{"n": 64, "d": 64}]


def test_creating_a_table_from_many_threads_makes_one(settings: StorageSettings) -> None:
    lakes = [Lake(settings) for _ in range(8)]
    threads = [threading.Thread(target=lake.table, args=("spans",)) for lake in lakes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {lake.table("spans").version() for lake in lakes} == {0}


def test_a_commit_that_fails_leaves_no_files(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    table = lake.table("requests")

    def full_disk(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module, "write_durably", full_disk)
    with pytest.raises(OSError, match="No space left"):
        table.append(requests(3), app_id="w", app_version=1)
    assert list(table.location.rglob("*.parquet")) == []
    assert table.app_version("w") is None


def test_a_disk_that_fails_after_the_commit_is_visible_loses_nothing(
    lake: Lake, session: ReadSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = lake.table("requests")

    def failing(path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(store_module, "fsync_folder", failing)
    with pytest.raises(CommitUncertain, match="Version 1 .*Input/output error.*retry"):
        table.append(requests(3), app_id="w", app_version=1)
    monkeypatch.undo()
    assert table.append(requests(3), app_id="w", app_version=1) is None
    assert count(session) == 3


def test_a_place_that_is_not_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="cannot be at gs://"):
        Lake(StorageSettings(lake_url="gs://bucket/x"))


def test_other_delta_readers_see_rows_descriptions_and_transactions(lake: Lake) -> None:
    lake.table("requests").append(requests(4), app_id="w", app_version=3)
    location = str(lake.root / "requests")
    delta = DeltaTable(location)
    assert delta.transaction_version("w") == 3
    described = {f.name: f.metadata.get("comment", "") for f in delta.schema().fields}
    assert described["duration_ms"] == "Whole time at the gateway. [ms]"
    assert delta.metadata().partition_columns == ["tenant", "day", "hour"]
    frame = pl.scan_delta(location).filter(pl.col("hour") == 10).collect()
    assert frame.height == 4


def test_rows_of_another_delta_writer_are_read(lake: Lake, session: ReadSession) -> None:
    table = lake.table("alert_events")
    table.append(
        pa.table({"time": pa.array([HOUR], TIMESTAMP), "tenant": ["default"], "rule": ["ours"]}),
        app_id="w",
        app_version=1,
    )
    frame = pl.scan_delta(str(table.location)).collect().with_columns(rule=pl.lit("theirs"))
    frame.write_delta(str(table.location), mode="append")
    rows = session.query("SELECT rule FROM alert_events ORDER BY rule").to_pylist()
    assert [r["rule"] for r in rows] == ["ours", "theirs"]


def test_a_lake_of_a_newer_version_is_refused(lake: Lake, settings: StorageSettings) -> None:
    (lake.root / VERSION_FILE).write_text('{"schema_version": 999}')
    with pytest.raises(LakeTooNew, match="schema version 999.*Upgrade Gatelens"):
        Lake(settings)


def test_a_damaged_version_mark_is_reported(lake: Lake, settings: StorageSettings) -> None:
    (lake.root / VERSION_FILE).write_text("{")
    with pytest.raises(LakeDamaged, match="gatelens doctor"):
        Lake(settings)


def test_reading_only_creates_nothing(settings: StorageSettings) -> None:
    lake = Lake(settings, create=False)
    with ReadSession(lake) as session:
        assert count(session) == 0
    assert not lake.root.exists()


def test_unknown_tables_are_refused(lake: Lake) -> None:
    with pytest.raises(UnknownTable, match="'nope'"):
        lake.table("nope")


@pytest.mark.usefixtures("often_checkpointed")
def test_a_table_opens_after_many_commits_through_its_checkpoint(
    lake: Lake, settings: StorageSettings
) -> None:
    table = lake.table("requests")
    for version in range(25):
        table.append(requests(1, first=version), app_id="w", app_version=version)
    fresh = Lake(settings).table("requests")
    assert fresh.log.checkpoint_version() == 20
    assert fresh.app_version("w") == 24
    assert fresh.version() == table.version()
    assert sum(f.rows for f in fresh.snapshot().files()) == 25
    times = [(f.time_min, f.time_max) for f in fresh.snapshot().files()]
    assert set(times) == {(f.time_min, f.time_max) for f in table.snapshot().files()}


def test_a_torn_commit_file_is_named(lake: Lake, settings: StorageSettings) -> None:
    table = lake.table("requests")
    table.append(requests(1), app_id="w", app_version=1)
    path = table.log.folder / f"{1:020d}.json"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(LakeDamaged, match=r"0001\.json"):
        Lake(settings).table("requests")


def test_times_before_1970_have_their_own_hour(lake: Lake, session: ReadSession) -> None:
    old = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    lake.table("requests").append(requests(1, start=old), app_id="w", app_version=1)
    rows = session.query("SELECT day, hour FROM requests", start=old).to_pylist()
    assert rows == [{"day": old.date(), "hour": 23}]
