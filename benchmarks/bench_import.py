"""Combined NGINX lines: parsed, named, in the lake, against goaccess reading the same file.

    .venv/bin/python -m benchmarks.bench_import [--lines 600000] [--no-goaccess]

Prints lines/s of each stage in one run, with the number of rows checked. `decode` and `name` run on
the calling thread (polars may use more: set POLARS_MAX_THREADS=1 to measure one core). Compare the
ratios, not the machines. Seeded; the file has ids in its paths and a few broken lines.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from collector.gateways.nginx import NGINX
from collector.importer import import_files
from collector.naming import Naming
from collector.payload import Payload
from storage.catalog import Catalog
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings

SEED = 7
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/5",
    "curl/8.6.0", "python-requests/2.31", "okhttp/4.12.0",
)  # fmt: skip
WORDS = ("orders", "users", "items", "carts", "search")


def write_log(path: Path, lines: int) -> int:
    """A log of so many lines; answers how many of them are broken."""
    rng = random.Random(SEED)
    broken = 0
    with path.open("w") as file:
        for i in range(lines):
            if i % 50_000 == 7:
                file.write("a broken line\n")
                broken += 1
                continue
            minute = i * 60 // lines
            file.write(
                f"10.0.{rng.randint(0, 255)}.{rng.randint(0, 255)} - - "
                f"[29/May/2017:19:{minute:02d}:{i % 60:02d} +0000] "
                f'"GET /v1/{WORDS[i % 5]}/{rng.randint(0, 10**6)}/lines?x={i} HTTP/1.1" '
                f"{rng.choice((200, 200, 200, 404, 500))} {rng.randint(10, 9999)} "
                f'"-" "{rng.choice(AGENTS)}"\n'
            )
    return broken


def show(stage: str, lines: int, seconds: float, note: str = "") -> None:
    sys.stdout.write(f"{stage:<28}{lines / seconds:>12,.0f} lines/s  {seconds:8.2f} s  {note}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=600_000)
    parser.add_argument("--no-goaccess", action="store_true")
    arguments = parser.parse_args()
    lines: int = arguments.lines
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "access.log"
        broken = write_log(log, lines)
        body = log.read_bytes()
        small = Payload(body[:5000], "nginx", "text", "default", None, 1, "bench")
        Naming(Catalog()).apply(NGINX.decode([small]).tables["requests"])  # compiles

        payload = Payload(body, "nginx", "text", "default", None, 1, "bench")
        start = time.perf_counter()
        decoded = NGINX.decode([payload])
        parsed = time.perf_counter()
        named = Naming(Catalog()).apply(decoded.tables["requests"])
        done = time.perf_counter()
        assert named.num_rows == lines - broken
        show("decode", lines, parsed - start)
        show("name", lines, done - parsed, f"{len(set(named.column('route').to_pylist()))} routes")
        del decoded, named

        storage = StorageSettings(data_dir=folder / "data")
        start = time.perf_counter()
        report = import_files("nginx", [log], storage=storage)
        ours = time.perf_counter() - start
        rows = ReadSession(Lake(storage)).query("SELECT count(*) AS n FROM requests").to_pylist()
        assert report.stored == rows[0]["n"] == lines - broken
        assert report.rejected == broken
        show("import into the lake", lines, ours, f"{rows[0]['n']:,} rows checked")

        goaccess = shutil.which("goaccess")
        if goaccess and not arguments.no_goaccess:
            start = time.perf_counter()
            subprocess.run(
                [goaccess, str(log), "--log-format=COMBINED", "--no-progress",
                 "-o", str(folder / "report.json")],
                check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            theirs = time.perf_counter() - start
            show("goaccess to JSON", lines, theirs)
            sys.stdout.write(f"import / goaccess = {theirs / ours:.1f}\n")


if __name__ == "__main__":
    main()
