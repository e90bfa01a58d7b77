"""The numbers an app developer takes along as CSV: those of the charts, of the own calls alone."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from storage.lake import Lake
from tests.aio import run
from tests.dashboards.known import Call, requests_table, utc_now
from tests.dashboards.people.town import FOREIGN, MINE, OTHERS, Town, build
from tests.dashboards.people.walk import content

FORMULA = "=cmd|' /C calc'!A0"
"""An API whose name a spreadsheet would run."""

A = "/api/v1/analytics/"


def test_each_file_holds_the_rows_of_its_chart_and_no_formula(tmp_path: Path) -> None:
    town = build(tmp_path)
    _call(town, FORMULA, f"{MINE}-app", 5)
    _call(town, FORMULA, f"{OTHERS}-app", 7)

    # One fixed hour: "the last hour" is another one for the next question.
    now = utc_now()
    hour = {"start": (now - timedelta(hours=1)).isoformat(), "end": now.isoformat()}

    async def ask() -> None:
        async with town.client("app") as client:
            files = re.findall(r'"data-gl-file": ?"([^"]+)"', await content(client, "/me"))
            assert len(files) == 4  # a chart each
            for asked in files:
                answer, _, words = asked.partition("?")
                params = dict(part.split("=") for part in words.split("&")) | hour
                rows = await _rows(client, answer, params)
                shown = (await client.get(A + answer, params=params)).json()["rows"]
                expected = [_flat(row) for row in shown]
                assert len(rows) == len(expected)
                assert [_read(*pair) for pair in zip(rows, expected, strict=True)] == expected
                assert sum(int(row["requests"] or 0) for row in rows) == 45, asked
            by_api = await _rows(client, "usage", {"by": "api", **hour})
            calls = {row["api"]: row["requests"] for row in by_api}
            assert calls == {f"{MINE}-api": "40", f"'{FORMULA}": "5"}

    run(ask())


async def _rows(
    client: httpx.AsyncClient, answer: str, params: Mapping[str, str]
) -> list[dict[str, str]]:
    file = await client.get(A + answer, params={**params, "format": "csv"})
    assert file.status_code == 200, file.text
    assert file.headers["content-type"].startswith("text/csv")
    assert OTHERS not in file.text
    assert FOREIGN not in file.text
    return list(csv.DictReader(io.StringIO(file.text)))


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the JSON answer with the names a file's columns have."""
    quantiles = {f"{name}_ms": value for name, value in row.get("quantiles_ms", {}).items()}
    kept = {k: v for k, v in row.items() if k not in ("group", "quantiles_ms")}
    return {**kept, **(row["group"] or {}), **quantiles}


def _read(row: Mapping[str, str], like: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the file, its texts read as what the JSON answer has there."""
    found: dict[str, Any] = {}
    for name, other in like.items():
        text = row[name]
        if text == "":
            found[name] = None
        elif isinstance(other, int | float):
            found[name] = type(other)(text)
        else:
            found[name] = text.removeprefix("'").replace(".000000Z", "Z")
    return found


def _call(town: Town, api: str, consumer: str, times: int) -> None:
    at = utc_now() - timedelta(seconds=90)
    call = Call(at, api, "/x", consumer, 200, 10.0, 5.0)
    table = requests_table([call] * times)
    lake = Lake(town.data.storage)
    lake.table("requests").append(table, app_id=consumer, app_version=1)
