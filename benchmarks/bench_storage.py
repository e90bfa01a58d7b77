"""Writing, merging and asking the lake at size. Checks every answer before its time counts.

    python -m benchmarks.bench_storage [--requests 2000000] [--days 2] [--traced 10] [--mix logs]
                                       [--bodies 600000] [--data DIR] [--step make|merge|ask]
                                       [--workers 2] [--plain-hours N] [--chdb PYTHON] [--save FILE]

The rows are the sample company's calls, written through the real writer and compaction.
`--mix logs`: an access log of every call, of which one in `--traced` has a trace id;
`--mix spans`: gateway spans with three ids. One call in `--traced` has four spans and its logs.

The same rows, made anew, go into plain Parquet files (zstd, as they came), a DuckDB file and, where
a Python with chDB is given, ClickHouse MergeTree tables in the same order and with the same
filters. With `--plain-hours` (24 or more) only those of the last hours do, so peers then search
less than the lake does. The oracle is Polars over the plain files. With `--data` the steps can
be run one by one, and an interrupted `make` goes on where it stopped. Times are least wall time and
least CPU time of all threads; compare ratios, not machines.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import duckdb
import polars as pl

from benchmarks.storage_data import (
    END,
    TABLES,
    Bodies,
    Order,
    Written,
    merge,
    write,
    write_bodies,
    write_plain,
    write_rollups,
)
from benchmarks.storage_peers import Took, chdb_answers, native_table, plain_parquet, timed
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings

DAY = timedelta(days=1)
TRACES = 40
TRACE_CLICKHOUSE = "SELECT span_id FROM bench.spans WHERE trace_id = '{}' ORDER BY span_id"
NEEDLE = "with 503"
NEEDLES: Mapping[Bodies, tuple[str, ...]] = {
    "lines of services": ("lock 3fa", "retrying in", "no such thing"),
    "random words": ("took 7777", "took", "zzzqqq"),
}
"""Parts that are rare, common and nowhere. GB/s are of body bytes: wall time / one core."""

AROUND: tuple[Literal["lower", "higher"], ...] = ("lower", "higher")
"""Ranks a discrete quantile may be taken from."""


@dataclass(frozen=True, slots=True)
class Question:
    """`sql` runs in DuckDB over lake, table and files alike; `clickhouse` is the same in its words.
    `start`: what a screen would tell the read layer about the time."""

    name: str
    sql: str
    oracle: Callable[[dict[str, pl.LazyFrame]], Sequence[tuple[object, ...]]]
    clickhouse: str = ""
    start: datetime | None = None


class Report:
    """Lines for the terminal and a Markdown table."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def show(self, what: str, *values: str) -> None:
        sys.stdout.write(f"  {what:<46}" + "".join(f"{v:>16}" for v in values) + "\n")
        sys.stdout.flush()
        self.lines.append("| " + " | ".join((what, *values, *[""] * (4 - len(values)))) + " |")


def questions(day: datetime, consumer: str) -> list[Question]:
    """`day`: the last one begins then. The consumer has 100 failures in it, or in all there is."""
    since = f"TIMESTAMPTZ '{day:%Y-%m-%d %H:%M:%S}+00'"
    ch = f"toDateTime64('{day:%Y-%m-%d %H:%M:%S}', 6, 'UTC')"

    def per_api(t: dict[str, pl.LazyFrame]) -> Sequence[tuple[object, ...]]:
        return (
            t["requests"].filter(pl.col("time") >= day).group_by("api")
            .agg(pl.len(), (pl.col("status_code") >= 500).sum(),
                 pl.concat_list(pl.col("duration_ms").quantile(0.99, i) for i in AROUND))
            .sort("api", nulls_last=True).collect().rows()
        )  # fmt: skip

    def newest(t: dict[str, pl.LazyFrame]) -> Sequence[tuple[object, ...]]:
        mine = (pl.col("consumer") == consumer) & (pl.col("status_code") >= 500)
        frame = t["requests"].filter(mine).select(pl.col("time").dt.epoch("us"))
        return frame.sort("time", descending=True).head(100).collect().rows()

    def body(t: dict[str, pl.LazyFrame]) -> Sequence[tuple[object, ...]]:
        frame = t["logs"].filter(pl.col("time") >= day)
        hits = frame.filter(pl.col("body").str.contains(NEEDLE, literal=True))
        return hits.select(pl.len()).collect().rows()

    return [
        Question(
            "requests, errors, p99 per API, one day",
            "SELECT api, count(*), count(*) FILTER (WHERE status_code >= 500), "
            f"quantile_disc(duration_ms, 0.99) FROM requests WHERE time >= {since} "
            "GROUP BY api ORDER BY api",
            per_api,
            "SELECT api, count(), countIf(status_code >= 500), quantileExact(0.99)(duration_ms) "
            f"FROM bench.requests WHERE time >= {ch} GROUP BY api ORDER BY api",
            start=day,
        ),
        Question(
            "100 newest 5xx of a consumer",
            f"SELECT epoch_us(time) AS t FROM requests WHERE consumer = '{consumer}' "
            "AND status_code >= 500 ORDER BY time DESC LIMIT 100",
            newest,
            f"SELECT toUnixTimestamp64Micro(time) AS t FROM bench.requests WHERE "
            f"consumer = '{consumer}' AND status_code >= 500 ORDER BY t DESC LIMIT 100",
        ),
        Question(
            "substring of log bodies, one day",
            f"SELECT count(*) FROM logs WHERE time >= {since} AND contains(body, '{NEEDLE}')",
            body,
            f"SELECT count() FROM bench.logs WHERE time >= {ch} AND position(body, '{NEEDLE}') > 0",
            start=day,
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000_000)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--traced", type=int, default=10, help="one call in so many has spans")
    parser.add_argument("--mix", choices=("logs", "spans"), default="logs")
    parser.add_argument("--end", type=datetime.fromisoformat, default=END, help="with time zone")
    parser.add_argument("--bodies", type=int, default=600_000, help="long log bodies to search")
    parser.add_argument("--data", type=Path, default=None, help="keep everything here")
    parser.add_argument("--step", choices=("make", "merge", "ask"), default=None)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--plain-hours", type=int, default=None)
    parser.add_argument("--chdb", type=Path, default=None, help="a Python that has chDB")
    parser.add_argument("--save", type=Path, default=None, help="write the table to this file")
    options = parser.parse_args()
    if options.step and options.data is None:
        parser.error("--step needs --data")
    folder = options.data or Path(tempfile.mkdtemp(prefix="gatelens-bench-"))
    try:
        run(folder, options)
    finally:
        if options.data is None:
            shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, options: argparse.Namespace) -> None:
    report = Report()
    report.show("", "lake", "DuckDB file", "plain Parquet", "ClickHouse")
    started = time.perf_counter()
    order = Order(folder, options.requests, options.days, options.traced, options.mix, options.end)
    lake = Lake(StorageSettings(data_dir=folder))
    made = folder / "made.json"
    if options.step in (None, "make"):
        written = write(order, workers=options.workers, progress=_tell)
        made.write_text(json.dumps(asdict(written)))
    show_written(Written(**json.loads(made.read_text())), report)
    if options.step in (None, "merge"):
        for table in TABLES:
            merge(lake, table, report.show)
    if options.step in (None, "ask"):
        copies = -(-30 // options.days)
        month = Lake(StorageSettings(data_dir=folder / "month"))
        write_rollups(lake, month, days=options.days, copies=copies)
        hours = options.plain_hours or options.days * 24
        write_plain(order, hours=hours, workers=options.workers, progress=_tell)
        ask(lake, order, report, options.chdb)
        rollups(month, made_of(lake) * copies, report)
        bodies(folder, options.bodies, report)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    report.show("peak memory of this process", f"{memory:,} MB")
    sys.stdout.write(f"  {time.perf_counter() - started:.0f} s in all\n")
    if options.save is not None:
        save(options.save, report)


def _tell(what: str, value: str) -> None:
    sys.stdout.write(f"  {what}: {value}\n")
    sys.stdout.flush()


def show_written(made: Written, report: Report) -> None:
    for table in TABLES:
        report.show(f"rows of {table}", f"{made.rows[table]:,}")
    for table in TABLES:
        rate = made.rows[table] / made.seconds[table]
        report.show(f"append of {table}, each worker", f"{rate:,.0f} rows/s")
    commit_ms = sum(made.seconds.values()) / sum(made.commits.values()) * 1000
    report.show("one commit of up to 20,000 rows", f"{commit_ms:.0f} ms")


def ask(lake: Lake, order: Order, report: Report, chdb: Path | None) -> None:
    frames = {t: pl.scan_parquet(order.plain / t / "*.parquet") for t in TABLES}
    busiest = frames["requests"].filter(pl.col("status_code") >= 500).group_by("consumer").len()
    found_busiest = busiest.drop_nulls().sort("len", "consumer").collect()
    consumer, failures = found_busiest.row(-1)
    assert failures >= 100, "take more --plain-hours"
    asked = questions(order.end - DAY, str(consumer))
    peers = peers_of(order)
    chosen = some_traces(frames)
    found = None
    if chdb is not None:
        wanted = {q.name: q.clickhouse for q in asked}
        wanted |= {f"trace {t}": TRACE_CLICKHOUSE.format(t) for t in chosen}
        found = chdb_answers(chdb, order.plain, order.data / "clickhouse", wanted)
    seconds, sizes, answers = found or ({}, {}, {})
    show_sizes(lake, order, frames, sizes, report)
    with ReadSession(lake, memory_limit="4GB") as session:
        for q in asked:
            expected = [tuple(r) for r in q.oracle(frames)]
            check(q.name, _rows(session.query(q.sql, start=q.start)), expected)
            times = [timed(lambda q=q: session.query(q.sql, start=q.start))]
            for con in peers:
                check(q.name, _rows(con.execute(q.sql).to_arrow_table()), expected)
                times.append(timed(lambda q=q, con=con: con.execute(q.sql).to_arrow_table()))
            if q.name in seconds:
                told = [tuple(map(_text, line.split("\t")[:3])) for line in answers[q.name]]
                assert told == [tuple(map(str, e[:3])) for e in expected], q.name
                times.append(seconds[q.name])
            report.show(q.name, *map(str, times))
            if q.name.startswith("substring"):
                day = frames["logs"].filter(pl.col("time") >= order.end - DAY)
                size = int(day.select(pl.col("body").str.len_bytes().sum()).collect().item())
                rates = (f"{size / t.wall / 1e9:.2f} GB/s" for t in times)
                report.show("  of body bytes", *rates)
        traces(session, frames, peers, chosen, report)
        if seconds:
            check_traces(frames, chosen, answers)
            for what, took in zip(
                ("median", "p95"), spread([seconds[f"trace {t}"] for t in chosen]), strict=True
            ):
                report.show(f"trace by id, {what}", "", "", "", took)


def some_traces(frames: dict[str, pl.LazyFrame]) -> list[str]:
    ids = frames["spans"].select(pl.col("trace_id").unique()).collect().to_series().sort()
    return list(ids.gather_every(max(1, len(ids) // TRACES))[:TRACES])


def spans_of(frames: dict[str, pl.LazyFrame], chosen: list[str]) -> pl.DataFrame:
    mine = frames["spans"].filter(pl.col("trace_id").is_in(chosen))
    return mine.select("trace_id", "span_id").sort("span_id").collect()


def check_traces(
    frames: dict[str, pl.LazyFrame], chosen: list[str], answers: Mapping[str, list[str]]
) -> None:
    expected = spans_of(frames, chosen)
    for trace_id in chosen:
        own = expected.filter(pl.col("trace_id") == trace_id)["span_id"].to_list()
        assert answers[f"trace {trace_id}"] == own, trace_id


def show_sizes(
    lake: Lake,
    order: Order,
    frames: dict[str, pl.LazyFrame],
    sizes: Mapping[str, float],
    report: Report,
) -> None:
    """`sizes`: bytes a row in ClickHouse, empty where it was not asked."""
    rows = 0
    for table in TABLES:
        files = list(lake.table(table).snapshot().files())
        count = int(frames[table].select(pl.len()).collect().item())
        plain = sum(p.stat().st_size for p in (order.plain / table).iterdir()) / count
        values = [f"{sum(f.size for f in files) / sum(f.rows for f in files):.1f} B"]
        values += ["", f"{plain:.1f} B", *([f"{sizes[table]:.1f} B"] if sizes else [])]
        report.show(f"bytes per row of {table}", *values)
        rows += count
    native = (order.data / "native.duckdb").stat().st_size
    ours = _lake_bytes(lake) / sum(made_of(lake, t) for t in TABLES)
    report.show("bytes per row, all three", f"{ours:.1f} B", f"{native / rows:.1f} B")


def peers_of(order: Order) -> list[duckdb.DuckDBPyConnection]:
    return [
        native_table(order.plain, TABLES, order.data / "native.duckdb"),
        plain_parquet(order.plain, TABLES),
    ]


def traces(
    session: ReadSession,
    frames: dict[str, pl.LazyFrame],
    peers: list[duckdb.DuckDBPyConnection],
    chosen: list[str],
    report: Report,
) -> None:
    """Spans of a trace by its id, nothing known of its time: median and p95 over some traces."""
    sql = "SELECT span_id FROM spans WHERE trace_id = $1 ORDER BY span_id"
    expected = spans_of(frames, chosen)
    asking = [lambda t: session.query(sql, [t])]
    asking += [lambda t, con=con: con.execute(sql, [t]).to_arrow_table() for con in peers]
    found = []
    for run_one in asking:
        run_one("0")
        took = []
        for trace_id in chosen:
            started, cpu = time.perf_counter(), time.process_time()
            answer = run_one(trace_id)
            took.append(Took(time.perf_counter() - started, time.process_time() - cpu))
            own = expected.filter(pl.col("trace_id") == trace_id)["span_id"].to_list()
            assert answer["span_id"].to_pylist() == own, trace_id
        found.append(spread(took))
    report.show("trace by id, median", *(median for median, _ in found))
    report.show("trace by id, p95", *(high for _, high in found))


def spread(took: list[Took]) -> tuple[str, str]:
    """Median and p95, of wall and of CPU each by itself."""
    walls, cpus = sorted(t.wall for t in took), sorted(t.cpu for t in took)
    at = (len(took) // 2, int(len(took) * 0.95))
    median, high = (str(Took(walls[i], cpus[i])) for i in at)
    return median, high


def bodies(folder: Path, rows: int, report: Report) -> None:
    """Substring search over a day of long log bodies, in lakes of their own: a part that is rare,
    one that is common, one that is nowhere."""
    for kind, needles in NEEDLES.items():
        lake = Lake(StorageSettings(data_dir=folder / f"bodies-{kind}"))
        size, texts = write_bodies(lake, kind, rows)
        disk = sum(f.size for f in lake.table("logs").snapshot().files())
        report.show(f"{kind}: bodies, MB / on disk", f"{size / 1e6:,.0f} / {disk / 1e6:,.0f}")
        with ReadSession(lake, memory_limit="4GB") as session:
            for needle in needles:
                expected = sum(needle in text for text in texts)
                folded = sum(needle.lower() in text.lower() for text in texts)
                for function, count in (("contains", expected), ("icontains", folded)):
                    sql = f"SELECT count(*) AS n FROM logs WHERE {function}(body, $1)"
                    assert session.query(sql, [needle])["n"].to_pylist() == [count], needle
                    took = timed(lambda sql=sql, needle=needle: session.query(sql, [needle]))
                    report.show(
                        f"  {function} {needle!r}, {count:,} of {len(texts):,}",
                        f"{size / took.wall / 1e9:.2f} / {size / took.cpu / 1e9:.2f} GB/s",
                    )


def made_of(lake: Lake, table: str = "requests") -> int:
    return sum(f.rows for f in lake.table(table).snapshot().files())


def rollups(lake: Lake, requests: int, report: Report) -> None:
    usage = "SELECT api, sum(requests), sum(errors) FROM usage_day GROUP BY api ORDER BY api"
    latency = (
        "SELECT api, latency_quantile(list(bucket), list(requests), 0.99) FROM (SELECT api, "
        "bucket, sum(requests) AS requests FROM latency_day GROUP BY ALL) GROUP BY api ORDER BY api"
    )
    with ReadSession(lake) as session:
        total = sum(int(r[1]) for r in _rows(session.query(usage)))  # type: ignore[call-overload]
        assert total == requests
        took = [timed(lambda: session.query(usage)), timed(lambda: session.query(latency))]
    report.show("requests, errors per API, 30 days of rollups", str(took[0]))
    report.show("p99 per API, 30 days of rollups", str(took[1]))


def check(name: str, found: list[tuple[object, ...]], expected: list[tuple[object, ...]]) -> None:
    assert [f[:3] for f in found] == [e[:3] for e in expected], name
    for ours, theirs in zip(found, expected, strict=True):
        for value, (low, high) in zip(ours[3:], theirs[3:], strict=True):  # type: ignore[misc]
            assert value is low is None or low <= value <= high, name  # type: ignore[has-type]


def _rows(table: object) -> list[tuple[object, ...]]:
    return [tuple(r) for r in pl.from_arrow(table).rows()]  # type: ignore[union-attr]


def _text(value: str) -> str:
    return "None" if value == "\\N" else value


def _lake_bytes(lake: Lake) -> int:
    return sum(f.size for t in TABLES for f in lake.table(t).snapshot().files())


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"


def save(path: Path, report: Report) -> None:
    head, *rest = report.lines
    packages = ", ".join(f"{p} {version(p)}" for p in ("duckdb", "pyarrow", "deltalake", "polars"))
    path.write_text(
        "# Storage, measured\n\n"
        f"`python -m benchmarks.bench_storage {' '.join(sys.argv[1:])}`\n\n"
        f"{os.cpu_count()} shared cores ({platform.machine()}), load {os.getloadavg()[0]:.1f} at "
        f"the end; Python {platform.python_version()}, {packages}.\n\n"
        "Every answer equals the oracle's (Polars over the plain files) before its time counts; "
        "times are the least of three warm runs, wall / CPU of all threads.\n\n"
        + "\n".join([head, "|---|---:|---:|---:|---:|", *rest])
        + "\n"
    )


if __name__ == "__main__":
    main()
