"""Writing, merging and asking the lake at size. Checks every answer before its time counts.

    .venv/bin/python -m benchmarks.bench_storage [--rows 2000000] [--hours 2] [--data DIR]

The rows are API requests shaped like real ones: Zipf-like APIs and consumers, log-normal times,
random trace ids; seeded. They go through the real writer (one commit per 5,000 rows, what a busy
collector does in two seconds) and the real compaction. Compare ratios, not machines: the last rows
ask the same questions of DuckDB's own table with the same data.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from storage.lake import Lake
from storage.maintenance import compact
from storage.schemas import TIMESTAMP
from storage.session import ReadSession
from storage.settings import StorageSettings

SEED = 7
BATCH_ROWS = 5_000
START = datetime(2026, 11, 1, tzinfo=UTC)


def make_requests(
    rng: np.random.Generator, rows: int, start: datetime, span: timedelta
) -> pa.Table:
    """Rows in order of time over [start, start + span)."""
    offsets = np.sort(rng.integers(0, int(span.total_seconds() * 1e6), rows))
    times = offsets + int(start.timestamp() * 1e6)
    api = np.minimum(rng.zipf(1.5, rows) - 1, 11)
    route = rng.integers(0, 8, rows)
    consumer = np.minimum(rng.zipf(1.3, rows) - 1, 399)
    upstream = rng.lognormal(3.0, 0.8, rows).round(3)
    gateway = rng.lognormal(0.2, 0.4, rows).round(3)
    status = rng.choice(np.array([200, 201, 404, 429, 500, 503], np.int16), rows,
                        p=[0.9, 0.04, 0.03, 0.015, 0.01, 0.005])  # fmt: skip
    ids = rng.bytes(rows * 16).hex()
    names = np.array([f"api-{i}" for i in range(12)])
    routes = np.array([f"/v1/things-{i}/{{id}}" for i in range(8)])
    consumers = np.array([f"app-{i:03d}" for i in range(400)])
    outcomes = np.where(status < 400, "ok", np.where(status < 500, "client_error", "server_error"))
    return pa.table(
        {
            "time": pa.array(times).cast(TIMESTAMP),
            "tenant": pa.array(["default"]).take(pa.array(np.zeros(rows, np.int32))),
            "environment": pa.array(["production"]).take(pa.array(np.zeros(rows, np.int32))),
            "gateway": pa.array(["nginx"]).take(pa.array(np.zeros(rows, np.int32))),
            "api": names[api],
            "route": routes[route],
            "consumer": consumers[consumer],
            "plan": np.array(["free", "gold", "platinum"])[consumer % 3],
            "method": np.array(["GET", "POST"])[(route == 3).astype(int)],
            "path": np.char.add("/v1/things/", (rng.integers(0, 50_000, rows)).astype(str)),
            "status_code": status,
            "outcome": outcomes,
            "duration_ms": upstream + gateway,
            "upstream_ms": upstream,
            "gateway_ms": gateway,
            "request_bytes": rng.integers(200, 900, rows),
            "response_bytes": (rng.lognormal(7, 1, rows)).astype(np.int64),
            "client_address": np.char.add("10.0.0.", (consumer % 250).astype(str)),
            "country": np.array(["DE", "FR", "US", "GB", "NL"])[consumer % 5],
            "client_kind": np.array(["sdk", "browser", "bot"])[consumer % 3],
            "trace_id": [ids[i : i + 32] for i in range(0, rows * 32, 32)],
            "source": pa.array(["nginx"]).take(pa.array(np.zeros(rows, np.int32))),
        }
    )


def timed(run: Callable[[], object], repeat: int = 5) -> float:
    """Best of some runs, in seconds, after one to warm up."""
    run()
    best = float("inf")
    for _ in range(repeat):
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


def show(what: str, value: str) -> None:
    sys.stdout.write(f"  {what:<58} {value:>18}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--hours", type=int, default=2)
    parser.add_argument("--data", type=Path, default=None, help="keep the lake here")
    options = parser.parse_args()
    folder = options.data or Path(tempfile.mkdtemp(prefix="gatelens-bench-"))
    try:
        run(folder, options.rows, options.hours)
    finally:
        if options.data is None:
            shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, rows: int, hours: int) -> None:
    sys.stdout.write(f"{rows} requests over {hours} h, seed {SEED}, {os.cpu_count()} cores\n")
    lake = Lake(StorageSettings(data_dir=folder))
    table = lake.table("requests")
    rng = np.random.default_rng(SEED)
    data = make_requests(rng, rows, START, timedelta(hours=hours))
    write(table, data)
    merge(lake, rows)
    size = sum(f.size for f in table.snapshot().files())
    show("bytes per request on disk, sealed", f"{size / rows:.1f} B")
    ask(lake, data)
    show(
        "peak memory of this process",
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB",
    )


def write(table: object, data: pa.Table) -> None:
    from storage.lake import LakeTable

    assert isinstance(table, LakeTable)
    started = time.perf_counter()
    commits = 0
    for offset in range(0, data.num_rows, BATCH_ROWS):
        table.append(data.slice(offset, BATCH_ROWS), app_id="bench", app_version=offset)
        commits += 1
    took = time.perf_counter() - started
    show(f"append, commits of {BATCH_ROWS} rows", f"{data.num_rows / took:,.0f} rows/s")
    show("append, one commit", f"{took / commits * 1000:.1f} ms")
    show("files before compaction", f"{len(list(table.snapshot().files()))}")


def merge(lake: Lake, rows: int) -> None:
    started, cpu = time.perf_counter(), time.process_time()
    later = datetime.now(UTC) + timedelta(days=1)
    report = compact(lake, "requests", later)
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    assert report.rows_merged == rows
    show("compaction, wall", f"{rows / took:,.0f} rows/s")
    show("compaction, per core-second", f"{rows / cpu:,.0f} rows/s")
    show("files after compaction", f"{len(list(lake.table('requests').snapshot().files()))}")


def ask(lake: Lake, data: pa.Table) -> None:
    native = duckdb.connect(config={"threads": 2, "memory_limit": "2GB"})
    native.execute("SET TimeZone = 'UTC'")
    native.register("source", data)
    native.execute("CREATE TABLE requests AS SELECT * FROM source")
    native.unregister("source")
    trace = data["trace_id"][data.num_rows // 3].as_py()
    end = data["time"][-1].as_py()
    questions: list[tuple[str, str, list[object], datetime | None]] = [
        ("requests, errors, p99 per API",
         "SELECT api, count(*), count(*) FILTER (WHERE status_code >= 500), "
         "quantile_disc(duration_ms, 0.99) FROM requests GROUP BY api ORDER BY api", [], None),
        ("trace by id",
         "SELECT time, api, status_code FROM requests WHERE trace_id = ?", [trace], None),
        ("100 newest 5xx of a consumer",
         "SELECT time, api FROM requests WHERE consumer = 'app-001' AND status_code >= 500 "
         "ORDER BY time DESC LIMIT 100", [], None),
        ("last 10 minutes per API",
         "SELECT api, count(*) FROM requests WHERE time >= ? GROUP BY api ORDER BY api",
         [end - timedelta(minutes=10)], end - timedelta(minutes=10)),
    ]  # fmt: skip
    with ReadSession(lake, memory_limit="2GB") as session:
        for name, sql, params, start in questions:
            ours = session.query(sql, params, start=start).to_pylist()
            theirs = native.execute(sql, params).to_arrow_table().to_pylist()
            assert ours == theirs, name

            def lake_side(sql: str = sql, params: list[object] = params, start=start) -> object:
                return session.query(sql, params, start=start)

            def native_side(sql: str = sql, params: list[object] = params) -> object:
                return native.execute(sql, params).to_arrow_table()

            lake_ms, native_ms = timed(lake_side) * 1000, timed(native_side) * 1000
            show(f"{name} (DuckDB table {native_ms:.0f} ms)", f"{lake_ms:.0f} ms")


if __name__ == "__main__":
    main()
