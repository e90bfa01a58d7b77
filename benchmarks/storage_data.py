"""Data of `bench_storage`: the sample company's calls, through the real writer and as plain."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Literal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sample_data.access_logs import access_log_table
from sample_data.company import build_company
from sample_data.log_rows import logs_table
from sample_data.rows import requests_table
from sample_data.scenario import HOUR_US, SECOND_US, history_scenario
from sample_data.span_rows import spans_table
from sample_data.traffic import generate
from storage.coded import map_of
from storage.lake import Lake
from storage.maintenance import compact
from storage.session import ReadSession
from storage.settings import StorageSettings

END = datetime(2026, 11, 8, tzinfo=UTC)
BATCH_ROWS = 20_000
TABLES = ("requests", "spans", "logs")

Show = Callable[[str, str], None]
Bodies = Literal["lines of services", "random words"]

Mix = Literal["logs", "spans"]
"""What the rows of `requests` came from: an access log of every call, of which one in `traced` has
a trace id, or gateway spans with three ids of every call."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to make: about `requests` calls in the `days` before `end`; every `traced`-th also has
    its spans and log records."""

    data: Path
    requests: int
    days: int
    traced: int
    mix: Mix = "logs"
    end: datetime = END

    @property
    def plain(self) -> Path:
        """A folder per table of Parquet files (zstd), one per hour, in order of time."""
        return self.data / "plain"


@dataclass(slots=True)
class Written:
    """What was made, per table."""

    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TABLES, 0.0))
    """In `LakeTable.append`, over all workers."""
    commits: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))

    def add(self, other: Written) -> None:
        for table in TABLES:
            self.rows[table] += other.rows[table]
            self.seconds[table] += other.seconds[table]
            self.commits[table] += other.commits[table]


def write(order: Order, *, workers: int = 1, progress: Show = lambda *_: None) -> Written:
    """Make the rows, hour by hour, through the real writer. Hours that are there already from a run
    before are made again but not written again, and count as written."""
    for table in TABLES:
        _lake(order.data).table(table).create()
    done = Written()
    for part in _each_hour(_append_hour, order, workers, progress):
        done.add(part)
    return done


def write_plain(
    order: Order, *, hours: int, workers: int = 1, progress: Show = lambda *_: None
) -> None:
    """The rows of the last hours, made anew, as Parquet files (zstd) in `order.plain`: one folder
    per table, one file per hour, in order of time. Files that are there are left."""
    for table in TABLES:
        (order.plain / table).mkdir(parents=True, exist_ok=True)
    for _ in _each_hour(_write_plain_hour, order, workers, progress, hours=hours):
        pass


def _each_hour(
    work: Callable[[tuple[Order, int]], Written],
    order: Order,
    workers: int,
    progress: Show,
    *,
    hours: int | None = None,
) -> Iterator[Written]:
    """What `work` did for each hour, in no order; `hours`: the last ones, None = all."""
    end_us = int(order.end.timestamp()) * SECOND_US
    last = order.days * 24 if hours is None else hours
    jobs = [(order, end_us - back * HOUR_US) for back in range(last, 0, -1)]
    started = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for number, part in enumerate(pool.imap_unordered(work, jobs), 1):
            yield part
            if number % 12 == 0:
                took = time.perf_counter() - started
                progress(f"hour {number} of {len(jobs)}", f"{took:,.0f} s")


def rows_of_hour(order: Order, begin_us: int) -> dict[str, pa.Table]:
    """The rows of an hour in order of time, as a collector would get them."""
    company = build_company()
    end_us = int(order.end.timestamp()) * SECOND_US
    start_us = end_us - order.days * 24 * HOUR_US
    rate = order.requests / (order.days * 86_400)
    scenario = history_scenario(start_us, end_us, rate_per_s=rate)
    calls = generate(company, scenario, begin_us, begin_us + HOUR_US)
    traced = calls.ids[:, 0] % order.traced == 0
    some = calls.take(traced)
    if order.mix == "logs":
        requests = access_log_table(company, calls, traced)
    else:
        requests = requests_table(company, calls)
    return {
        "requests": requests,
        "spans": spans_table(company, some).sort_by("time"),
        "logs": logs_table(company, some).sort_by("time"),
    }


def _append_hour(job: tuple[Order, int]) -> Written:
    order, begin = job
    done = Written()
    for table, rows in rows_of_hour(order, begin).items():
        target = _lake(order.data).table(table)
        for number, offset in enumerate(range(0, rows.num_rows, BATCH_ROWS)):
            part = _as_collected(rows.slice(offset, BATCH_ROWS))
            started = time.perf_counter()
            target.append(part, app_id=f"bench-{begin}", app_version=number)
            done.seconds[table] += time.perf_counter() - started
            done.commits[table] += 1
        done.rows[table] += rows.num_rows
    return done


def _as_collected(rows: pa.Table) -> pa.Table:
    """The rows with keys and values of maps as codes, as the collector hands them over."""
    for index, field_ in enumerate(rows.schema):
        if pa.types.is_map(field_.type):
            whole = pa.concat_arrays([*rows.column(index).chunks, rows.column(index).chunk(0)[:0]])
            coded = map_of(whole, whole.keys.dictionary_encode(), whole.items.dictionary_encode())
            rows = rows.set_column(index, field_.with_type(coded.type), coded)
    return rows


def _write_plain_hour(job: tuple[Order, int]) -> Written:
    order, begin = job
    files = {table: order.plain / table / f"{begin}.parquet" for table in TABLES}
    if not all(path.exists() for path in files.values()):
        for table, rows in rows_of_hour(order, begin).items():
            pq.write_table(rows, files[table], compression="zstd")
    return Written()


@lru_cache(maxsize=1)
def _lake(data: Path) -> Lake:
    return Lake(StorageSettings(data_dir=data))


def write_bodies(lake: Lake, kind: Bodies, rows: int) -> tuple[int, list[str]]:
    """A day of log records with bodies of some 250 bytes, sealed; bytes of all bodies, and they."""
    rng = np.random.default_rng(7)
    made: list[str] = []
    for hour in range(24):
        count = rows // 24
        bodies = MAKERS[kind](rng, count)
        start = END - timedelta(hours=24 - hour)
        micros = int(start.timestamp()) * SECOND_US + np.sort(rng.integers(0, HOUR_US, count))
        table = pa.table(
            {
                "time": pa.array(micros).cast(pa.timestamp("us", tz="UTC")),
                "tenant": pa.repeat("default", count),
                "service_name": pa.array([f"service-{n}" for n in rng.integers(0, 9, count)]),
                "body": bodies,
            }
        )
        made += bodies
        lake.table("logs").append(table, app_id="bodies", app_version=hour)
    compact(lake, "logs", datetime.now(UTC) + timedelta(days=1))
    return sum(len(b) for b in made), made


def random_words(rng: np.random.Generator, count: int) -> list[str]:
    """Nothing repeats but the words: what compression can do least with."""
    words = np.array([f"{a}{b}" for a in ("con", "re", "de", "in", "ex") for b in WORDS])
    picked = words[rng.integers(0, len(words), (count, 30))].tolist()
    numbers = rng.integers(0, 10**6, count).tolist()
    return [f"{' '.join(w)} took {n} ms" for w, n in zip(picked, numbers, strict=True)]


def service_lines(rng: np.random.Generator, count: int) -> list[str]:
    """What services write: JSON, an access log, logfmt, a warning with ids, a stack trace."""
    kinds = rng.integers(0, len(LINES), count).tolist()
    values = rng.integers(0, [10**6, 10**4, 60, 2**24, 2**48, 2**32], (count, 6)).tolist()
    return [
        LINES[kind].format(
            service=SERVICES[n % len(SERVICES)], n=n, m=m, s=s, x=f"{x:06x}", y=f"{y:012x}",
            z=f"{z:08x}", ip=f"10.{z % 256}.{z // 256 % 256}.{m % 256}", f=n / 1000,
        )
        for kind, (n, m, s, x, y, z) in zip(kinds, values, strict=True)
    ]  # fmt: skip


SERVICES = ("checkout", "payments", "inventory", "users", "search", "mailer")

LINES = (
    '{{"level":"info","ts":"2026-11-07T12:31:{s:02d}.{n:06d}Z","caller":"{service}/handler.go:{m}",'
    '"msg":"request completed","method":"GET","path":"/api/v1/{service}/{y}","status":200,'
    '"duration_ms":{f:.3f},"bytes":{m},"client":"{ip}","request_id":"{y}{z}"}}',
    '{ip} - - [07/Nov/2026:12:31:{s:02d} +0000] "POST /api/v1/{service}/orders/{n} HTTP/1.1" 201 '
    '{m} "-" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) '
    'Chrome/142.0.0.0 Safari/537.36" rt={f:.3f}',
    "WARN  [pool-{s}-thread-{s}] com.acme.{service}.client.RetryingClient - call to "
    "{service}.prod.svc.cluster.local:8443 failed (attempt 2 of 5), retrying in {m} ms: connect "
    "timed out after 3000 ms, correlation={y}-{z}",
    'level=info ts=2026-11-07T12:31:{s:02d}.{n:06d}Z component={service} msg="cache refresh '
    'finished" keys={n} evicted={m} took={f:.1f}ms shard={s}',
    "ERROR {service}: could not reserve stock for order {n}: java.lang.IllegalStateException: "
    "lock {y} is held by {z}\n\tat com.acme.{service}.Stock.reserve(Stock.java:{m})\n\tat "
    "com.acme.{service}.OrderService.place(OrderService.java:{s})\n\tat "
    "java.base/java.lang.Thread.run(Thread.java:1583)",
)

MAKERS: dict[Bodies, Callable[[np.random.Generator, int], list[str]]] = {
    "lines of services": service_lines,
    "random words": random_words,
}

WORDS = ("nect", "quest", "liver", "voice", "change", "serve", "tract", "form", "ceive", "spond")


def merge(lake: Lake, table: str, show: Show) -> None:
    """Compact a table; shows how fast it went, unless there was nothing to do."""
    started, cpu = time.perf_counter(), time.process_time()
    report = compact(lake, table, datetime.now(UTC) + timedelta(days=1))
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    if report.rows_merged:
        show(f"compaction of {table}, per core-second", f"{report.rows_merged / cpu:,.0f} rows/s")
        show(f"compaction of {table}, wall", f"{report.rows_merged / took:,.0f} rows/s")


def write_rollups(lake: Lake, month: Lake, *, days: int, copies: int) -> None:
    """Day rollups into `month`, `copies` times, each shifted back in time: what the day tier of a
    month holds. Those that the jobs made where they did, else made of the requests. Done once."""
    if month.table("usage_day").app_version("rollup") == copies - 1:
        return
    with ReadSession(lake, memory_limit="4GB") as session:
        usage, latency = (
            session.query(f"SELECT * EXCLUDE (day, hour) FROM {table}" if made else sql).cast(
                lake.table(table).spec.arrow_schema
            )
            for table, sql in (("usage_day", USAGE_SQL), ("latency_day", LATENCY_SQL))
            for made in [lake.existing(table) is not None]
        )
    for table, rows in (("latency_day", latency), ("usage_day", usage)):
        for copy in range(copies):
            shifted = _shifted(rows, timedelta(days=days * copy))
            month.table(table).append(shifted, app_id="rollup", app_version=copy)
        compact(month, table, datetime.now(UTC) + timedelta(days=1))


def _shifted(rows: pa.Table, back: timedelta) -> pa.Table:
    index = rows.column_names.index("time")
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.register("r", rows)
    moved = con.execute("SELECT time - $1 AS time FROM r", [back]).to_arrow_table()
    return rows.set_column(index, rows.schema.field(index), moved.column(0).cast(
        rows.schema.field(index).type))  # fmt: skip


USAGE_SQL = """
SELECT time_bucket(INTERVAL 1 DAY, time) AS time, tenant, environment, gateway, api, api_version,
    route, method, product, plan, consumer, status_code, outcome, country, client_kind,
    count(*)::BIGINT AS requests, count(*) FILTER (WHERE status_code >= 500)::BIGINT AS errors,
    sum(duration_ms) AS duration_ms_sum, sum(upstream_ms) AS upstream_ms_sum,
    sum(gateway_ms) AS gateway_ms_sum, sum(request_bytes)::BIGINT AS request_bytes,
    sum(response_bytes)::BIGINT AS response_bytes, count(duration_ms)::BIGINT AS duration_requests
FROM requests GROUP BY ALL
"""

LATENCY_SQL = """
SELECT time_bucket(INTERVAL 1 DAY, time) AS time, tenant, environment, gateway, api, api_version,
    route, method, outcome, 'total' AS part, latency_bucket(duration_ms) AS bucket,
    count(*)::BIGINT AS requests
FROM requests WHERE duration_ms IS NOT NULL GROUP BY ALL
"""
