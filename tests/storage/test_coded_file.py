"""Files whose coded columns we write ourselves read like pyarrow's."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, QueryBuilder

from storage import coded_file
from storage.check import check_lake
from storage.coded import plain
from storage.coded_columns import BOUND_BYTES_MAX
from storage.coded_file import write_coded_file
from storage.errors import LakeDamaged
from storage.lake import Lake
from storage.maintenance import compact
from storage.merge import read_files
from storage.settings import StorageSettings
from storage.thrift import Struct, read_struct, struct_bytes
from tests.storage.conftest import HOUR, requests

MAPS = pa.map_(pa.string(), pa.string())
EVENTS = pa.list_(pa.field("element", pa.struct([("time", pa.int64()), ("attributes", MAPS)])))
SCHEMA = pa.schema(
    [
        ("number", pa.int64()), ("text", pa.string()), ("maps", MAPS), ("events", EVENTS),
        ("nothing", pa.float64()), ("word", pa.string()),
    ]
)  # fmt: skip
OPTIONS: dict[str, object] = {
    "compression": "zstd", "use_dictionary": [], "write_statistics": ["number"],
    "column_encoding": {}, "store_schema": False,
}  # fmt: skip


INDEXED = OPTIONS | {"write_page_index": True, "write_statistics": ["number", "text", "word"]}


def _coded(values: list[str | None]) -> pa.DictionaryArray:
    return pa.array(values, pa.string()).dictionary_encode()


def _maps(rng: random.Random, rows: int, word: list[str | None]) -> pa.MapArray:
    """NULL, empty and filled maps, with coded keys and values."""
    offsets, valid = [0], []
    for _ in range(rows):
        size = rng.choice((0, 0, 1, 2, 5)) if rng.random() < 0.5 else 3
        valid.append(size > 0 or rng.random() < 0.5)
        offsets.append(offsets[-1] + size)
    keys = _coded([f"key {i % 5}" for i in range(offsets[-1])])
    items = _coded([rng.choice(word) for _ in range(offsets[-1])])
    fields = [pa.field("key", keys.type, nullable=False), pa.field("value", items.type)]
    entries = pa.StructArray.from_arrays([keys, items], fields=fields)
    bits = pa.py_buffer(np.packbits(np.array(valid), bitorder="little"))
    buffers = [bits, pa.py_buffer(np.array(offsets, dtype=np.int32))]
    return pa.Array.from_buffers(pa.map_(*fields), rows, buffers, children=[entries])


def _rows(rng: random.Random, rows: int) -> pa.Table:
    texts = [None, "", "é€", "a" * 40, *map(str, range(rng.choice((1, 3, 300, 70_000))))]
    words = texts if rng.random() < 0.7 else ["alike"]
    columns = [
        pa.array(range(rows)), _coded(rng.choices(texts, k=rows)), _maps(rng, rows, words),
        pa.nulls(rows, EVENTS), pa.nulls(rows, pa.float64()), _coded(rng.choices(words, k=rows)),
    ]  # fmt: skip
    table = pa.Table.from_arrays(columns, names=SCHEMA.names)
    start = rng.randrange(rows)
    if rng.random() < 0.3:
        return table.slice(start, rng.randint(1, rows - start))
    return pa.concat_tables([table.slice(0, start), table.slice(start)])


def _plain(table: pa.Table) -> pa.Table:
    whole = [pa.concat_arrays([*column.chunks, column.chunk(0)[:0]]) for column in table.columns]
    return pa.Table.from_arrays([plain(column) for column in whole], schema=SCHEMA)


@pytest.mark.parametrize("kind", ["fresh", "merged"])
@pytest.mark.parametrize("rows", [1, 7, 8, 9, 64, 65, 1000, 70_000])
def test_readers_get_the_rows_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, kind: str
) -> None:
    """Merged: in several row groups and pages, with least and greatest values."""
    for seed in range(12 if rows <= 1000 else 1):
        rng = random.Random(f"{rows} {seed}")
        table = _rows(rng, rows)
        path = tmp_path / f"{seed}.parquet"
        if kind == "fresh":
            write_coded_file(
                path, SCHEMA, table, OPTIONS, group_rows=rng.choice((None, rows // 2 + 1))
            )
        else:
            monkeypatch.setattr(
                coded_file, "INDEXED_PAGE_ROWS", rng.choice((1, 9, 64)) if rows <= 1000 else 20_000
            )
            write_coded_file(
                path, SCHEMA, table, INDEXED, group_rows=rng.randint(rows // 3 + 1, rows)
            )
        expected = _plain(table)
        assert pq.read_table(path).cast(SCHEMA).equals(expected)
        simple = ["number", "text", "nothing", "word"]
        if seed < 3:
            assert pl.read_parquet(path, columns=simple).rows() == [
                tuple(row.values()) for row in expected.select(simple).to_pylist()
            ]
            relation = duckdb.read_parquet(str(path)).select("number, text, maps, word")
            assert (
                relation.to_arrow_table().to_pylist()
                == expected.select(["number", "text", "maps", "word"]).to_pylist()
            )


def test_the_footer_knows_counts_and_sizes(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = _rows(random.Random(5), 1000)
    write_coded_file(path, SCHEMA, table, OPTIONS)
    group = pq.ParquetFile(path).metadata.row_group(0)
    assert group.num_rows == table.num_rows
    for number in range(group.num_columns):
        chunk = group.column(number)
        assert chunk.statistics is not None, chunk.path_in_schema
        name = chunk.path_in_schema
        if name in SCHEMA.names and name != "number":
            assert chunk.statistics.null_count == table.column(name).null_count
    total = sum(group.column(n).total_compressed_size for n in range(group.num_columns))
    assert 0 < path.stat().st_size - total < 5_000


def _fields(struct: Struct) -> dict[int, Any]:
    return {number: value for number, _, value in struct}


def test_the_page_index_says_what_lies_in_each_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coded_file, "INDEXED_PAGE_ROWS", 50)
    path = tmp_path / "a.parquet"
    table = _rows(random.Random(7), 1000)
    write_coded_file(path, SCHEMA, table, INDEXED, group_rows=400)
    data = path.read_bytes()
    words = _plain(table).column("word").to_pylist()
    (footer, _) = read_struct(data[-8 - int.from_bytes(data[-8:-4], "little") : -8])
    groups = _fields(footer)[4][1]
    for number, group in enumerate(groups):
        chunks = [_fields(column) for column in group[0][2][1]]
        for chunk in chunks:
            (places, _) = read_struct(data, chunk[4])
            first_rows = [place[2][2] for place in places[0][2][1]]
            described = _fields(chunk[3])
            assert places[0][2][1][0][0][2] == described[9], "where the first data page lies"
            if described[3][1] != [b"word"]:
                continue
            rows = words[number * 400 : number * 400 + 400]
            assert first_rows == list(range(0, len(rows), 50))
            (told, _) = read_struct(data, chunk[6])
            of_pages = [rows[at : at + 50] for at in first_rows]
            there = [[v.encode() for v in page if v is not None] for page in of_pages]
            assert told[1][2][1] == [min(page) if page else b"" for page in there]
            assert told[2][2][1] == [max(page) if page else b"" for page in there]
            assert told[0][2][1] == [2 if page else 1 for page in there]
            assert told[4][2][1] == [page.count(None) for page in of_pages]


@pytest.mark.parametrize("over", [False, True])
def test_bounds_up_to_their_size_are_told_and_longer_ones_of_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, over: bool
) -> None:
    monkeypatch.setattr(coded_file, "INDEXED_PAGE_ROWS", 2)
    longest = "z" * (BOUND_BYTES_MAX + over)
    path = tmp_path / "a.parquet"
    table = pa.table({"word": _coded(["a", "b", "c", longest])})
    write_coded_file(path, pa.schema([("word", pa.string())]), table, INDEXED)
    (chunk,) = (pq.ParquetFile(path).metadata.row_group(0).column(0),)
    assert chunk.statistics.has_min_max is not over
    assert chunk.has_column_index is not over
    assert chunk.has_offset_index
    assert pq.read_table(path).column("word").to_pylist() == ["a", "b", "c", longest]


def test_an_engine_that_skips_pages_finds_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DataFusion, which leaves out pages by their index."""
    monkeypatch.setattr(coded_file, "INDEXED_PAGE_ROWS", 100)
    lake = Lake(StorageSettings(data_dir=tmp_path))
    rows = requests(12_000, step_s=0.1)
    names = [random.Random(n).choice(["ann", "bob", "cy", None]) for n in range(rows.num_rows)]
    rows = rows.append_column("consumer", pa.array(names))
    lake.table("requests").append(rows, app_id="w", app_version=1)
    compact(lake, "requests", HOUR + timedelta(days=400))
    engine = QueryBuilder().register("requests", DeltaTable(str(lake.table("requests").location)))
    for name in ("ann", "cy", "nobody"):
        asked = f"SELECT time, route FROM requests WHERE consumer = '{name}' ORDER BY time"
        found = pa.table(engine.execute(asked))
        kept = rows.filter(pc.equal(rows.column("consumer"), name))
        assert found.column("route").to_pylist() == kept.column("route").to_pylist()


def test_thrift_round_trip_of_a_real_footer(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(_plain(_rows(random.Random(6), 500)), path)
    data = path.read_bytes()
    size = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - size : -8]
    fields, end = read_struct(footer)
    assert end == size
    assert struct_bytes(fields) == footer


def test_other_dictionaries_and_uncoded_columns_are_left_to_pyarrow(tmp_path: Path) -> None:
    parts = [
        pa.table({"number": [1, 2], "word": _coded(["a", "b"])}),
        pa.table({"number": [3], "word": _coded(["c"])}),
    ]
    path = tmp_path / "a.parquet"
    schema = pa.schema([("number", pa.int64()), ("word", pa.string())])
    write_coded_file(path, schema, pa.concat_tables(parts), OPTIONS)
    assert pq.read_table(path).column("word").to_pylist() == ["a", "b", "c"]


def test_plain_text_of_large_fresh_files_gets_codes_where_it_repeats(tmp_path: Path) -> None:
    table = Lake(StorageSettings(data_dir=tmp_path)).table("requests")
    rows = requests(3_000, step_s=0.1)
    rows = rows.append_column("consumer", pa.array([None, "a"] * 1_500))
    rows = rows.append_column("host", pa.array([f"h{n}" for n in range(3_000)]))
    table.append(rows, app_id="w", app_version=1)
    (entry,) = table.snapshot().files()
    group = pq.ParquetFile(table.location / entry.path).metadata.row_group(0)
    columns = [group.column(n) for n in range(group.num_columns)]
    coded = {c.path_in_schema for c in columns if "RLE_DICTIONARY" in c.encodings}
    assert coded == {"api", "route", "consumer"}


@pytest.mark.parametrize("sealed", [False, True], ids=["fresh", "sealed"])
def test_a_byte_that_changed_in_a_page_is_found_or_changes_no_row(
    tmp_path: Path, sealed: bool
) -> None:
    settings = StorageSettings(data_dir=tmp_path)
    lake = Lake(settings)
    table = lake.table("requests")
    rows_in = requests(12_000 if sealed else 2_500, step_s=0.1)
    table.append(rows_in, app_id="w", app_version=1)
    if sealed:
        compact(lake, "requests", HOUR + timedelta(days=400))
    (entry,) = table.snapshot().files()
    path = table.location / entry.path
    whole = path.read_bytes()
    rows = read_files(table, [entry])
    group = pq.ParquetFile(path).metadata.row_group(0)
    chunks = [group.column(n) for n in range(group.num_columns)]
    places = [
        at
        for chunk in chunks
        for start in [chunk.dictionary_page_offset or chunk.data_page_offset]
        for at in range(start, start + chunk.total_compressed_size)
    ]
    rng = random.Random(11)
    found = 0
    for at in rng.sample(places, 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :])
        try:
            assert read_files(table, [entry]).equals(rows), at
        except LakeDamaged:
            found += 1
            assert list(check_lake(settings, read_rows=True)), at
    assert found > 20  # the others lie in headers
