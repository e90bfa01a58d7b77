"""Writing data files: rows split by hour, Parquet with the settings of their level, fsynced."""

from __future__ import annotations

import math
import os
import re
import time
import uuid
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.coded import schema_of
from storage.coded_file import write_coded_file
from storage.errors import InvalidRows
from storage.files import fsync_file, fsync_folder
from storage.limits import PARTITIONS_PER_COMMIT_MAX, ROW_GROUP_ROWS, TENANT_CHARS_MAX
from storage.log import FileEntry, Partition
from storage.physical import parquet_schema, store
from storage.schemas import LAKE_SCHEMA_VERSION, TableSpec

_HOUR_US = 3_600_000_000
_FIRST_HOUR = -70 * 8766
_LAST_HOUR = 8029 * 8766
"""Years 1900 to 9999: what a Delta DATE partition can name everywhere."""

_TENANT = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{TENANT_CHARS_MAX - 1}}}")

_VARIED_TEXT = ("url_path", "path", "body", "attributes.key_value.value")
"""Columns whose dictionary mostly grows too large and is given up while writing; where it does
not, the rewrite of merged files makes one."""

UNIQUE_TEXT = frozenset({"trace_id", "span_id", "parent_span_id", "request_id"})
"""Columns where a dictionary costs time and saves nothing."""

_NEVER_COMPARED = UNIQUE_TEXT | {"body", "detail", "record", "status_message"}
"""Columns whose least and greatest values say nothing about what lies between."""

_NO_DICTIONARY_TYPES = (pa.timestamp("us", tz="UTC"), pa.float64())

NANOSECONDS = frozenset({"start_time_unix_nano", "duration_ns", "end_time_unix_nano"})
"""Whole numbers that hardly repeat but lie close together: differences take half the bytes."""


TRACE_FILTER_FPP = 0.001
"""False positives of the filters on trace_id, about 14 bits an id: a trace is asked for by its id
alone, over every hour there is, and each false one reads a column of 128,000 ids."""

_SAMPLED_ROWS = 8192
"""Rows from which the number of different ids is reckoned: counting all of them would cost a tenth
of a merge, and what belongs to one id lies close together."""

ID_FILTER_FPP = 0.01
"""The same for other ids, about 10 bits: seldom asked for."""

_CODED_ROWS_MIN = (2_000, 10_000, 10_000)
"""By level. Below, what is done once a file (footers and page indexes read and written in Python,
2-4 ms) takes longer than the pages of pyarrow's own writer."""

_FAST = frozenset({"body"})
"""Columns of fresh files that snappy compresses: text so long that zstd would be the largest part
of taking it in (2.6 times the time of snappy for 0.7 of its bytes). Merging makes zstd of it."""

_REPEATED_MIN = 4
_REPEATED_SAMPLE = 512
"""Times a text must come up on average to be worth a code; rows that are looked at first."""

_synced: set[Path] = set()
"""Partition folders whose names this process has made durable."""

_SYNCED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class HourRows:
    """Rows of one partition."""

    tenant: str
    day: date
    hour: int
    rows: pa.Table
    time_min: int
    time_max: int


def check_tenant(table: str, tenant: str) -> None:
    """Tenants become folder names: letters, digits, dot, dash, underscore, never a path."""
    if not _TENANT.fullmatch(tenant):
        raise InvalidRows(table, f"{tenant[:80]!r} is not a tenant's name")


def split_by_hour(spec: TableSpec, rows: pa.Table) -> list[HourRows]:
    """Partition conformed rows by tenant and UTC hour of `time`, keeping order within each."""
    if rows.num_rows == 0:
        return []
    times = rows.column("time").combine_chunks().cast(pa.int64()).to_numpy()
    hours = np.floor_divide(times, _HOUR_US)
    if hours.min() < _FIRST_HOUR or hours.max() > _LAST_HOUR:
        raise InvalidRows(spec.name, "a time lies outside the years 1900 to 9999")
    tenants = pc.dictionary_encode(rows.column("tenant").combine_chunks())
    names = tenants.dictionary.to_pylist()
    for name in names:
        check_tenant(spec.name, name)
    keys = hours if len(names) == 1 else hours * len(names) + tenants.indices.to_numpy()
    if np.any(keys[1:] < keys[:-1]):
        order = np.argsort(keys, kind="stable")
        rows, keys, times = rows.take(pa.array(order)), keys[order], times[order]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    if len(starts) > PARTITIONS_PER_COMMIT_MAX:
        raise InvalidRows(spec.name, f"{len(starts)} hours in one append")
    parts = []
    for start, end in zip(starts, [*starts[1:], len(keys)], strict=True):
        hour, owner = divmod(int(keys[start]), len(names))
        parts.append(
            HourRows(
                tenant=names[owner],
                day=date(1970, 1, 1) + timedelta(days=hour // 24),
                hour=hour % 24,
                rows=rows.slice(start, end - start),
                time_min=int(times[start:end].min()),
                time_max=int(times[start:end].max()),
            )
        )
    return parts


def write_file(location: Path, spec: TableSpec, part: HourRows, *, level: int) -> FileEntry:
    """Write the rows of one hour as a data file, durably. Until a commit names it, no reader sees
    it."""
    described = FileEntry(
        path="",
        size=0,
        rows=part.rows.num_rows,
        tenant=part.tenant,
        day=part.day,
        hour=part.hour,
        time_min=part.time_min,
        time_max=part.time_max,
        modified_ms=int(time.time() * 1000),
    )
    return write_stored(location, spec, stored_rows(spec, part.rows), like=described, level=level)


def write_stored(
    location: Path, spec: TableSpec, rows: pa.Table, *, like: FileEntry, level: int
) -> FileEntry:
    """Write rows that are as in the files already; the entry is `like` with its path and size."""
    place = partition_folder(like.partition)
    folder = location / place
    path = folder / f"l{level}-v{LAKE_SCHEMA_VERSION}-{uuid.uuid4().hex}.parquet"
    new_folders = _make_folders(location, folder)
    try:
        try:
            write_parquet(path, spec, rows, level=level)
        except FileNotFoundError:  # a sweep has just removed the empty folder
            new_folders = _make_folders(location, folder)
            write_parquet(path, spec, rows, level=level)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    for made in (folder, *new_folders):
        fsync_folder(made)
    if len(_synced) >= _SYNCED_MAX:
        _synced.clear()
    _synced.add(folder)
    return replace(like, path=f"{place}/{path.name}", size=path.stat().st_size)


def partition_folder(partition: Partition) -> str:
    tenant, day, hour = partition
    return f"tenant={tenant}/day={day.isoformat()}/hour={hour}"


def stored_rows(spec: TableSpec, rows: pa.Table) -> pa.Table:
    """Rows with the columns and types of the files."""
    schema = parquet_schema(spec.name)
    columns = [store(rows.column(n)) for n in schema.names]
    return pa.Table.from_arrays(columns, schema=schema_of(schema, columns))


def write_parquet(path: Path, spec: TableSpec, rows: pa.Table, *, level: int) -> None:
    options = writer_options(spec, level=level)
    # Merging asks for columns without values.
    empty = [n for n in rows.column_names if rows.column(n).null_count == rows.num_rows]
    options["write_statistics"] = sorted({*_compared(spec, level=level), *empty})
    if level == 0:
        coded = _with_coded(options["use_dictionary"], rows.schema)
        options["use_dictionary"] = coded
        # pyarrow refuses a column with both; codes that are there count more.
        options["column_encoding"] = {
            leaf: encoding for leaf, encoding in _encodings(spec).items() if leaf not in coded
        }
        if rows.num_rows >= _CODED_ROWS_MIN[level]:
            rows = _coded_where_repeated(spec, rows)
    if level == 2:
        options["bloom_filter_options"] = _bloom_filters(spec, rows)
    size = _row_group_rows(rows.num_rows)
    if rows.num_rows >= _CODED_ROWS_MIN[level]:
        fast = _FAST if level == 0 else ()
        schema = parquet_schema(spec.name)
        write_coded_file(path, schema, rows, options, group_rows=size, fast=fast)
    else:
        with pq.ParquetWriter(path, rows.schema, **options) as writer:
            writer.write_table(rows, row_group_size=size)
    fsync_file(path)


def _coded_where_repeated(spec: TableSpec, rows: pa.Table) -> pa.Table:
    """Rows with plain text that repeats as codes, as pyarrow's writer would have made them: pages
    of our own do not look for it, and merging reads codes quicker than texts."""
    leaves = _leaves(spec)
    for index, field in enumerate(rows.schema):
        if field.type != pa.string() or field.name not in leaves or field.name in _VARIED_TEXT:
            continue
        column = rows.column(index)
        sample = column.slice(0, _REPEATED_SAMPLE)
        few = len(sample) // _REPEATED_MIN
        if column.null_count == rows.num_rows or pc.count_distinct(sample).as_py() > few:
            continue
        coded = column.dictionary_encode().unify_dictionaries()
        if len(coded.chunk(0).dictionary) <= rows.num_rows // _REPEATED_MIN:
            rows = rows.set_column(index, field.with_type(coded.type), coded)
    return rows


def writer_options(spec: TableSpec, *, level: int) -> dict[str, object]:
    """Options of pyarrow's ParquetWriter for a level; merged files get a page index, too."""
    options: dict[str, object] = {
        "compression": "zstd",
        "compression_level": 1,  # level 3 came out larger and slower on requests
        "use_dictionary": [leaf for leaf in _leaves(spec) if level > 0 or leaf not in _VARIED_TEXT],
        "column_encoding": _encodings(spec),
        "write_statistics": _compared(spec, level=level),
        "store_schema": False,
        "write_page_index": level > 0,
        "write_page_checksum": True,  # merging and `doctor` look at them
    }
    return options


def _compared(spec: TableSpec, *, level: int) -> list[str]:
    """Columns with least and greatest values. Not the texts in maps and lists, which no reader asks
    for by them and which were a quarter of the time of merging spans; nor ids, whose filters say
    more. Fresh files are chosen by their entries in the log, so `time` will do."""
    if level == 0:
        return ["time"]
    return [
        column.name
        for column in spec.columns
        if column.name not in _NEVER_COMPARED and not pa.types.is_nested(column.type)
    ]


def _with_coded(leaves: object, schema: pa.Schema) -> list[str]:
    """The leaves and those whose text comes coded: a dictionary that is there costs nothing."""
    assert isinstance(leaves, list)
    found = set(leaves)
    for field in schema:
        if pa.types.is_dictionary(field.type):
            found.add(field.name)
        elif pa.types.is_map(field.type):
            for name, type_ in (("key", field.type.key_type), ("value", field.type.item_type)):
                if pa.types.is_dictionary(type_):
                    found.add(f"{field.name}.key_value.{name}")
    return sorted(found)


def _encodings(spec: TableSpec) -> dict[str, str]:
    """Encodings of columns without dictionary: times as differences, ids without their lengths,
    DOUBLEs byte by byte, so that their like bytes (sign, exponent, zeros) lie together."""
    chosen: dict[str, str] = {}
    for column in spec.columns:
        if column.type == pa.timestamp("us", tz="UTC") or column.name in NANOSECONDS:
            chosen[column.name] = "DELTA_BINARY_PACKED"
        elif column.name in UNIQUE_TEXT:
            chosen[column.name] = "DELTA_LENGTH_BYTE_ARRAY"
        elif column.type == pa.float64():
            chosen[column.name] = "BYTE_STREAM_SPLIT"
    return chosen


def _row_group_rows(rows: int) -> int:
    """Row groups of like size near ROW_GROUP_ROWS: a last one of a few rows would cost a dictionary
    per column and a filter per id as large as a full one's."""
    groups = max(1, round(rows / ROW_GROUP_ROWS))
    return max(1, -(-rows // groups))


def _bloom_filters(spec: TableSpec, rows: pa.Table) -> dict[str, object] | None:
    """Filters sized for one row group; none for a column without values, which would be dead
    weight. A filter's size is a power of two: the one nearest to what the ids need, where Parquet's
    own choice is the next larger one, up to twice as much."""
    filters: dict[str, object] = {}
    for name in spec.bloom:
        column = rows.column(name)
        if column.null_count == rows.num_rows:
            continue
        sample = column.slice(0, _SAMPLED_ROWS)
        share = pc.count_distinct(sample, mode="only_valid").as_py() / max(1, len(sample))
        distinct = max(1, int(share * _row_group_rows(rows.num_rows)))
        fpp = TRACE_FILTER_FPP if name == "trace_id" else ID_FILTER_FPP
        bits_per_id = -8 / math.log(1 - fpp ** (1 / 8))
        size = 2 ** round(math.log2(distinct * bits_per_id))
        filters[name] = {"ndv": max(1, int(size / bits_per_id)), "fpp": fpp}
    return filters or None


def _leaves(spec: TableSpec) -> list[str]:
    """Parquet column paths that get a dictionary."""
    names = []
    for column in spec.columns:
        if column.name in UNIQUE_TEXT | NANOSECONDS or column.type in _NO_DICTIONARY_TYPES:
            continue
        if pa.types.is_map(column.type):
            names += [f"{column.name}.key_value.key", f"{column.name}.key_value.value"]
        elif not pa.types.is_nested(column.type):
            names.append(column.name)
    return names


def _make_folders(location: Path, folder: Path) -> list[Path]:
    """Create the folder; returns the parents whose entries must be synced. That a folder is there
    says nothing: whoever made it may have failed, or been killed, before it was synced."""
    if folder in _synced and folder.is_dir():
        return []
    _synced.discard(folder)
    parents = [p for p in folder.parents if p == location or location in p.parents]
    os.makedirs(folder, exist_ok=True)
    return parents
