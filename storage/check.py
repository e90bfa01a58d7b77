"""Looking the lake over: what `gatelens doctor` reports. Reads only; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow.parquet as pq

from storage.creation import read_lake_version
from storage.errors import LakeDamaged, LakeError
from storage.lake import Lake, LakeTable
from storage.log import FileEntry
from storage.physical import UNREADABLE
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
    or hold another number of rows than the log says. `read_rows` also decodes every page and
    compares its checksum (slow); else only footers are read. No problems = nothing is yielded."""
    lake = Lake(settings, create=False)
    version = read_lake_version(lake.store)
    if version is not None and version > LAKE_SCHEMA_VERSION:
        yield Problem("", lake.store.url, f"written by a newer version ({version})")
        return
    for name in TABLES:
        yield from _check_table(lake, name, read_rows=read_rows)


def _check_table(lake: Lake, name: str, *, read_rows: bool) -> Iterator[Problem]:
    try:
        table = lake.existing(name)
        if table is None:
            return
        files = list(table.snapshot().files())
        sizes = {f.path: f.size for f in table.store.list(f"{name}/")}
    except LakeDamaged as err:
        yield Problem(name, err.path, err.reason)
        return
    except LakeError as err:
        yield Problem(name, f"{lake.store.url}/{name}", str(err))
        return
    for entry in files:
        problem = _check_file(table, entry, sizes, read_rows=read_rows)
        if problem is not None:
            yield problem


def _check_file(
    table: LakeTable, entry: FileEntry, sizes: Mapping[str, int], *, read_rows: bool
) -> Problem | None:
    name = f"{table.spec.name}/{entry.path}"
    rows = max(entry.rows, 0)

    def broken(reason: str) -> Problem:
        return Problem(table.spec.name, f"{table.store.url}/{name}", reason, rows)

    try:
        if name not in sizes:
            return broken("missing")
        if sizes[name] != entry.size:
            return broken(f"{sizes[name]} bytes instead of {entry.size}")
        with (
            table.store.open(name) as source,
            pq.ParquetFile(source, page_checksum_verification=read_rows) as file,
        ):
            found = file.metadata.num_rows
            if entry.rows >= 0 and found != entry.rows:
                return broken(f"{found} rows instead of {entry.rows}")
            if read_rows:
                for _batch in file.iter_batches():
                    pass
    except FileNotFoundError:
        return broken("missing")
    except UNREADABLE as err:
        return broken(str(err).split("\n")[0])
    return None
