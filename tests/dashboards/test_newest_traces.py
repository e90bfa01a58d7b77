"""The newest traces are found from the end of the view backwards, whatever is searched for."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from dashboards.pages.traces import _SEARCH, SHOWN, newest_traces
from dashboards.view import View, parse_view
from storage.lake import Lake
from storage.schemas import TABLES
from storage.session import ReadSession
from storage.settings import StorageSettings
from tests.aio import run
from tests.analytics.hostile import NOON

WANTED: dict[str, Any] = {
    "service": None, "min_ns": None, "errors": False, "environment": None, "q": None,
    "shown": SHOWN,
}  # fmt: skip


class FakeData:
    """Runs the query; counts how often."""

    def __init__(self, session: ReadSession) -> None:
        self.session = session
        self.looks = 0

    async def sql(self, view: View, query: str, **params: object) -> pl.DataFrame:
        self.looks += 1
        bound = {"start": view.start, "end": view.end, **params}
        table = self.session.query(query, bound, start=view.start, end=view.end)
        return pl.DataFrame(pl.from_arrow(table))


def spans(rng: random.Random, count: int) -> list[dict[str, Any]]:
    rows = []
    for trace in range(count):
        begun = NOON - timedelta(seconds=rng.uniform(0, 20 * 3600))
        for number in range(rng.randint(1, 3)):
            time = begun + timedelta(seconds=rng.uniform(0, 900) if number else 0)
            rows.append(
                {
                    "time": time,
                    "tenant": "default",
                    "trace_id": f"{trace:032x}",
                    "span_id": f"{number:016x}",
                    "start_time_unix_nano": int(time.timestamp() * 1e6) * 1000,
                    "duration_ns": rng.randint(1, 10**9),
                    "status": rng.choice(["OK", "OK", "OK", "ERROR"]),
                    "service_name": "orders",
                }
            )
    return rows


@pytest.mark.parametrize("narrowed", [{}, {"errors": True}, {"min_ns": 10**9}])
def test_the_newest_traces_of_all(narrowed: dict[str, Any], tmp_path: Path) -> None:
    lake = Lake(StorageSettings(data_dir=tmp_path))
    schema = TABLES["spans"].arrow_schema
    rows = spans(random.Random(2), 1500)
    table = pa.Table.from_pylist(rows, schema=pa.schema([schema.field(n) for n in rows[0]]))
    lake.table("spans").append(table, app_id="test", app_version=1)
    view = parse_view("?from=2026-11-19T16:00:00&to=2026-11-20T12:00:00", now=NOON)
    wanted = {**WANTED, **narrowed}
    query = _SEARCH.replace("{terms}", "")
    with ReadSession(lake, threads=1) as session:
        data = FakeData(session)
        found = run(newest_traces(data, view, query, wanted))  # type: ignore[arg-type]
        looks = data.looks
        every = run(data.sql(view, query, hits_from=view.start, **wanted))
    by = ("time", "trace_id")
    assert found.sort(by).equals(every.sort(by))
    assert found.height == (0 if "min_ns" in narrowed else SHOWN)
    assert looks > 1
