"""Merging, expiring, cleaning and sweeping: never a row lost, doubled or seen twice."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage import merge as merge_module
from storage.commit import commit
from storage.errors import LakeDamaged, VersionsGone
from storage.lake import Lake, LakeTable
from storage.limits import GRACE_SECONDS, LOG_KEEP_SECONDS, OPEN_HOUR_FILES
from storage.log import FileEntry
from storage.maintenance import clean_log, compact, expire, maintain, sweep
from storage.merge import sort_rows
from storage.merge_plan import plan_merges
from storage.schemas import REQUESTS, TABLES
from storage.session import ReadSession
from storage.settings import StorageSettings
from tests.storage.conftest import HOUR, requests

LATER = datetime.now(HOUR.tzinfo) + timedelta(days=2)
"""By then every hour of the tests is over and nothing has been written for two days."""

YEARS_LATER = LATER + timedelta(days=800)

DIGEST = "SELECT count(*) n, count(DISTINCT request_id) ids, sum(duration_ms) ms FROM requests"


def append_many(table: LakeTable, files: int, rows: int = 3, *, start: datetime = HOUR) -> None:
    first = (table.app_version("w") or 0) + 1
    for i in range(files):
        batch = requests(rows, start=start, first=(first + i) * rows)
        table.append(batch, app_id="w", app_version=first + i)


def files_of(table: LakeTable) -> list[FileEntry]:
    return list(table.snapshot().files())


def test_a_sealed_hour_becomes_one_sorted_file(lake: Lake, session: ReadSession) -> None:
    table = lake.table("requests")
    append_many(table, 5)
    before = session.query(DIGEST)
    report = compact(lake, "requests", LATER)
    (entry,) = files_of(table)
    assert (report.merges, report.files_merged, report.rows_merged) == (1, 5, 15)
    assert (entry.level, entry.rows) == (2, 15)
    assert session.query(DIGEST) == before
    rows = pq.read_table(table.location / entry.path, partitioning=None)
    assert sort_rows(REQUESTS, rows) == rows
    assert compact(lake, "requests", LATER).merges == 0


def test_ids_get_bloom_filters_only_in_sealed_hours(lake: Lake) -> None:
    table = lake.table("requests")
    append_many(table, OPEN_HOUR_FILES)

    def filtered() -> set[str]:
        (entry,) = files_of(table)
        group = pq.ParquetFile(table.location / entry.path).metadata.row_group(0)
        columns = [group.column(i) for i in range(group.num_columns)]
        path = str(table.location / entry.path)
        blob = Path(path).read_bytes()
        assert blob[:4] == b"PAR1"
        return {
            row[0]
            for row in session_rows(path)
            if row[1] is not None and row[0] in {c.path_in_schema for c in columns}
        }

    compact(lake, "requests", HOUR)
    assert filtered() == set()
    compact(lake, "requests", LATER)
    assert filtered() == {"trace_id", "request_id"}


def session_rows(path: str) -> list[tuple[str, int | None]]:
    import duckdb

    sql = "SELECT path_in_schema, bloom_filter_offset FROM parquet_metadata($1)"
    return duckdb.connect().execute(sql, [path]).fetchall()


def test_an_open_hour_is_merged_once_many_files_gathered(lake: Lake) -> None:
    table = lake.table("requests")
    append_many(table, OPEN_HOUR_FILES - 1)
    assert compact(lake, "requests", HOUR).merges == 0
    append_many(table, 1)
    assert compact(lake, "requests", HOUR).merges == 1
    assert [f.level for f in files_of(table)] == [1]


def test_rows_are_rewritten_a_few_times_however_many_files_arrive() -> None:
    """Work in proportion to what is new: 1,800 commits of an hour, merged as they come."""
    partition = ("a", HOUR.date(), 10)
    files: list[FileEntry] = []
    rewritten = most_files = 0

    def merge_due(now: datetime) -> None:
        nonlocal rewritten, files
        for merge in plan_merges(partition, files, now_us=int(now.timestamp() * 1e6)):
            size = sum(f.size for f in merge.files)
            name = f"x/l{merge.level}-v1-{rewritten}-{size}.parquet"
            files = [f for f in files if f not in merge.files]
            files.append(replace(merge.files[0], path=name, size=size, rows=merge.rows))
            rewritten += merge.rows

    for i in range(1800):
        name = f"x/l0-v1-{i}.parquet"
        files.append(FileEntry(name, 5_000, 100, "a", HOUR.date(), 10, i, i, 0))
        most_files = max(most_files, len(files))
        if i % 30 == 29:
            merge_due(HOUR + timedelta(seconds=2 * i))
    merge_due(LATER)
    assert [f.rows for f in files] == [180_000]
    assert rewritten <= 4 * 180_000
    assert most_files <= 60


def test_late_rows_join_their_sealed_hour(lake: Lake, session: ReadSession) -> None:
    table = lake.table("requests")
    append_many(table, 4)
    compact(lake, "requests", LATER)
    append_many(table, 2)
    append_many(table, 1, start=HOUR + timedelta(hours=5))
    compact(lake, "requests", LATER)
    assert sorted((f.hour, f.rows, f.level) for f in files_of(table)) == [(10, 18, 2), (15, 3, 2)]
    assert session.query(DIGEST).to_pylist()[0]["ids"] == 21


def test_a_few_late_rows_do_not_rewrite_a_large_sealed_file() -> None:
    def entry(name: str, level: int, size: int) -> FileEntry:
        return FileEntry(f"x/l{level}-v1-{name}.parquet", size, size, "a", HOUR.date(), 10, 0, 1, 0)

    partition = ("a", HOUR.date(), 10)
    now = int(LATER.timestamp() * 1e6)
    files = [entry("big", 2, 100_000), entry("late", 0, 100)]
    (merge,) = plan_merges(partition, files, now_us=now)
    assert [f.size for f in merge.files] == [100]
    (merge,) = plan_merges(partition, [*files, entry("more", 0, 30_000)], now_us=now)
    assert sorted(f.size for f in merge.files) == [100, 30_000, 100_000]


def test_late_rows_wait_until_they_stop_coming() -> None:
    partition = ("a", HOUR.date(), 10)
    now_us = int((HOUR + timedelta(hours=3)).timestamp() * 1e6)
    just_now = now_us // 1000 - 1000

    def loose(modified_ms: int) -> FileEntry:
        return FileEntry("x/l0-v1-a.parquet", 1, 1, "a", HOUR.date(), 10, 0, 1, modified_ms)

    assert plan_merges(partition, [loose(just_now)], now_us=now_us) == []
    assert len(plan_merges(partition, [loose(just_now - 60_000)], now_us=now_us)) == 1
    assert len(plan_merges(partition, [loose(just_now), loose(0)], now_us=now_us)) == 1


def test_merges_stay_within_the_limit_on_rows() -> None:
    partition = ("a", HOUR.date(), 10)
    files = [
        FileEntry(f"x/l0-v1-{i}.parquet", 10, 400_000, "a", HOUR.date(), 10, i, i, 0)
        for i in range(5)
    ]
    merges = plan_merges(partition, files, now_us=int(LATER.timestamp() * 1e6))
    assert [m.rows for m in merges] == [800_000, 800_000, 400_000]


@pytest.mark.parametrize("values", [1, merge_module.DICTIONARY_VALUES_MAX + 1])
def test_maps_come_through_a_merge_as_they_were(
    lake: Lake, session: ReadSession, values: int
) -> None:
    """NULL, empty and filled maps, NULL among the values, files without the column."""
    table = lake.table("spans")
    kinds = [None, {}, {"k": None}, {"k": "", "é": "x"}, {f"k{i % 7}": str(i) for i in range(5)}]
    kept = []
    for number in range(3):
        maps = kinds + [{"id": f"{number}-{i}"} for i in range(values)]
        ids = [f"{number}-{i:06}" for i in range(len(maps))]
        rows = {"time": [HOUR] * len(maps), "tenant": ["default"] * len(maps), "span_id": ids}
        if number:
            rows["attributes"] = [None if m is None else list(m.items()) for m in maps]  # type: ignore[misc]
        batch = pa.table(rows, schema=pa.schema([table.spec.arrow_schema.field(n) for n in rows]))
        table.append(batch, app_id="w", app_version=number)
        kept += [(i, m if number else None) for i, m in zip(ids, maps, strict=True)]
    assert compact(lake, "spans", LATER).merges == 1
    found = session.query("SELECT span_id, attributes FROM spans ORDER BY span_id").to_pylist()
    assert [(r["span_id"], r["attributes"]) for r in found] == [
        (i, None if m is None else list(m.items())) for i, m in kept
    ]


def test_late_rows_join_a_file_of_several_row_groups_with_maps(
    lake: Lake, session: ReadSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maps of several dictionaries at once are what Arrow cannot read as numbers; values that
    outgrow their dictionary are written half as numbers, half as text."""
    monkeypatch.setattr("storage.parquet.ROW_GROUP_ROWS", 10_000)
    table = lake.table("spans")

    def append(number: int, rows: int) -> None:
        maps = [[("id", f"{number}-{i:060}"), ("kind", f"k{i % 3}")] for i in range(rows)]
        columns = {"time": [HOUR] * rows, "tenant": ["default"] * rows, "attributes": maps}
        fields = [table.spec.arrow_schema.field(n) for n in columns]
        table.append(pa.table(columns, schema=pa.schema(fields)), app_id="w", app_version=number)

    append(0, 30_000)
    assert compact(lake, "spans", LATER).merges == 1
    (sealed,) = files_of(table)
    file = pq.ParquetFile(table.location / sealed.path)
    assert file.num_row_groups == 3
    append(1, 20_000)
    report = compact(lake, "spans", LATER)
    assert (report.merges, report.damaged) == (1, [])
    sql = (
        "SELECT count(*) n, count(DISTINCT attributes['id']) ids, "
        "count_if(attributes['kind'] = 'k1') ones FROM spans"
    )
    assert session.query(sql).to_pylist() == [{"n": 50_000, "ids": 50_000, "ones": 16_667}]


def test_large_fresh_files_of_plain_and_of_coded_text_are_merged(lake: Lake) -> None:
    """From 2,000 rows on, a fresh file's pages are our own: text that comes plain lies by its
    lengths, which Arrow does not read into a dictionary."""
    table = lake.table("requests")
    first, second = requests(2_500, step_s=0.1), requests(2_500, step_s=0.1, first=2_500)
    coded = second.column("route").dictionary_encode()
    second = second.set_column(second.column_names.index("route"), "route", coded)
    rows = [first, second, requests(10, first=9_000)]
    for number, part in enumerate(rows):
        table.append(part, app_id="w", app_version=number)
    assert compact(lake, "requests", HOUR + timedelta(days=400)).files_merged == 3
    sql = "SELECT request_id, api, route, duration_ms FROM requests ORDER BY request_id"
    with ReadSession(lake) as session:
        found = session.query(sql).to_pylist()
    expected = [r for part in rows for r in part.select(list(found[0])).to_pylist()]
    assert found == sorted(expected, key=lambda r: r["request_id"])


def test_tenants_are_never_merged_together(lake: Lake) -> None:
    table = lake.table("requests")
    for i, tenant in enumerate(["a", "b", "a", "b"]):
        table.append(requests(2, tenant=tenant), app_id="w", app_version=i)
    compact(lake, "requests", LATER)
    assert sorted((f.tenant, f.rows) for f in files_of(table)) == [("a", 4), ("b", 4)]


def test_compaction_is_no_change_for_jobs(lake: Lake) -> None:
    table = lake.table("requests")
    append_many(table, 3)
    seen = table.changes(None)
    compact(lake, "requests", LATER)
    after = table.changes(seen.to_version)
    assert (seen.rows, after.rows, after.files) == (9, 0, ())
    assert after.to_version == table.version()
    assert table.changes(None).rows == 9


def test_two_appenders_and_a_compactor_lose_and_double_nothing(settings: StorageSettings) -> None:
    Lake(settings).table("requests")
    stop = threading.Event()
    failures: list[BaseException] = []

    def write(number: int) -> None:
        table = Lake(settings).table("requests")
        for version in range(15):
            rows = requests(3, first=(number * 1000 + version) * 10)
            table.append(rows, app_id=f"w{number}", app_version=version)

    def merge() -> None:
        lake = Lake(settings)
        try:
            while not stop.is_set():
                compact(lake, "requests", LATER)
                sweep(lake.table("requests"), LATER)
        except BaseException as err:
            failures.append(err)

    compactors = [threading.Thread(target=merge) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(n,)) for n in range(2)]
    for thread in (*compactors, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in compactors:
        thread.join()
    assert failures == []
    with ReadSession(Lake(settings)) as session:
        rows = session.query("SELECT count(*) n, count(DISTINCT request_id) d FROM requests")
        assert rows.to_pylist() == [{"n": 90, "d": 90}]
    assert Lake(settings).table("requests").changes(None).rows == 90


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs."""


@pytest.mark.parametrize("step", ["before_commit", "after_commit"])
def test_a_merge_killed_at_any_step_changes_no_answer(
    lake: Lake,
    settings: StorageSettings,
    session: ReadSession,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    table = lake.table("requests")
    append_many(table, 4)
    before = session.query(DIGEST)
    monkeypatch.setattr(Path, "unlink", lambda *_a, **_k: None)  # a killed process tidies nothing

    def killed(*args: object, **kwargs: object) -> int:
        if step == "after_commit":
            commit(*args, **kwargs)  # type: ignore[arg-type]
        raise Killed

    monkeypatch.setattr(merge_module, "commit", killed)
    with pytest.raises(Killed):
        compact(lake, "requests", LATER)
    monkeypatch.undo()
    reopened = Lake(settings)
    with ReadSession(reopened) as fresh:
        assert fresh.query(DIGEST) == before
        maintain(reopened, LATER)
        maintain(reopened, LATER + timedelta(seconds=GRACE_SECONDS))
        assert fresh.query(DIGEST) == before
    assert len(list(table.location.rglob("*.parquet"))) == len(files_of(table)) == 1


def test_a_reader_holding_old_files_is_not_disturbed(lake: Lake, session: ReadSession) -> None:
    table = lake.table("requests")
    append_many(table, 4)
    old = files_of(table)
    maintain(lake, LATER)
    maintain(lake, LATER + timedelta(seconds=GRACE_SECONDS - 1))
    held = session.query(DIGEST, files={"requests": old}).to_pylist()
    assert held[0]["n"] == 12
    report = maintain(lake, LATER + timedelta(seconds=GRACE_SECONDS))
    assert report.files_swept == 4
    assert report.bytes_freed == sum(f.size for f in old)
    assert session.query(DIGEST).to_pylist() == held


def test_files_a_job_has_not_read_outlive_compaction(lake: Lake) -> None:
    table = lake.table("requests")
    append_many(table, 3)
    consumed = {"requests": 1}
    for seconds in (0, GRACE_SECONDS, 2 * GRACE_SECONDS):
        maintain(lake, LATER + timedelta(seconds=seconds), consumed=consumed.get)
    changes = table.changes(1)
    assert changes.rows == 6
    assert all((table.location / f.path).exists() for f in changes.files)
    assert not (table.location / table.changes(0, versions_max=1).files[0].path).exists()


@pytest.mark.usefixtures("often_checkpointed")
def test_the_log_is_kept_until_every_job_has_read_it(lake: Lake) -> None:
    table = lake.table("requests")
    append_many(table, 23, rows=1)
    later = datetime.now(HOUR.tzinfo) + timedelta(seconds=LOG_KEEP_SECONDS + 1)
    clean_log(table, later, consumed=14)
    assert table.log.oldest_commit() == 15
    assert table.changes(14).rows == 9
    with pytest.raises(VersionsGone, match="starts at version 15"):
        table.changes(13)
    clean_log(table, later, consumed=None)
    assert table.log.oldest_commit() == table.log.checkpoint_version() == 20
    fresh = Lake(lake.settings).table("requests")
    assert sum(f.rows for f in files_of(fresh)) == 23
    assert fresh.app_version("w") == 23


@pytest.mark.usefixtures("often_checkpointed")
def test_a_reader_left_behind_by_log_cleaning_starts_over(
    lake: Lake, settings: StorageSettings
) -> None:
    slow = Lake(settings).table("requests")
    assert slow.version() == 0
    append_many(lake.table("requests"), 12, rows=1)
    later = datetime.now(HOUR.tzinfo) + timedelta(seconds=LOG_KEEP_SECONDS + 1)
    clean_log(lake.table("requests"), later)
    assert slow.version() == 12
    assert sum(f.rows for f in files_of(slow)) == 12


@pytest.mark.usefixtures("often_checkpointed")
def test_fresh_log_files_are_kept(lake: Lake) -> None:
    table = lake.table("requests")
    append_many(table, 12, rows=1)
    assert clean_log(table, datetime.now(HOUR.tzinfo)).log_files_removed == 0


def test_retention_drops_whole_hours_that_are_old_and_untouched(
    lake: Lake, session: ReadSession
) -> None:
    table = lake.table("requests")
    append_many(table, 1)
    append_many(table, 1, start=HOUR - timedelta(days=100))  # imported history, written today
    assert expire(lake, "requests", datetime.now(HOUR.tzinfo)).files_expired == 0
    assert expire(lake, "requests", YEARS_LATER).files_expired == 2
    assert session.query(DIGEST).to_pylist()[0]["n"] == 0


def test_retention_differs_by_tier_and_tenant(tmp_path: Path) -> None:
    settings = StorageSettings(
        data_dir=tmp_path, retention_raw_days=30, retention_tenant_days=(("vip", 0),)
    )
    lake = Lake(settings)
    table = lake.table("requests")
    table.append(requests(1, tenant="vip"), app_id="w", app_version=1)
    table.append(requests(1, tenant="b"), app_id="w", app_version=2)
    row = requests(1, tenant="vip").select(["time", "tenant"])
    lake.table("usage_minute").append(row, app_id="w", app_version=1)
    lake.table("usage_day").append(row, app_id="w", app_version=1)
    maintain(lake, YEARS_LATER)
    kept = {n: [f.tenant for f in files_of(lake.table(n))] for n in TABLES if lake.existing(n)}
    assert kept == {"requests": ["vip"], "usage_minute": [], "usage_day": ["vip"]}


def test_orphans_of_a_crash_are_swept_after_the_grace_period(lake: Lake) -> None:
    table = lake.table("requests")
    append_many(table, 1)
    orphan = table.location / "tenant=default/day=2026-11-21/hour=10/l0-v1-orphan.parquet"
    orphan.write_bytes(b"torn")
    assert sweep(table, LATER).files_swept == 0
    assert sweep(table, LATER + timedelta(seconds=GRACE_SECONDS)).bytes_freed == 4
    assert not orphan.exists()


def test_folders_of_expired_hours_disappear(lake: Lake) -> None:
    table = lake.table("requests")
    append_many(table, 1)
    maintain(lake, YEARS_LATER)
    for folder in table.location.rglob("hour=*"):
        os.utime(folder, (0, 0))
    maintain(lake, YEARS_LATER + timedelta(seconds=GRACE_SECONDS))
    assert list(table.location.rglob("*.parquet")) == []
    for folder in table.location.rglob("hour=*"):
        os.utime(folder, (0, 0))
    sweep(table, LATER)
    assert list(table.location.rglob("hour=*")) == []


def damage(path: Path) -> Iterator[tuple[str, bytes]]:
    whole = path.read_bytes()
    yield "empty", b""
    yield "cut in half", whole[: len(whole) // 2]
    yield "footer flipped", whole[:-20] + bytes(b ^ 0xFF for b in whole[-20:])
    yield "zeroed", bytes(len(whole))


def test_a_damaged_data_file_is_reported_and_left_alone(lake: Lake) -> None:
    table = lake.table("requests")
    append_many(table, 3)
    append_many(table, 3, start=HOUR + timedelta(hours=1))
    victim = table.location / next(f.path for f in files_of(table) if f.hour == 10)
    for what, data in list(damage(victim)):
        victim.write_bytes(data)
        report = compact(lake, "requests", LATER)
        assert report.damaged == [str(victim)], what
        assert victim.exists(), what
    assert sorted(f.hour for f in files_of(table)) == [10, 10, 10, 11]


def test_a_file_with_fewer_rows_than_the_log_says_is_damaged(lake: Lake) -> None:
    table = lake.table("requests")
    append_many(table, 2)
    entry = files_of(table)[0]
    path = table.location / entry.path
    pq.write_table(pq.read_table(path, partitioning=None).slice(0, 1), path)
    with pytest.raises(LakeDamaged, match="1 rows instead of 3"):
        merge_module.read_files(table, [entry])


def test_sorting_puts_null_first_and_keeps_equal_rows_in_order() -> None:
    rows = pa.table(
        {
            "api": ["b", None, "a", "a"],
            "route": ["x", "x", "z", "y"],
            "time": pa.array([1, 2, 3, 4], pa.timestamp("us", tz="UTC")),
        }
    )
    assert sort_rows(REQUESTS, rows)["time"].cast(pa.int64()).to_pylist() == [2, 4, 3, 1]
