"""What the jobs cost for the same new rows, in an empty lake and in larger ones: it must not grow.

    python -m benchmarks.bench_job_cost [--rows 200000] [--rounds 5] [--lake DIR]

Per round one commit of the same rows, at an hour of their own, is brought into an empty lake, a
lake of a million requests and, with --lake, a copy of the lake there (by hard links: data and log
files are never changed in place, so that lake stays as it is); then every job runs once. All lakes
are up to date before. The rows that the jobs wrote are compared between the lakes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from analytics.jobs import JOBS
from analytics.runner import RollupRunner
from benchmarks.bench_analytics import SEED, fill, make_requests
from storage.lake import Lake
from storage.settings import StorageSettings

AFTER = datetime(2026, 11, 28, tzinfo=UTC)
"""Later than all rows of the lakes: the new ones lie in hours of their own."""

PER_SECOND = 2_000


@dataclass(slots=True)
class Cost:
    """Of one lake, over the rounds."""

    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    rows_out: list[int] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lake", type=Path, help="data folder of a lake; left as it is")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folders = {"empty": Path(made) / "empty", "1 M": Path(made) / "million"}
        fill(lake_in(folders["1 M"]), 1_000_000, 1.0)
        if options.lake is not None:
            # beside the lake: hard links do not leave a file system
            copied = Path(tempfile.mkdtemp(dir=options.lake.parent))
            shutil.copytree(
                options.lake / "lake", copied / "lake", copy_function=os.link, dirs_exist_ok=True
            )
            folders["given"] = copied
        try:
            bench({name: lake_in(folder) for name, folder in folders.items()}, options)
        finally:
            if "given" in folders:
                shutil.rmtree(folders["given"])


def lake_in(folder: Path) -> Lake:
    return Lake(StorageSettings(data_dir=folder))


def bench(lakes: dict[str, Lake], options: argparse.Namespace) -> None:
    runners = {name: RollupRunner(lake) for name, lake in lakes.items()}
    for runner in runners.values():
        runner.catch_up_all()
    costs = {name: Cost() for name in lakes}
    for number in range(options.rounds):
        rng = np.random.default_rng(SEED + number)
        begin = AFTER + timedelta(hours=number)
        batch = make_requests(rng, options.rows, begin, options.rows / PER_SECOND)
        for name, lake in lakes.items():
            lake.table("requests").append(batch, app_id="bench_job_cost", app_version=number + 1)
            cpu, wall = time.process_time(), time.perf_counter()
            steps = runners[name].catch_up_all()
            cost = costs[name]
            cost.cpu_s.append(time.process_time() - cpu)
            cost.wall_s.append(time.perf_counter() - wall)
            cost.rows_out.append(sum(step.rows_out for step in steps))
    same = {tuple(cost.rows_out) for cost in costs.values()}
    assert len(same) == 1, f"the lakes got different rows: {same}"
    write = sys.stdout.write
    write(f"{len(JOBS)} jobs over {options.rows:,} new requests, median of {options.rounds}\n")
    for name, lake in lakes.items():
        table = lake.existing("requests")
        assert table is not None
        snapshot = table.snapshot()
        rows = sum(f.rows for f in snapshot.files())
        cost = costs[name]
        write(
            f"{name:6} {rows:>12,} requests, version {snapshot.version:>6,}: "
            f"{statistics.median(cost.cpu_s):6.2f} s CPU ({min(cost.cpu_s):.2f} to "
            f"{max(cost.cpu_s):.2f}), {statistics.median(cost.wall_s):6.2f} s wall\n"
        )


if __name__ == "__main__":
    main()
