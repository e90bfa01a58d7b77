"""Hostile SQL, statement by statement: refused by both guards, or contained by the worker."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa
import pytest

from storage import sql_process
from storage.errors import (
    SqlBusy,
    SqlCancelled,
    SqlError,
    SqlFailed,
    SqlRefused,
    SqlTimeout,
)
from storage.lake import Lake
from storage.limits import SQL_CHARS_MAX
from storage.settings import StorageSettings
from storage.sql_guard import check_text, check_tree
from storage.sql_worker import SqlLimits, SqlPool
from storage.wire import Answer, AnswerReader, write_answer
from tests.storage.conftest import HOUR, requests

FORBIDDEN = [
    # files
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('/etc/passwd')",
    "SELECT * FROM read_parquet('/etc/passwd')",
    "SELECT * FROM read_json('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/proc/self/environ')",
    "SELECT * FROM parquet_scan('/tmp/x.parquet')",
    "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
    "SELECT * FROM parquet_schema('/tmp/x.parquet')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 'data.parquet'",
    'SELECT * FROM "../../etc/passwd"',
    "SELECT * FROM 's3://bucket/key.parquet'",
    "SELECT * FROM 'http://example.com/x.csv'",
    "SELECT * FROM delta_scan('/tmp')",
    "SELECT * FROM sqlite_scan('/tmp/x.db', 't')",
    "COPY requests TO '/tmp/out.csv'",
    "COPY (SELECT 1) TO 'x.parquet'",
    "COPY requests FROM '/etc/passwd'",
    "EXPORT DATABASE '/tmp/out'",
    "IMPORT DATABASE '/tmp/out'",
    "ATTACH '/tmp/x.db' AS x",
    "ATTACH ':memory:' AS x",
    "DETACH memory",
    "USE memory",
    # settings, extensions, secrets
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '/tmp/evil.duckdb_extension'",
    "FORCE INSTALL httpfs FROM 'http://example.com'",
    "SET memory_limit = '100GB'",
    "SET enable_external_access = true",
    "SET VARIABLE x = 1",
    "SET search_path = 'main'",
    "RESET memory_limit",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "PRAGMA version",
    "CALL pragma_version()",
    "CALL enable_logging(storage='file')",
    "CREATE SECRET s (TYPE s3)",
    "SELECT current_setting('memory_limit')",
    "SELECT getvariable('x')",
    "SELECT getenv('HOME')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_databases()",
    "SELECT * FROM duckdb_memory()",
    "SELECT * FROM duckdb_views()",
    "SELECT * FROM duckdb_views",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM pragma_table_info('requests')",
    "SELECT write_log('x')",
    "SELECT * FROM which_secret('s3://x', 's3')",
    # text run as SQL
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('requests')",
    "SELECT json_execute_serialized_sql('{}')",
    "SELECT * FROM json_execute_serialized_sql('{}')",
    "SELECT json_serialize_sql('SELECT 1')",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    # changes
    "CREATE TABLE t (a INT)",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE VIEW v AS SELECT 1",
    "CREATE MACRO m(x) AS x",
    "CREATE TYPE t AS ENUM ('a')",
    "CREATE SEQUENCE s",
    "INSERT INTO requests SELECT * FROM requests",
    "UPDATE requests SET api = 'x'",
    "DELETE FROM requests",
    "TRUNCATE requests",
    "MERGE INTO requests USING spans ON true WHEN MATCHED THEN DELETE",
    "DROP VIEW requests",
    "ALTER TABLE requests ADD COLUMN x INT",
    "CHECKPOINT",
    "VACUUM",
    "ANALYZE",
    "BEGIN",
    "EXPLAIN ANALYZE SELECT 1",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "SELECT nextval('s')",
    "SELECT sleep_ms(100000)",
    "SELECT pg_sleep(100)",
    # tricks
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP VIEW requests",
    "SELECT 1 /* ; */ ; COPY requests TO '/tmp/x'",
    "SELECT * FROM memory.main.requests",
    "SELECT * FROM main.requests",
    "SELECT * FROM other.requests",
    "WITH x AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM x",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT * FROM requests WHERE api IN (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT * FROM requests ORDER BY (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT * FROM requests LIMIT (SELECT count(*) FROM duckdb_settings())",
    "SELECT list_transform([1], lambda x: current_setting('memory_limit'))",
    "SELECT * FROM (VALUES (getenv('HOME')))",
    "SELECT * FROM requests UNION ALL SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM requests, LATERAL (SELECT * FROM read_text(api))",
    "SELECT * FROM (SELECT 1 FROM (WITH duckdb_views AS (SELECT 1) SELECT * FROM duckdb_views)),"
    " duckdb_views",
    'WITH "/etc/passwd" AS (SELECT 1) SELECT * FROM "/etc/passwd"',
    "FROM read_text('/etc/passwd')",
    "FROM duckdb_settings() SELECT *",
    "SUMMARIZE read_text('/etc/passwd')",
    "DESCRIBE SELECT * FROM read_text('/etc/passwd')",
    "SUMMARIZE duckdb_settings",
    "PIVOT requests ON api",
    "SELECT * FROM requests FOR UPDATE",
    "SELECT 1 INTO x",
    "",
    "  -- nothing\n",
    ";",
    "SELECT 'unfinished",
]

UNREADABLE = [
    "SELECT 1\x00",
    "(" * 3000 + "1" + ")" * 3000,
    "SELECT " + "(" * 3000 + "1" + ")" * 3000,
    "SELECT " + "1 + " * 30_000 + "1",
]
"""Refused for their form; what DuckDB makes of them would do no harm."""

ALLOWED = [
    "SELECT 1",
    "SELECT count(*) FROM requests",
    "FROM requests SELECT api LIMIT 1",
    "FROM requests",
    "WITH a AS (SELECT api, count(*) AS n FROM requests GROUP BY ALL) SELECT * FROM a ORDER BY n",
    "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t WHERE i < 5) SELECT * FROM t",
    "SELECT * FROM requests WHERE time > now() - INTERVAL 1 HOUR AND attributes['x'] = 'y'",
    "SELECT r.api, s.name FROM requests r LEFT JOIN spans s USING (trace_id)",
    "SELECT api, quantile_cont(duration_ms, 0.99) FROM requests GROUP BY api HAVING count(*) > 1",
    "SELECT api, row_number() OVER (PARTITION BY api ORDER BY time) n FROM requests QUALIFY n = 1",
    "SELECT latency_quantile(list(bucket), list(requests), 0.99) FROM latency_minute",
    "SELECT apdex(duration_ms, 500), is_error(any_value(status_code)) FROM requests",
    "SELECT bucket_ms(latency_bucket(12.5))",
    "SELECT * FROM range(3) t(i), (VALUES (1), (2)) v(x)",
    "SELECT unnest([1, 2]) AS x",
    "SELECT * FROM requests, unnest([1, 2]) AS u(x)",
    "SELECT list_transform([1, 2], lambda x: x + 1), {'a': 1}, MAP {'k': 'v'}",
    "SELECT [x * 2 for x in range(3) if x > 1]",
    "SELECT json_extract_string('{\"a\": 1}', '$.a'), '{\"a\": 1}'::JSON ->> 'a'",
    "SELECT time_bucket(INTERVAL '5 minutes', time) AS t, count(*) FROM requests GROUP BY t",
    "SELECT date_trunc('hour', time), strftime(time, '%H') FROM requests",
    "SELECT CASE WHEN status_code >= 500 THEN 'bad' ELSE 'good' END FROM requests",
    "SELECT path FROM requests WHERE path LIKE '/a%' OR path ~ '^/b' OR path ILIKE '%C'",
    "SELECT * EXCLUDE (attributes) FROM requests",
    "SELECT COLUMNS('.*_ms') FROM requests",
    "SELECT count(*) FILTER (WHERE status_code = 200) FROM requests",
    "SELECT api FROM requests UNION SELECT service_name FROM spans EXCEPT SELECT 'x'",
    "SELECT requests.api FROM Requests AS requests",
    "SELECT day, hour, count(*) FROM requests GROUP BY ROLLUP (day, hour)",
    "SELECT e.name FROM (SELECT unnest(events) AS e FROM spans)",
    "DESCRIBE requests",
    "SUMMARIZE requests",
    "VALUES (1, 2)",
    "SELECT TRY_CAST('x' AS INT), coalesce(NULL, 1), 5 // 2, 2 ** 3, 'a' || 'b'",
    "SELECT EXTRACT(hour FROM time), time::DATE, current_date FROM requests",
    "SELECT substring(path, 1, 3), path[1:3], upper(method) FROM requests",
    "SELECT 1;",
    "-- a comment\nSELECT 1 /* another */",
]


_PARSER = duckdb.connect()


def parse(sql: str) -> dict[str, object]:
    row = _PARSER.execute(
        "SELECT json_serialize_sql($1, skip_null := true, skip_empty := true)", [sql]
    )
    return dict(json.loads(row.fetchall()[0][0]))


@pytest.mark.parametrize("sql", FORBIDDEN + UNREADABLE, ids=lambda s: s[:60])
def test_the_text_guard_refuses(sql: str) -> None:
    with pytest.raises(SqlRefused) as caught:
        check_text(sql)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("sql", FORBIDDEN, ids=lambda s: s[:60])
def test_the_tree_guard_refuses_on_its_own(sql: str) -> None:
    try:
        tree = parse(sql)
    except duckdb.Error:
        return  # DuckDB itself cannot read it
    with pytest.raises(SqlRefused):
        check_tree(tree, sql=sql)


@pytest.mark.parametrize("sql", ALLOWED, ids=lambda s: s[:60])
def test_both_guards_let_analysis_through(sql: str) -> None:
    check_text(sql)
    check_tree(parse(sql), sql=sql)


def test_refusals_name_line_and_column() -> None:
    with pytest.raises(
        SqlRefused, match=r"function getenv is not available\. \(line 2, column 3\)"
    ):
        check_text("SELECT\n  getenv('HOME')")
    with pytest.raises(SqlRefused, match=r"no table 'nope'\. \(line 1, column 15\)"):
        check_text("SELECT * FROM nope")
    sql = "SELECT 'ä',\n current_setting('x')"
    with pytest.raises(SqlRefused, match=r"\(line 2, column 2\)"):
        check_tree(parse(sql), sql=sql)


def test_a_query_that_is_too_long_is_refused_unparsed() -> None:
    started = time.monotonic()
    with pytest.raises(SqlRefused, match="characters long"):
        check_text("SELECT * FROM requests WHERE api IN (" + "'x'," * SQL_CHARS_MAX + "'y')")
    assert time.monotonic() - started < 0.5


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlPool]:
    settings = StorageSettings(data_dir=tmp_path_factory.mktemp("sandbox"))
    table = Lake(settings).table("requests")
    table.append(requests(50), app_id="w", app_version=1)
    table.append(requests(7, tenant="other", api="secret"), app_id="w", app_version=2)
    with SqlPool(settings) as opened:
        opened.settings_for_tests = settings  # type: ignore[attr-defined]
        yield opened


@pytest.mark.parametrize("sql", ALLOWED, ids=lambda s: s[:60])
def test_allowed_queries_run(pool: SqlPool, sql: str) -> None:
    assert pool.run(sql).table.num_columns > 0


def test_only_rows_of_the_own_tenant_are_seen(pool: SqlPool) -> None:
    sql = "SELECT api, tenant, count(*) AS n FROM requests GROUP BY ALL"
    assert pool.run(sql).table.to_pylist() == [{"api": "orders", "tenant": "default", "n": 50}]
    assert pool.run(sql, tenant="other").table["n"].to_pylist() == [7]
    assert pool.run(sql, tenant="nobody").table.num_rows == 0
    assert pool.run(sql, tenant="default' OR 'a'='a").table.num_rows == 0


def test_parameters_are_bound_not_pasted(pool: SqlPool) -> None:
    hostile = "orders' OR 1=1 --"
    count = "SELECT count(*) AS n FROM requests WHERE api = "
    assert pool.run(count + "$api", params={"api": hostile}).table["n"].to_pylist() == [0]
    assert pool.run(count + "?", params=["orders"]).table["n"].to_pylist() == [50]
    since = pool.run(
        "SELECT count(*) AS n FROM requests WHERE time >= $1 AND day = $2",
        params=[HOUR + timedelta(seconds=10), HOUR.date()],
    )
    assert since.table["n"].to_pylist() == [40]
    wrong = "SELECT $missing"
    with pytest.raises(SqlFailed):
        pool.run(wrong, params={"other": 1})


def test_too_many_rows_are_cut_and_say_so(pool: SqlPool) -> None:
    result = pool.run("SELECT * FROM range(1000000) t(i)", limits=SqlLimits(rows_max=1234))
    assert (result.table.num_rows, result.truncated) == (1234, True)
    assert pool.run("SELECT 1").truncated is False
    exact = pool.run("SELECT * FROM range(1234) t(i)", limits=SqlLimits(rows_max=1234))
    assert (exact.table.num_rows, exact.truncated) == (1234, False)


def test_too_many_bytes_are_cut_and_say_so(pool: SqlPool) -> None:
    wide = "SELECT repeat('x', 1000) AS x FROM range(100000)"
    result = pool.run(wide, limits=SqlLimits(bytes_max=20_000_000))
    assert result.truncated
    assert 0 < result.table.nbytes <= 20_000_000


def test_errors_are_one_sentence_with_a_position(pool: SqlPool) -> None:
    with pytest.raises(SqlFailed) as caught:
        pool.run("SELECT api,\n  durration_ms FROM requests")
    message = str(caught.value)
    assert "durration_ms" in message
    assert (caught.value.line, caught.value.column) == (2, 3)
    assert message.count("(line 2, column 3)") == 1
    assert "\n" not in message


def long(sql: str) -> object:
    """A case of the long suite: like another one, in different clothes."""
    return pytest.param(sql, marks=pytest.mark.slow)


ENDLESS = "SELECT sum(a.i * b.i) FROM range(100000000) a(i), range(100000000) b(i)"

RUNAWAY = [
    ENDLESS,
    long("WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t) SELECT count(*) FROM t"),
    long("SELECT count(*) FROM range(100000000000) t(i) WHERE md5(i::VARCHAR) = 'x'"),
    long("SELECT levenshtein(repeat('a', 200000), repeat('b', 200000))"),
]


@pytest.mark.parametrize("sql", RUNAWAY, ids=lambda s: s[:40])
def test_a_runaway_query_dies_at_its_deadline_and_the_next_one_runs(
    pool: SqlPool, sql: str
) -> None:
    started = time.monotonic()
    with pytest.raises(SqlTimeout, match="too long"):
        pool.run(sql, limits=SqlLimits(seconds_max=0.5))
    assert time.monotonic() - started < 20  # starting a worker on a busy machine included
    assert pool.run("SELECT count(*) AS n FROM requests").table["n"].to_pylist() == [50]


def test_beside_a_runaway_query_others_are_answered(pool: SqlPool) -> None:
    answered = threading.Event()
    lasting = "SELECT count(*) FROM range(100000000000) t(i) WHERE md5(i::VARCHAR) = 'x'"

    def hog() -> None:
        with pytest.raises(SqlCancelled):
            # Without memory of its own: a join would run out of it before a slow start is over.
            pool.run(lasting, cancelled=answered, limits=SqlLimits(seconds_max=60.0))

    started = threading.Thread(target=hog)
    started.start()
    try:
        assert pool.run("SELECT count(*) AS n FROM requests").table["n"].to_pylist() == [50]
        assert started.is_alive(), "no answer while the other one ran"
    finally:
        answered.set()
        started.join()


def test_a_pattern_costs_no_more_than_its_text(pool: SqlPool) -> None:
    """RE2: no pattern makes it try every way to split a text."""
    sql = "SELECT regexp_matches(repeat('a', 5000), '(a+)+b') AS hit"
    result = pool.run(sql, limits=SqlLimits(seconds_max=10))
    assert result.table["hit"].to_pylist() == [False]


HUNGRY = [
    "SELECT list(range(100000000))",
    "SELECT repeat('x', 2000000000)",
    long("SELECT string_agg(repeat('x', 1000000), ',') FROM range(100000)"),
    long("SELECT i, md5(i::VARCHAR) m FROM range(100000000) t(i) ORDER BY m"),
    long("SELECT lpad('x', 2000000000, 'y')"),
]


@pytest.mark.parametrize("sql", HUNGRY, ids=lambda s: s[:40])
def test_a_hungry_query_is_stopped_and_the_next_one_runs(pool: SqlPool, sql: str) -> None:
    limits = SqlLimits(memory_bytes=300_000_000, seconds_max=10)
    with pytest.raises(SqlError):
        pool.run(sql, limits=limits)
    assert pool.run("SELECT 1 AS x", limits=limits).table["x"].to_pylist() == [1]


def test_a_cancelled_query_stops_soon(pool: SqlPool) -> None:
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    started = time.monotonic()
    with pytest.raises(SqlCancelled):
        pool.run(ENDLESS, cancelled=cancelled)
    assert time.monotonic() - started < 20


class Engine:
    """Progress as DuckDB reports it, one value an asking."""

    def __init__(self, *percents: float) -> None:
        self.percents = list(percents)
        self.asked_all = threading.Event()

    def query_progress(self) -> float:
        if len(self.percents) == 1:
            self.asked_all.set()
            return self.percents[0]
        return self.percents.pop(0)


def test_progress_is_told_where_it_grows_and_never_after_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sql_process, "PROGRESS_SECONDS", 0.001)
    told: list[float] = []
    engine = Engine(-1.0, 0.0, 12.5, 12.5, 50.0, 40.0, 100.1, -1.0)
    with sql_process.progress_told(cast(Any, engine), told.append):
        assert engine.asked_all.wait(30)
    assert told == [0.125, 0.5, 1.0]


def test_a_query_says_that_it_runs_before_it_is_done(pool: SqlPool) -> None:
    told: list[float] = []
    pool.run("SELECT count(*) FROM requests", progress=told.append)
    assert told[0] == 0.0
    assert all(0 <= share <= 1 for share in told)


def test_answers_that_come_glued_together_or_in_bits_are_told_apart() -> None:
    stream = io.BytesIO()
    table = pa.table({"n": [1, 2]})
    write_answer(stream, Answer(progress=0.25))
    write_answer(stream, Answer(progress=0.5))
    write_answer(stream, Answer(elapsed_ms=7.0), table)
    data = stream.getvalue()
    for size in (1, 7, len(data)):
        reader, found = AnswerReader(), []
        for at in range(0, len(data), size):
            reader.feed(data[at : at + size])
            while (answer := reader.take()) is not None:
                found.append(answer)
        assert [a.progress for a, _ in found] == [0.25, 0.5, None]
        assert found[2][1] == table and reader.take() is None


def test_beyond_the_queue_a_query_is_told_to_come_back(settings: StorageSettings) -> None:
    with SqlPool(settings, concurrency=1, waiting_max=1, wait_seconds=0.2) as small:
        small.run("SELECT 1")
        slow = threading.Thread(
            target=lambda: pytest.raises(
                SqlTimeout, small.run, ENDLESS, limits=SqlLimits(seconds_max=1.5)
            )
        )
        slow.start()
        while small._slots.acquire(blocking=False):
            small._slots.release()
        with pytest.raises(SqlBusy, match="Try again"):
            small.run("SELECT 1")
        slow.join()
        assert small.run("SELECT 1").table.num_rows == 1


def test_the_worker_has_no_secrets_in_its_environment(
    settings: StorageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    with SqlPool(settings) as fresh:
        fresh.run("SELECT 1")
        environment = Path(f"/proc/{fresh._idle[0]._process.pid}/environ").read_bytes()
    assert b"canary" not in environment


def test_a_worker_that_crashes_is_an_error_of_its_query_alone(settings: StorageSettings) -> None:
    """As a hostile data file might make it: the server and the next query are not touched."""
    with SqlPool(settings) as fresh:
        fresh.run("SELECT 1")
        pid = fresh._idle[0]._process.pid
        told: list[SqlError] = []

        def ask() -> None:
            try:
                fresh.run(ENDLESS, limits=SqlLimits(seconds_max=30))
            except SqlError as err:
                told.append(err)

        asking = threading.Thread(target=ask)
        asking.start()
        while fresh._idle:
            time.sleep(0.001)
        os.kill(pid, signal.SIGSEGV)
        asking.join(20)
        assert told and not asking.is_alive()
        assert fresh.run("SELECT 1 AS x").table["x"].to_pylist() == [1]


def test_closing_the_pool_leaves_no_process(settings: StorageSettings) -> None:
    fresh = SqlPool(settings)
    fresh.run("SELECT 1")
    pid = fresh._idle[0]._process.pid
    fresh.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_new_rows_are_visible_to_the_next_query(settings: StorageSettings) -> None:
    count = "SELECT count(*) AS n FROM requests"
    with SqlPool(settings) as fresh:
        assert fresh.run(count).table["n"].to_pylist() == [0]
        Lake(settings).table("requests").append(requests(3), app_id="w", app_version=1)
        assert fresh.run(count).table["n"].to_pylist() == [3]


def test_a_condition_on_time_keeps_other_files_closed(
    lake: Lake, settings: StorageSettings
) -> None:
    table = lake.table("requests")
    for hour in range(3):
        rows = requests(2, start=HOUR + timedelta(hours=hour))
        table.append(rows, app_id="w", app_version=hour)
    for entry in table.snapshot().files():
        if entry.hour < 12:
            (table.location / entry.path).unlink()
    count = "SELECT count(*) AS n FROM requests"
    with SqlPool(settings) as fresh:
        late = fresh.run(f"{count} WHERE time >= '2026-11-21 12:00'")
        assert late.table["n"].to_pylist() == [2]
        with pytest.raises(SqlFailed, match=r"^A file of the lake cannot be read\. Run"):
            fresh.run(count)


def test_even_without_guards_the_engine_opens_only_the_tenants_files(
    settings: StorageSettings, tmp_path: Path
) -> None:
    """Belt and braces: the same connection a worker uses, asked directly."""
    from storage.sql_process import _prepare
    from storage.wire import Files

    lake = Lake(settings)
    lake.table("requests").append(requests(1), app_id="w", app_version=1)
    lake.table("requests").append(requests(1, tenant="b"), app_id="w", app_version=2)
    theirs = next(f for f in lake.table("requests").snapshot().files() if f.tenant == "b")
    ours = [f.path for f in lake.table("requests").snapshot().select("default")]
    con = duckdb.connect()
    _prepare(con, Files(str(lake.root), {"requests": ours}))
    for sql in (
        f"SELECT * FROM read_parquet('{lake.root / 'requests' / theirs.path}')",
        "SELECT * FROM read_text('/etc/passwd')",
        f"COPY (SELECT 1) TO '{tmp_path / 'x.csv'}'",
        f"SELECT * FROM glob('{lake.root}/*')",
        "ATTACH '/tmp/x.db'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(duckdb.Error):
            con.execute(sql).fetchall()
