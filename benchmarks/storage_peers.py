"""What `bench_storage` compares with: DuckDB's own table, plain Parquet, and ClickHouse (chDB).

chDB runs in a process of its own, with a Python that has it:

    uv venv /tmp/chdb && uv pip install --python /tmp/chdb/bin/python chdb
    python -m benchmarks.bench_storage --chdb /tmp/chdb/bin/python
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

REPEAT = 3


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of one run. CPU is of all threads: on a shared machine it is what can be compared."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall * 1000:,.0f} / {self.cpu * 1000:,.0f} ms"


def timed(run: Callable[[], object], repeat: int = REPEAT) -> Took:
    """Least wall time and least CPU time of some runs, after one to warm up."""
    run()
    walls, cpus = [], []
    for _ in range(repeat):
        started, cpu = time.perf_counter(), time.process_time()
        run()
        walls.append(time.perf_counter() - started)
        cpus.append(time.process_time() - cpu)
    return Took(min(walls), min(cpus))


def duckdb_over(views: Mapping[str, str], database: str = ":memory:") -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(database, config={"threads": 2, "memory_limit": "4GB"})
    con.execute("SET TimeZone = 'UTC'")
    for name, body in views.items():
        con.execute(f"CREATE OR REPLACE {body.replace('{name}', name)}")
    return con


def plain_parquet(plain: Path, tables: tuple[str, ...]) -> duckdb.DuckDBPyConnection:
    return duckdb_over(
        {t: f"VIEW {{name}} AS FROM read_parquet('{plain / t}/*.parquet')" for t in tables}
    )


def native_table(plain: Path, tables: tuple[str, ...], file: Path) -> duckdb.DuckDBPyConnection:
    """The same rows in a DuckDB file."""
    con = duckdb_over(
        {t: f"TABLE {{name}} AS FROM read_parquet('{plain / t}/*.parquet')" for t in tables},
        str(file),
    )
    con.execute("CHECKPOINT")
    return con


def chdb_answers(
    python: Path, plain: Path, folder: Path, questions: Mapping[str, str]
) -> tuple[dict[str, Took], dict[str, float], dict[str, list[str]]] | None:
    """(time per question, bytes per row per table, first columns of the answers as text); None
    when that Python has no chDB."""
    job = {"plain": str(plain), "folder": str(folder), "questions": dict(questions)}
    done = subprocess.run(
        [str(python), str(Path(__file__).with_name("storage_chdb.py"))],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(f"  chDB skipped: {done.stderr.strip().splitlines()[-1:]}")
        return None
    found = json.loads(done.stdout.splitlines()[-1])
    took = {name: Took(*pair) for name, pair in found["seconds"].items()}
    return took, found["sizes"], found["answers"]
