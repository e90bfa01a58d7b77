"""What a notebook gets: relations, frames and Arrow of the newest rows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gatelens import connect as gatelens_connect
from storage.lake import Lake
from storage.notebook import Notebook
from storage.settings import StorageSettings
from tests.storage.conftest import HOUR, requests


@pytest.fixture
def notebook(lake: Lake) -> Notebook:
    table = lake.table("requests")
    for hour in range(3):
        rows = requests(2, start=HOUR + timedelta(hours=hour), first=hour * 2)
        table.append(rows, app_id="w", app_version=hour)
    return Notebook(lake)


def test_sql_gives_relations_frames_and_arrow(notebook: Notebook) -> None:
    assert notebook.sql("FROM requests").filter("hour = 10").aggregate("count(*)").fetchall() == [
        (2,)
    ]
    assert notebook.polars("SELECT bucket_ms(0) AS m FROM requests").height == 6
    assert notebook.arrow("FROM spans").num_rows == 0
    assert notebook.sql("SELECT 1 AS x").fetchall() == [(1,)]


def test_parameters_are_bound(notebook: Notebook) -> None:
    count = "SELECT count(*) AS n FROM requests WHERE api = $api AND time >= $since"
    given = {"api": "orders", "since": HOUR + timedelta(hours=2)}
    assert notebook.polars(count, given)["n"].to_list() == [2]
    assert notebook.arrow("SELECT ? AS x", ["it's"])["x"].to_pylist() == ["it's"]


def test_each_query_sees_the_newest_rows_and_keeps_its_own_files(
    notebook: Notebook, lake: Lake
) -> None:
    early = notebook.sql("SELECT count(*) FROM requests WHERE time < '2026-11-21 11:00'")
    late = notebook.sql("SELECT count(*) FROM requests WHERE time >= '2026-11-21 12:00'")
    rows = requests(2, start=HOUR + timedelta(hours=2), first=100)
    lake.table("requests").append(rows, app_id="w", app_version=9)
    assert notebook.sql("SELECT count(*) FROM requests").fetchall() == [(8,)]
    assert (early.fetchall(), late.fetchall()) == ([(2,)], [(2,)])


def test_conditions_keep_other_files_closed(notebook: Notebook, lake: Lake) -> None:
    table = lake.table("requests")
    for entry in table.snapshot().files():
        if entry.hour < 12:
            (table.location / entry.path).unlink()
    count = "SELECT count(*) FROM requests WHERE time >= ?"
    assert notebook.sql(count, [HOUR + timedelta(hours=2)]).fetchall() == [(2,)]
    later = Notebook(lake, start=HOUR + timedelta(hours=2))
    assert later.sql("SELECT count(*) FROM requests").fetchall() == [(2,)]


def test_gatelens_connect_opens_a_data_folder_and_creates_nothing(
    notebook: Notebook, settings: StorageSettings
) -> None:
    with gatelens_connect(settings.data_dir) as lake:
        assert lake.polars("SELECT DISTINCT api FROM requests")["api"].to_list() == ["orders"]
    empty = settings.data_dir / "nothing"
    with gatelens_connect(empty) as lake:
        assert lake.arrow("FROM requests").num_rows == 0
    assert not empty.exists()
