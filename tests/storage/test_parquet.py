"""How merged files lie on disk: row groups of like size, filters no larger than they need."""

from __future__ import annotations

import secrets
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.limits import ROW_GROUP_ROWS
from storage.parquet import stored_rows, write_parquet
from storage.physical import conform
from storage.schemas import LOGS, REQUESTS, SPANS, TableSpec
from tests.storage.conftest import HOUR


def _write(path: Path, spec: TableSpec, rows: int, per_trace: int = 1) -> list[str]:
    """A sealed file; the trace ids in it."""
    traces = [secrets.token_hex(16) for _ in range(rows // per_trace)]
    table = pa.table({
        "time": pa.array([HOUR] * rows, pa.timestamp("us", tz="UTC")),
        "tenant": ["default"] * rows,
        "trace_id": [t for t in traces for _ in range(per_trace)],
    })  # fmt: skip
    write_parquet(path, spec, stored_rows(spec, conform(spec, table)), level=2)
    return traces


def _filters(path: Path) -> list[int]:
    """Bytes of the filters on trace_id, a row group each."""
    sql = (
        "SELECT bloom_filter_length FROM parquet_metadata($1) "
        "WHERE path_in_schema = 'trace_id' ORDER BY row_group_id"
    )
    return [row[0] for row in duckdb.execute(sql, [str(path)]).fetchall()]


@pytest.mark.parametrize("rows", [3, 2_500])
@pytest.mark.parametrize("spec", [REQUESTS, SPANS, LOGS], ids=lambda spec: str(spec.name))
def test_any_text_may_come_coded(tmp_path: Path, spec: TableSpec, rows: int) -> None:
    """Ids, too, which have an encoding of their own; in parts that share no dictionary, too."""
    columns = {
        column.name: pa.array([f"{column.name} {i % 7}" for i in range(rows)])
        for column in spec.columns
        if column.type == pa.string() and column.name != "tenant"
    }
    times = pa.array([HOUR] * rows, pa.timestamp("us", tz="UTC"))
    fixed = {"time": times, "tenant": pa.array(["default"] * rows)}
    plain = stored_rows(spec, conform(spec, pa.table({**columns, **fixed})))
    alike = pa.table({
        name: plain.column(name).dictionary_encode() if name in columns else plain.column(name)
        for name in plain.column_names
    })  # fmt: skip
    parts = [alike.slice(0, 1), pa.table(
        [c.cast(plain.schema.field(n).type).dictionary_encode() if n in columns else c
         for n, c in zip(alike.column_names, alike.slice(1).columns, strict=True)],
        names=alike.column_names,
    )]  # fmt: skip
    for number, table in enumerate((alike, pa.concat_tables(parts))):
        path = tmp_path / f"{number}.parquet"
        write_parquet(path, spec, table, level=0)
        assert pq.ParquetFile(path).read().cast(plain.schema).equals(plain)


@pytest.mark.parametrize("rows", [1, ROW_GROUP_ROWS + 10, ROW_GROUP_ROWS * 9 // 5])
def test_no_row_group_is_a_sliver(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "f.parquet"
    _write(path, REQUESTS, rows)
    metadata = pq.ParquetFile(path).metadata
    groups = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
    assert sum(groups) == rows
    assert max(groups) - min(groups) < len(groups)
    assert max(groups) <= ROW_GROUP_ROWS * 3 // 2


def test_a_filter_takes_one_to_three_bytes_an_id_and_finds_them(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    traces = _write(path, SPANS, 40_000, per_trace=2)
    (size,) = _filters(path)
    assert 20_000 <= size <= 60_000  # 20,000 ids, each there twice
    for trace in traces[:3]:
        asked = f"SELECT count(*) FROM read_parquet('{path}') WHERE trace_id = '{trace}'"
        assert duckdb.execute(asked).fetchone() == (2,)


def test_hardly_any_other_id_passes_the_filter(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    _write(path, SPANS, 30_000)
    passed = 0
    for _ in range(300):
        probe = f"SELECT bloom_filter_excludes FROM parquet_bloom_probe('{path}', 'trace_id', $1)"
        passed += not duckdb.execute(probe, [secrets.token_hex(16)]).fetchall()[0][0]
    assert passed <= 6  # one in a thousand is meant
