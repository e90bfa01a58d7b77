"""Pages of numbers and of plain text read back the same, by three readers."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.coded_file import write_coded_file
from storage.plain_pages import PAGE_BYTES, packed_differences

TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("time", TIME), ("whole", pa.int64()), ("half", pa.int32()), ("small", pa.int16()),
        ("tiny", pa.int8()), ("real", pa.float64()), ("id", pa.string()), ("text", pa.string()),
    ]
)  # fmt: skip
OPTIONS: dict[str, object] = {
    "compression": "zstd", "use_dictionary": [], "write_statistics": ["time", "half"],
    "column_encoding": {}, "store_schema": False,
}  # fmt: skip


def _whole(rng: random.Random, bits: int) -> int:
    span = 1 << rng.choice((1, 7, bits - 1))
    return rng.choice((0, span - 1, -span, rng.randrange(-span, span)))


def _column(rng: random.Random, type_: pa.DataType, rows: int) -> pa.ChunkedArray:
    """NULLs in some, alike in some, in one to three pieces."""
    missing = rng.choice((0, 0, 0.01, 0.5))
    alike = rng.random() < 0.2
    long = "é" * rng.choice((3, 50, 2000 if rows <= 1000 else 50))

    def value() -> object:
        if pa.types.is_floating(type_):
            return rng.choice((0.0, -1.5, float("inf"), rng.random()))
        if pa.types.is_string(type_):
            return rng.choice(("", "x", long, str(rng.random())))
        return _whole(rng, 60 if type_ == TIME else type_.bit_width)

    one = value()
    values = [
        None if rng.random() < missing else one if alike else value() for _ in range(rows + 5)
    ]
    whole = pa.array(values, pa.int64() if type_ == TIME else type_)
    if type_ == TIME:
        whole = whole.cast(TIME)
    cut = sorted(rng.randrange(rows + 1) for _ in range(rng.choice((0, 2))))
    bounds = [0, *cut, rows]
    pieces = [whole.slice(a + 5, b - a) for a, b in zip(bounds, bounds[1:], strict=False)]
    return pa.chunked_array(pieces, type_)


@pytest.mark.parametrize("rows", [1, 2, 128, 129, 130, 700, 30_000])
def test_three_readers_get_the_values_back(tmp_path: Path, rows: int) -> None:
    for seed in range(10 if rows < 10_000 else 1):
        rng = random.Random(f"{rows} {seed}")
        table = pa.Table.from_arrays([_column(rng, f.type, rows) for f in SCHEMA], schema=SCHEMA)
        path = tmp_path / f"{seed}.parquet"
        write_coded_file(path, SCHEMA, table, OPTIONS, fast={"text"})
        assert pq.read_table(path).equals(table)
        if seed < 4:
            numbers = table.set_column(0, "time", table.column("time").cast(pa.int64()))
            expected = [tuple(row.values()) for row in numbers.to_pylist()]
            assert (
                pl.read_parquet(path).with_columns(pl.col("time").cast(pl.Int64)).rows() == expected
            )
            read = duckdb.read_parquet(str(path)).select("* REPLACE (epoch_us(time) AS time)")
            assert read.fetchall() == expected


def test_text_is_cut_into_pages_between_rows(tmp_path: Path) -> None:
    texts = ["a" * (PAGE_BYTES // 2 + 1)] * 4 + [None] * 3 + ["b" * 3 * PAGE_BYTES, "", None, "c"]
    schema = pa.schema([("text", pa.string())])
    table = pa.table({"text": texts}, schema=schema)
    path = tmp_path / "a.parquet"
    write_coded_file(path, schema, table, OPTIONS, fast={"text"})
    assert pq.read_table(path).equals(table)
    assert duckdb.read_parquet(str(path)).fetchall() == [(text,) for text in texts]
    assert pl.read_parquet(path).to_series().to_list() == texts
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    assert (chunk.compression, chunk.statistics.null_count) == ("SNAPPY", 4)


def test_bounds_are_told_of_compared_columns_alone(tmp_path: Path) -> None:
    rng = random.Random(1)
    table = pa.Table.from_arrays([_column(rng, f.type, 700) for f in SCHEMA], schema=SCHEMA)
    path = tmp_path / "a.parquet"
    write_coded_file(path, SCHEMA, table, OPTIONS)
    group = pq.ParquetFile(path).metadata.row_group(0)
    for number, name in enumerate(SCHEMA.names):
        statistics = group.column(number).statistics
        assert statistics.null_count == table.column(name).null_count
        assert statistics.has_min_max == (name in ("time", "half"))
    half = [v for v in table.column("half").to_pylist() if v is not None]
    told = group.column(2).statistics
    assert (told.min, told.max) == (min(half), max(half))


def test_differences_of_like_numbers_take_two_bytes_and_a_bit_a_block() -> None:
    assert len(packed_differences(np.full(128_001, 7, dtype=np.int64))) < 3 * 1000 + 12


@pytest.mark.parametrize("numbers", [pa.int64(), pa.int32(), pa.float64()])
@pytest.mark.parametrize("rows", [1, 9, 1000])
def test_lists_of_numbers_read_back(tmp_path: Path, rows: int, numbers: pa.DataType) -> None:
    rng = random.Random(rows)
    type_ = pa.list_(pa.field("element", numbers))
    schema = pa.schema([("lists", type_), ("time", pa.int64())])
    for seed, shortest in enumerate((0, 0, 1)):
        lists = [
            [rng.randrange(-500, 500) for _ in range(rng.randrange(shortest, 5))]
            if shortest or rng.random() < 0.8
            else None
            for _ in range(rows + 3)
        ]
        if seed == 1:
            lists[-1] = [None]  # pyarrow's
        whole = pa.table({"lists": pa.array(lists, type_), "time": range(rows + 3)}, schema=schema)
        table = pa.concat_tables([whole.slice(3), whole.slice(0, 0)])
        if rows > 5:
            table = pa.concat_tables([whole.slice(0, 4), whole.slice(4)])
        path = tmp_path / f"{seed}.parquet"
        write_coded_file(path, schema, table, OPTIONS)
        assert pq.read_table(path).equals(table)
        expected = [tuple(row.values()) for row in table.to_pylist()]
        assert pl.read_parquet(path).rows() == expected
        assert duckdb.read_parquet(str(path)).fetchall() == expected


def test_a_not_a_number_keeps_its_bits(tmp_path: Path) -> None:
    odd = struct.unpack("<d", bytes.fromhex("010000000000f87f"))[0]
    schema = pa.schema([("real", pa.float64())])
    path = tmp_path / "a.parquet"
    write_coded_file(path, schema, pa.table({"real": [odd, 1.0] * 50}), OPTIONS)
    read = pq.read_table(path).column("real").combine_chunks().buffers()[1]
    assert read.to_pybytes()[:8] == struct.pack("<d", odd)
