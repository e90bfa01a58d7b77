"""Coded text on its way into a file: readers see what was written, wherever codes change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from storage.coded import concat_coded, concat_tables, map_of, plain, plain_batch, plain_type
from storage.lake import Lake
from storage.schemas import TABLES
from storage.session import ReadSession
from storage.settings import StorageSettings

ROW: dict[str, Any] = {"time": datetime(2026, 11, 21, 10, tzinfo=UTC), "tenant": "default"}


def spans(*names: str | None) -> pa.RecordBatch:
    rows = [{**ROW, "name": n, "attributes": n and [("k", n), ("l", "1")]} for n in names]
    return pa.RecordBatch.from_pylist(rows, schema=TABLES["spans"].arrow_schema)


def coded(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = {name: batch.column(name) for name in batch.schema.names}
    columns["name"] = columns["name"].dictionary_encode()
    maps = columns["attributes"]
    columns["attributes"] = map_of(
        maps, maps.keys.dictionary_encode(), maps.items.dictionary_encode()
    )
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def test_plain_is_the_inverse_of_coded() -> None:
    batch = spans("a", None, "b", "a")
    assert plain_type(coded(batch).column("attributes").type) == batch.column("attributes").type
    assert plain_batch(coded(batch)).to_pylist() == batch.to_pylist()
    assert plain(coded(batch).column("attributes").slice(1, 2)).to_pylist() == [
        None, [("k", "b"), ("l", "1")]
    ]  # fmt: skip


@pytest.mark.parametrize(
    "parts",
    [
        [coded(spans("a", None)), coded(spans("b", "a"))],
        [coded(spans("a", None)), spans("b", "a")],
        [spans("a", None), coded(spans(None, None))],
    ],
)
def test_parts_are_one_in_memory_and_in_the_lake(
    parts: list[pa.RecordBatch], tmp_path: Any
) -> None:
    expected = [row["name"] for part in parts for row in plain_batch(part).to_pylist()]
    assert concat_coded(parts).column("name").to_pylist() == expected
    table = concat_tables([pa.Table.from_batches([part]) for part in parts])
    lake = Lake(StorageSettings(data_dir=tmp_path))
    lake.table("spans").append(table, app_id="a", app_version=1)
    found = ReadSession(lake).query("SELECT name, attributes FROM spans")
    assert found.column("name").to_pylist() == expected
    assert [m and dict(m) for m in found.column("attributes").to_pylist()] == [
        n and {"k": n, "l": "1"} for n in expected
    ]


def test_rows_of_two_hours_are_parted_with_their_codes(tmp_path: Any) -> None:
    batch = coded(spans("a", "b", "a"))
    hours = pa.array([datetime(2026, 11, 21, h, tzinfo=UTC) for h in (11, 10, 11)])
    batch = batch.set_column(0, "time", hours.cast(batch.schema.field("time").type))
    lake = Lake(StorageSettings(data_dir=tmp_path))
    lake.table("spans").append(batch, app_id="a", app_version=1)
    found = ReadSession(lake).query("SELECT name FROM spans ORDER BY time, name")
    assert found.column("name").to_pylist() == ["b", "a", "a"]
