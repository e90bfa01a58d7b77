"""Adding partial rows up: the same sums, exactly, and one row per group."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.lake import Lake
from storage.maintenance import maintain
from storage.merge_sums import add_partials
from storage.physical import conform, parquet_schema, store
from storage.schemas import TABLES, TIMESTAMP
from storage.session import ReadSession
from tests.storage.conftest import HOUR

USAGE = TABLES["usage_minute"]

Row = tuple[int, str | None, int | None, int | None, float | None]

rows_strategy = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([None, "", "a", "b"]),
        st.sampled_from([None, 0, 200]),
        st.one_of(st.none(), st.integers(-(2**40), 2**40)),
        st.one_of(st.none(), st.floats(0, 1e9)),
    ),
    max_size=60,
)


def usage_rows(rows: list[Row]) -> pa.Table:
    return pa.table(
        {
            "time": pa.array([HOUR + timedelta(minutes=r[0]) for r in rows], TIMESTAMP),
            "tenant": pa.array(["default"] * len(rows), pa.string()),
            "api": pa.array([r[1] for r in rows], pa.string()),
            "status_code": pa.array([r[2] for r in rows], pa.int16()),
            "requests": pa.array([r[3] for r in rows], pa.int64()),
            "duration_ms_sum": pa.array([r[4] for r in rows], pa.float64()),
        }
    )


def stored(rows: list[Row]) -> pa.Table:
    table = conform(USAGE, usage_rows(rows))
    schema = parquet_schema(USAGE.name)
    return pa.Table.from_arrays([store(table.column(n)) for n in schema.names], schema=schema)


@settings(deadline=None, max_examples=60)
@given(rows=rows_strategy)
def test_sums_equal_a_plain_count_of_every_group(rows: list[Row]) -> None:
    counts: dict[tuple[object, ...], list[int]] = defaultdict(list)
    times: dict[tuple[object, ...], list[float]] = defaultdict(list)
    for minute, api, status, requests, ms in rows:
        key = (HOUR + timedelta(minutes=minute), api, status)
        counts[key] += [] if requests is None else [requests]
        times[key] += [] if ms is None else [ms]
    found = add_partials(USAGE, stored(rows)).to_pylist()
    keys = [(r["time"].astimezone(UTC), r["api"], r["status_code"]) for r in found]
    assert len(keys) == len(set(keys)) == len(counts)
    for key, row in zip(keys, found, strict=True):
        assert row["requests"] == (sum(counts[key]) if counts[key] else None)
        if times[key]:
            assert math.isclose(row["duration_ms_sum"], math.fsum(times[key]), rel_tol=1e-12)
        else:
            assert row["duration_ms_sum"] is None


def test_sums_that_might_not_fit_are_left_to_the_reader() -> None:
    rows = stored([(0, "a", 200, 2**62, None)] * 3)
    assert add_partials(USAGE, rows).num_rows == 3


def test_tables_without_sums_keep_every_row() -> None:
    rows = pa.table({"time": pa.array([HOUR] * 3, TIMESTAMP), "api": ["a"] * 3})
    assert add_partials(TABLES["requests"], rows) is rows


@pytest.mark.parametrize("table", ["usage_minute", "latency_hour", "service_edges"])
def test_a_sealed_hour_of_a_rollup_holds_one_row_per_group(lake: Lake, table: str) -> None:
    measure = TABLES[table].sums[0]
    rows = pa.table(
        {
            "time": pa.array([HOUR, HOUR, HOUR + timedelta(minutes=1)], TIMESTAMP),
            "tenant": ["default"] * 3,
            measure: pa.array([1, 2, 4], pa.int64()),
        }
    )
    for version in range(5):
        lake.table(table).append(rows, app_id="j", app_version=version)
    sql = f"SELECT time, sum({measure}) AS n FROM {table} GROUP BY time ORDER BY time"
    with ReadSession(lake) as session:
        before = session.query(sql)
        maintain(lake, datetime.now(UTC) + timedelta(days=2))
        assert session.query(sql) == before
        assert before["n"].to_pylist() == [15, 20]
        assert session.query(f"SELECT count(*) n FROM {table}")["n"].to_pylist() == [2]
    assert lake.table(table).changes(5).rows == 0
