"""Reading: the right files, the right rows, fresh, side by side."""

from __future__ import annotations

import math
import shutil
import threading
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from storage import creation, parquet, physical, schemas, views
from storage.check import check_lake
from storage.describe import describe_macros, describe_tables
from storage.disk import ASK_S, FreeSpace, disk_space, require_free_bytes
from storage.errors import DiskLow
from storage.lake import Lake
from storage.macros import create_macros
from storage.maintenance import compact
from storage.notebook import Notebook
from storage.schemas import TABLES, TIMESTAMP, Column
from storage.session import ReadSession, asked_tables
from storage.settings import StorageSettings
from storage.sql_guard import check_text
from storage.sql_worker import SqlPool
from storage.views import reading_order
from tests.storage.conftest import HOUR, requests

_MACROS = duckdb.connect()
create_macros(_MACROS)


def ids(session: ReadSession, **kwargs: object) -> list[str]:
    rows = session.query("SELECT request_id FROM requests ORDER BY 1", **kwargs)  # type: ignore[arg-type]
    return [str(v) for v in rows["request_id"].to_pylist()]


def test_tables_never_written_are_empty_with_their_types(session: ReadSession) -> None:
    for name, spec in TABLES.items():
        read = session.query(f"SELECT * FROM {name}")
        assert read.num_rows == 0
        assert read.column_names == [*spec.column_names, "day", "hour"]


def test_empty_and_full_tables_have_the_same_types(lake: Lake, session: ReadSession) -> None:
    for name in TABLES:
        empty = session.query(f"SELECT * FROM {name}").schema
        row = pa.table({"time": pa.array([HOUR], TIMESTAMP), "tenant": ["default"]})
        lake.table(name).append(row, app_id="w", app_version=1)
        assert session.query(f"SELECT * FROM {name}").schema == empty


def test_only_files_that_can_hold_the_range_are_opened(lake: Lake, session: ReadSession) -> None:
    table = lake.table("requests")
    for hour in range(48):
        start = HOUR + timedelta(hours=hour)
        table.append(requests(1, start=start, first=hour), app_id="w", app_version=hour)
    assert len(session.files("requests")) == 48
    inside = session.files("requests", HOUR + timedelta(hours=5), HOUR + timedelta(hours=7))
    assert [(f.day, f.hour) for f in inside] == [(HOUR.date(), 15), (HOUR.date(), 16)]
    for entry in session.files("requests", None, HOUR + timedelta(hours=5)):
        (table.location / entry.path).unlink()
    rest = ids(session, start=HOUR + timedelta(hours=5))
    assert rest == [f"{hour:08x}" for hour in range(5, 48)]


def test_the_newest_rows_are_read_from_the_newest_files(
    lake: Lake, session: ReadSession, settings: StorageSettings
) -> None:
    assert reading_order("SELECT 1 ORDER BY time DESC\nLIMIT 5", ["a", "b"]) == ["b", "a"]
    for other in ("SELECT 1 LIMIT 5", "SELECT 1 ORDER BY time DESC", "SELECT 'descr' LIMIT 1"):
        assert reading_order(other, ["a", "b"]) == ["a", "b"]
    for hour in range(6):
        rows = requests(3, start=HOUR + timedelta(hours=hour), first=hour * 10)
        lake.table("requests").append(rows, app_id="w", app_version=hour)
    newest = "SELECT request_id FROM requests ORDER BY time DESC LIMIT 4"
    expected = [f"{n:08x}" for n in (52, 51, 50, 42)]
    assert session.query(newest)["request_id"].to_pylist() == expected
    with SqlPool(settings) as pool:
        assert pool.run(newest).table["request_id"].to_pylist() == expected
    with Notebook(lake) as notebook:
        assert notebook.arrow(newest)["request_id"].to_pylist() == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT sum(requests) AS requests FROM usage_day", {"usage_day"}),
        ("SELECT 'FROM logs', 'it''s from spans' FROM Requests -- FROM metrics", {"requests"}),
        ("FROM main.logs l LEFT JOIN\n\"spans\" USING (trace_id) /* from metrics */",
         {"logs", "spans"}),
        ("SELECT 1 FROM nowhere", set()),
    ],
)  # fmt: skip
def test_only_tables_behind_from_or_join_are_opened(sql: str, expected: set[str]) -> None:
    assert asked_tables(sql) == expected


def test_a_table_named_in_any_other_way_is_still_found(lake: Lake, session: ReadSession) -> None:
    lake.table("requests").append(requests(3), app_id="w", app_version=1)
    for source, rows in (
        ("range(5), requests", 15),
        ("/* the raw ones */ requests", 3),
        ("(requests CROSS JOIN range(2))", 6),
    ):
        assert session.query(f"SELECT count(*) AS n FROM {source}")["n"].to_pylist() == [rows]
    elsewhere = pa.table({"n": [1]})
    with pytest.raises(duckdb.CatalogException):  # a variable is no table
        session.query("SELECT n FROM elsewhere")
    assert elsewhere.num_rows == 1


def test_bounds_are_half_open_to_the_microsecond(lake: Lake, session: ReadSession) -> None:
    moment = HOUR + timedelta(microseconds=123_457)
    lake.table("requests").append(requests(1, start=moment), app_id="w", app_version=1)
    tick = timedelta(microseconds=1)
    assert len(session.files("requests", moment, moment + tick)) == 1
    assert session.files("requests", moment + tick, None) == []
    assert session.files("requests", None, moment) == []


def test_parameters_are_bound_by_name_or_in_order(lake: Lake, session: ReadSession) -> None:
    lake.table("requests").append(requests(10), app_id="w", app_version=1)
    named = "SELECT count(*) n FROM requests WHERE time >= $since AND api = $api"
    given: dict[str, object] = {"since": HOUR + timedelta(seconds=4), "api": "orders"}
    assert session.query(named, given)["n"].to_pylist() == [6]
    assert session.query("SELECT count(*) n FROM requests WHERE api = ?", ["x' OR 1=1"])[
        "n"
    ].to_pylist() == [0]


def test_rows_are_visible_right_after_the_commit(lake: Lake, settings: StorageSettings) -> None:
    with ReadSession(Lake(settings)) as reader:
        assert ids(reader) == []
        lake.table("requests").append(requests(1), app_id="w", app_version=1)
        assert ids(reader) == ["00000000"]
        lake.table("requests").append(requests(1, first=1), app_id="w", app_version=2)
        assert ids(reader) == ["00000000", "00000001"]


def test_queries_side_by_side_see_their_own_range(lake: Lake, session: ReadSession) -> None:
    table = lake.table("requests")
    for hour in range(8):
        start = HOUR + timedelta(hours=hour)
        table.append(requests(hour + 1, start=start), app_id="w", app_version=hour)
    wrong: list[tuple[int, int]] = []

    def ask(hour: int) -> None:
        start = HOUR + timedelta(hours=hour)
        for _ in range(10):
            sql = "SELECT count(*) n FROM requests"
            found = session.query(sql, start=start, end=start + timedelta(hours=1))["n"][0].as_py()
            if found != hour + 1:
                wrong.append((hour, found))

    threads = [threading.Thread(target=ask, args=(hour,)) for hour in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_tenant_sees_no_other_tenants_files(lake: Lake) -> None:
    table = lake.table("requests")
    table.append(requests(2, tenant="a"), app_id="w", app_version=1)
    table.append(requests(3, tenant="b"), app_id="w", app_version=2)
    for tenant, expected in (("a", 2), ("b", 3), ("c", 0), (None, 5)):
        with ReadSession(lake, tenant=tenant) as session:
            assert len(ids(session)) == expected


def test_exactly_the_files_of_a_change_are_read(lake: Lake, session: ReadSession) -> None:
    table = lake.table("requests")
    for version in range(4):
        table.append(requests(2, first=version * 2), app_id="w", app_version=version)
    compact(lake, "requests", datetime.now(HOUR.tzinfo) + timedelta(days=2))
    changes = table.changes(1, versions_max=2)
    assert (changes.from_version, changes.to_version, changes.rows) == (1, 3, 4)
    read = ids(session, files={"requests": changes.files})
    assert read == ["00000002", "00000003", "00000004", "00000005"]
    assert ids(session, files={"requests": []}) == []


def test_changes_stop_after_enough_rows_but_always_move_on(lake: Lake) -> None:
    table = lake.table("requests")
    for version in range(6):
        table.append(requests(4, first=version), app_id="w", app_version=version)
    steps = []
    place: int | None = None
    while not (changes := table.changes(place, rows_max=7)).empty:
        steps.append(changes.rows)
        place = changes.to_version
    assert steps == [8, 8, 8]
    assert (changes.rows, changes.files, changes.to_version) == (0, (), table.version())


def test_times_come_back_in_utc(lake: Lake, session: ReadSession) -> None:
    lake.table("requests").append(requests(1), app_id="w", app_version=1)
    read = session.query("SELECT time, hour(time) AS h, date_trunc('day', time) d FROM requests")
    assert read["time"][0].as_py() == HOUR
    assert read["h"][0].as_py() == HOUR.hour
    assert read["d"][0].as_py() == HOUR.replace(hour=0)


@pytest.mark.parametrize("ms", [1e-9, 0.004, 1.0, 1.02, 9.99, 123.4, 5e5, 1e12])
def test_a_bucket_is_within_one_percent_of_its_time(session: ReadSession, ms: float) -> None:
    read = session.query("SELECT latency_bucket($1) b, bucket_ms(latency_bucket($1)) m", [ms])
    assert read["m"][0].as_py() == pytest.approx(ms, rel=0.01)
    bucket = read["b"][0].as_py()
    assert 1.02**bucket <= ms * (1 + 1e-9)
    assert ms < 1.02 ** (bucket + 1) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("ms", "bucket", "middle"),
    [(0.0, -32768, 0.0), (-5.0, -32768, 0.0), (None, None, None), (math.nan, None, None)],
)
def test_odd_times_have_a_bucket_or_none(
    session: ReadSession, ms: float | None, bucket: int | None, middle: float | None
) -> None:
    sql = "SELECT latency_bucket($1::DOUBLE) b, bucket_ms(latency_bucket($1::DOUBLE)) m"
    assert session.query(sql, [ms]).to_pylist() == [{"b": bucket, "m": middle}]


def test_a_quantile_adds_partial_sums_up_and_skips_nothing(session: ReadSession) -> None:
    sql = "SELECT latency_quantile([5, 1, 5, 9], [1, 7, 1, 1], $1) q"
    middle = {b: 1.02 ** (b + 0.5) for b in (1, 5, 9)}
    for q, bucket in ((0.0, 1), (0.5, 1), (0.7, 1), (0.71, 5), (0.9, 5), (0.99, 9), (1.0, 9)):
        assert session.query(sql, [q])["q"][0].as_py() == pytest.approx(middle[bucket]), q
    assert session.query("SELECT latency_quantile([], [], 0.5) q")["q"].to_pylist() == [None]


def test_a_new_column_reads_as_null_in_old_files(
    lake: Lake, settings: StorageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.table("rejects").append(
        pa.table({"time": pa.array([HOUR], TIMESTAMP), "tenant": ["default"], "source": ["old"]}),
        app_id="w",
        app_version=1,
    )
    old = TABLES["rejects"]
    columns = (*old.columns, Column("severity", pa.uint64(), "How bad.", "points"))
    evolved = {
        **TABLES,
        "rejects": schemas.TableSpec(
            old.name, old.description, columns, old.tier, old.sort, old.bloom
        ),
    }
    for module in (schemas, physical, views):
        monkeypatch.setattr(module, "TABLES", evolved)
    monkeypatch.setattr("storage.lake.TABLES", evolved)
    for module in (schemas, creation, parquet, views):
        monkeypatch.setattr(module, "LAKE_SCHEMA_VERSION", schemas.LAKE_SCHEMA_VERSION + 1)
    physical.parquet_schema.cache_clear()
    try:
        newer = Lake(settings)
        sql = "SELECT source, severity FROM rejects ORDER BY source"
        with ReadSession(newer) as session:
            assert session.query(sql).to_pylist() == [{"source": "old", "severity": None}]
            newer.table("rejects").append(
                pa.table(
                    {
                        "time": pa.array([HOUR], TIMESTAMP),
                        "tenant": ["default"],
                        "source": ["new"],
                        "severity": pa.array([2**63], pa.uint64()),
                    }
                ),
                app_id="w",
                app_version=2,
            )
            both = [{"source": "new", "severity": 2**63}, {"source": "old", "severity": None}]
            assert session.query(sql).to_pylist() == both
            compact(newer, "rejects", datetime.now(HOUR.tzinfo) + timedelta(days=2))
            assert len(session.files("rejects")) == 1
            assert session.query(sql).to_pylist() == both
        assert pl.scan_delta(str(newer.root / "rejects")).collect()["severity"].null_count() == 1
        with ReadSession(lake) as before:  # a reader of before goes on reading what it knows
            assert before.query("SELECT source FROM rejects ORDER BY 1").num_rows == 2
    finally:
        physical.parquet_schema.cache_clear()


@settings_of_hypothesis(deadline=None, max_examples=40)
@given(
    histogram=st.lists(st.tuples(st.integers(-32768, 900), st.integers(-1, 50)), max_size=12),
    q=st.sampled_from([0.0, 0.01, 0.5, 0.9, 0.99, 1.0]),
)
def test_latency_quantile_equals_a_plain_walk_over_the_buckets(
    histogram: list[tuple[int, int]], q: float
) -> None:
    counted = sorted((b, n) for b, n in histogram if n > 0)
    total, upto, expected = sum(n for _b, n in counted), 0, None
    for bucket, n in counted:
        upto += n
        if upto >= q * total:
            expected = bucket
            break
    given_lists = [[b for b, _n in histogram], [n for _b, n in histogram]]
    sql = "SELECT latency_quantile($1::SMALLINT[], $2::BIGINT[], $3) AS v, bucket_ms($4) AS e"
    _MACROS.execute("SET TimeZone = 'UTC'")
    found, wanted = _MACROS.execute(sql, [*given_lists, q, expected]).fetchall()[0]
    assert found == wanted


_LETTERS = st.text("aAbBkéÉßäÄΣσ日 0.*+?()[]{}|^$\\\\%_'\"\n\0-", max_size=12)


@given(text=st.none() | _LETTERS, part=_LETTERS)
@settings_of_hypothesis(max_examples=150, deadline=None)
def test_a_part_of_a_text_is_found_in_any_case(text: str | None, part: str) -> None:
    found = _MACROS.execute("SELECT icontains($1, $2)", [text, part]).fetchall()
    assert found == [(None if text is None else part.lower() in text.lower(),)]
    if text is not None:  # whatever is cut out of a text is in it
        cut = text[len(text) // 3 : 1 + 2 * len(text) // 3].swapcase().replace("SS", "ß")
        assert _MACROS.execute("SELECT icontains($1, $2)", [text, cut]).fetchall() == [(True,)]


def test_the_documented_ways_into_the_lake_work(lake: Lake) -> None:
    lake.table("requests").append(requests(5), app_id="w", app_version=1)
    folder = lake.root / "requests"
    assert pl.scan_delta(str(folder)).filter(pl.col("api") == "orders").collect().height == 5
    glob = f"{folder}/*/*/*/*.parquet"
    sql = "SELECT count(*) FROM read_parquet($1, hive_partitioning = true) WHERE hour = 10"
    assert duckdb.connect().execute(sql, [glob]).fetchall() == [(5,)]


def test_every_table_column_and_macro_is_described(session: ReadSession) -> None:
    for table in describe_tables():
        assert table.description.endswith(".")
        for column in table.columns:
            assert column.description.endswith((".", "..")), (table.name, column.name)
        described = [(c.name, c.type) for c in table.columns]
        typed = session.query(f"DESCRIBE {table.name}")
        real = [t.replace('"', "") for t in typed["column_type"].to_pylist()]
        assert described == list(zip(typed["column_name"].to_pylist(), real, strict=True))
    assert all(m.description.endswith(".") for m in describe_macros())


def test_every_example_query_runs_and_passes_the_guard(session: ReadSession) -> None:
    for table in describe_tables():
        check_text(table.example)
        assert session.query(table.example).num_rows == 0


def test_below_the_reserve_the_disk_counts_as_full(tmp_path: Path) -> None:
    settings = StorageSettings(data_dir=tmp_path / "not" / "there" / "yet", disk_reserve_mb=0)
    assert disk_space(settings).ok
    free = disk_space(settings).free_bytes
    assert not disk_space(settings, needed_bytes=free + 2**40).ok
    greedy = StorageSettings(data_dir=tmp_path, disk_reserve_mb=2**40)
    with pytest.raises(DiskLow, match="resumes by itself"):
        require_free_bytes(greedy)
    require_free_bytes(settings)


def test_the_disk_is_asked_anew_in_time_and_before_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, free, now = shutil.disk_usage(tmp_path), 100, 0.0
    monkeypatch.setattr("storage.disk.shutil.disk_usage", lambda _: real._replace(free=free))
    settings = StorageSettings(data_dir=tmp_path, disk_reserve_mb=0)
    space = FreeSpace(settings, clock=lambda: now)
    assert space.ok(60)
    free = 40
    assert space.ok(40)
    assert not space.ok(41)
    assert space.ok(40)
    free = 1000
    assert space.ok(500)
    free = 0
    assert space.ok(500)
    assert not space.ok(1)
    free = 1000
    assert space.ok(1)
    free, now = 0, ASK_S
    assert not space.ok(1)


def test_a_healthy_lake_has_no_problems(lake: Lake, settings: StorageSettings) -> None:
    assert list(check_lake(settings)) == []
    lake.table("requests").append(requests(5), app_id="w", app_version=1)
    assert list(check_lake(settings, read_rows=True)) == []


def test_damage_is_found_wherever_a_data_file_is_cut(lake: Lake, settings: StorageSettings) -> None:
    table = lake.table("requests")
    table.append(requests(3), app_id="w", app_version=1)
    (entry,) = table.snapshot().files()
    path = table.location / entry.path
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        (problem,) = check_lake(settings)
        assert (problem.table, problem.rows_lost) == ("requests", 3)
    for at in range(len(whole) - 8, len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        assert len(list(check_lake(settings))) == 1, at
    path.unlink()
    (problem,) = check_lake(settings)
    assert problem.reason == "missing"


def test_a_torn_commit_is_found_and_other_tables_are_still_checked(
    lake: Lake, settings: StorageSettings
) -> None:
    lake.table("requests").append(requests(3), app_id="w", app_version=1)
    lake.table("spans")
    commit = lake.root / "requests/_delta_log" / f"{1:020d}.json"
    commit.write_bytes(commit.read_bytes()[:100])
    problems = list(check_lake(settings))
    assert [(p.table, p.path) for p in problems] == [("requests", str(commit))]
