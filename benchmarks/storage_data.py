"""Data of `bench_storage`: the sample company's calls, through the real writer and as plain."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sample_data.company import build_company
from sample_data.log_rows import logs_table
from sample_data.rows import requests_table
from sample_data.scenario import HOUR_US, SECOND_US, history_scenario
from sample_data.span_rows import spans_table
from sample_data.traffic import iterate
from storage.lake import Lake
from storage.maintenance import compact
from storage.session import ReadSession

END = datetime(2026, 11, 8, tzinfo=UTC)
BATCH_ROWS = 20_000
TABLES = ("requests", "spans", "logs")

Show = Callable[[str, str], None]


@dataclass(slots=True)
class Written:
    """What was made. `plain`: a folder per table of Parquet files (zstd), in order of time."""

    plain: Path
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TABLES, 0.0))
    commits: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))


def write(lake: Lake, plain: Path, *, requests: int, days: int, traced: int) -> Written:
    """About `requests` calls over `days`; every `traced`-th also has its spans and logs."""
    company = build_company()
    end_us = int(END.timestamp()) * SECOND_US
    start_us = end_us - days * 24 * HOUR_US
    scenario = history_scenario(start_us, end_us, rate_per_s=requests / (days * 86_400))
    done = Written(plain)
    for begin, calls in iterate(company, scenario, start_us, end_us, HOUR_US):
        some = calls.take(calls.ids[:, 0] % traced == 0)
        for table, rows in (
            ("requests", requests_table(company, calls)),
            ("spans", spans_table(company, some)),
            ("logs", logs_table(company, some)),
        ):
            _append(lake, table, rows, begin, done)
    return done


def _append(lake: Lake, table: str, rows: pa.Table, begin: int, done: Written) -> None:
    folder = done.plain / table
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, folder / f"{begin}.parquet", compression="zstd")
    target = lake.table(table)
    started = time.perf_counter()
    for offset in range(0, rows.num_rows, BATCH_ROWS):
        part = rows.slice(offset, BATCH_ROWS)
        target.append(part, app_id=f"bench-{begin}", app_version=offset)
        done.commits[table] += 1
    done.seconds[table] += time.perf_counter() - started
    done.rows[table] += rows.num_rows


def write_bodies(lake: Lake, rows: int) -> int:
    """A day of log records with bodies of some 300 bytes, sealed; bytes of all bodies."""
    rng = np.random.default_rng(7)
    words = np.array([f"{a}{b}" for a in ("con", "re", "de", "in", "ex") for b in WORDS])
    size = 0
    for hour in range(24):
        count = rows // 24
        picked = words[rng.integers(0, len(words), (count, 30))]
        bodies = [f"{' '.join(w)} took {n} ms" for w, n in zip(
            picked.tolist(), rng.integers(0, 10**6, count).tolist(), strict=True)]  # fmt: skip
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
        size += sum(len(b) for b in bodies)
        lake.table("logs").append(table, app_id="bodies", app_version=hour)
    compact(lake, "logs", datetime.now(UTC) + timedelta(days=1))
    return size


WORDS = ("nect", "quest", "liver", "voice", "change", "serve", "tract", "form", "ceive", "spond")


def merge(lake: Lake, table: str, rows: int, show: Show) -> None:
    started, cpu = time.perf_counter(), time.process_time()
    report = compact(lake, table, datetime.now(UTC) + timedelta(days=1))
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    assert report.rows_merged == rows, (table, report.rows_merged, rows)
    show(f"compaction of {table}, per core-second", f"{rows / cpu:,.0f} rows/s")
    show(f"compaction of {table}, wall", f"{rows / took:,.0f} rows/s")


def write_rollups(lake: Lake, *, days: int, copies: int) -> None:
    """`copies` x `days` days of rollups: those of the requests, shifted back in time."""
    with ReadSession(lake, memory_limit="4GB") as session:
        usage = session.query(USAGE_SQL).cast(lake.table("usage_day").spec.arrow_schema)
        latency = session.query(LATENCY_SQL).cast(lake.table("latency_day").spec.arrow_schema)
    for table, rows in (("usage_day", usage), ("latency_day", latency)):
        for copy in range(copies):
            shifted = _shifted(rows, timedelta(days=days * copy))
            lake.table(table).append(shifted, app_id="rollup", app_version=copy)
        compact(lake, table, datetime.now(UTC) + timedelta(days=1))


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
