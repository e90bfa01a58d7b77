"""The ClickHouse side of `bench_storage`: reads a job as JSON on stdin, answers on stdout.

Run by a Python that has chDB; imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
import time

from chdb.session import Session

ORDER = {
    "requests": "(api, route, time)",
    "spans": "(service_name, time)",
    "logs": "(service_name, time)",
}
SETTINGS = "allow_nullable_key = 1, index_granularity = 8192"


def main() -> None:
    job = json.load(sys.stdin)
    session = Session(job["folder"])
    session.query("SET max_threads = 2")
    sizes = {}
    session.query("CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic")
    for table, order in ORDER.items():
        source = f"file('{job['plain']}/{table}/*.parquet', Parquet)"
        session.query(
            f"CREATE TABLE bench.{table} ENGINE = MergeTree ORDER BY {order} PARTITION BY "
            f"toDate(time) SETTINGS {SETTINGS} EMPTY AS SELECT * FROM {source}"
        )
        if table != "logs":
            session.query(
                f"ALTER TABLE bench.{table} ADD INDEX by_trace trace_id TYPE bloom_filter(0.01)"
            )
        session.query(f"INSERT INTO bench.{table} SELECT * FROM {source}")
        session.query(f"OPTIMIZE TABLE bench.{table} FINAL")
        found = str(
            session.query(
                "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE active AND "
                f"database = 'bench' AND table = '{table}'",
                "TSV",
            )
        )
        sizes[table] = float(found)
    seconds, answers = {}, {}
    for name, sql in job["questions"].items():
        walls, cpus = [], []
        for _ in range(4):
            started, cpu = time.perf_counter(), time.process_time()
            text = str(session.query(sql, "TSV"))
            walls.append(time.perf_counter() - started)
            cpus.append(time.process_time() - cpu)
        seconds[name] = (min(walls), min(cpus))
        answers[name] = text.splitlines()
    print(json.dumps({"sizes": sizes, "seconds": seconds, "answers": answers}))


if __name__ == "__main__":
    main()
