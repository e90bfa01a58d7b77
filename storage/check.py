"""Looking the lake over: what `gatelens doctor` reports. Reads only; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from storage.creation import read_lake_version
from storage.errors import LakeDamaged, LakeError
from storage.lake import Lake, LakeTable
from storage.log import FileEntry
from storage.schemas import LAKE_SCHEMA_VERSION, TABLES
from storage.settings import StorageSettings


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a file. `rows_lost`: rows the log counts on and that cannot be read;
    None = unknown."""

    table: str
    path: str
    reason: str
    rows_lost: int | None = None


def check_lake(settings: StorageSettings, *, read_rows: bool = False) -> Iterator[Problem]:
    """Every problem of every table: commits that cannot be read, data files that are missing, cut
    or hold another number of rows than the log says. `read_rows` also decodes every page (slow);
    else only footers are read. No problems = nothing is yielded."""
    lake = Lake(settings, create=False)
    version = read_lake_version(lake.root)
    if version is not None and version > LAKE_SCHEMA_VERSION:
        yield Problem("", str(lake.root), f"written by a newer version ({version})")
        return
    for name in TABLES:
        yield from _check_table(lake, name, read_rows=read_rows)


def _check_table(lake: Lake, name: str, *, read_rows: bool) -> Iterator[Problem]:
    try:
        table = lake.existing(name)
        if table is None:
            return
        files = list(table.snapshot().files())
    except LakeDamaged as err:
        yield Problem(name, err.path, err.reason)
        return
    except LakeError as err:
        yield Problem(name, str(lake.root / name), str(err))
        return
    for entry in files:
        problem = _check_file(table, entry, read_rows=read_rows)
        if problem is not None:
            yield problem


def _check_file(table: LakeTable, entry: FileEntry, *, read_rows: bool) -> Problem | None:
    path = table.location / entry.path
    rows = max(entry.rows, 0)

    def broken(reason: str) -> Problem:
        return Problem(table.spec.name, str(path), reason, rows)

    try:
        if path.stat().st_size != entry.size:
            return broken(f"{path.stat().st_size} bytes instead of {entry.size}")
        found = pq.ParquetFile(path).metadata.num_rows
        if entry.rows >= 0 and found != entry.rows:
            return broken(f"{found} rows instead of {entry.rows}")
        if read_rows:
            pq.read_table(path, partitioning=None)
    except FileNotFoundError:
        return broken("missing")
    except (OSError, pa.ArrowException) as err:
        return broken(str(err).split("\n")[0])
    return None
