"""No screen and no address asks the lake without saying from when to when."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest

from dashboards import roles
from storage.schemas import TABLES
from storage.session import ReadSession
from tests.aio import run
from tests.dashboards.people.test_matrix import WIDE, api_paths, updates
from tests.dashboards.people.test_panel_matrix import PANELS, drawn
from tests.dashboards.people.town import Town

UNBOUND = {
    "SELECT 1 FROM requests LIMIT 1": "whether there is any request: one row of one file",
}
"""Questions that may stay without bounds, and why."""

DAYS_MAX = 800.0
"""The longest range any screen may ask for is limits.RANGE_DAYS_MAX with its comparison."""

Asked = tuple[str, tuple[str, ...], datetime | None, datetime | None]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Asked]]:
    """Every question to lake tables: its text, the tables, from, until. Files that are given
    one by one (incremental jobs) are a bound of their own."""
    seen: list[Asked] = []
    real = ReadSession.query

    def watched(self: ReadSession, sql: str, params: Any = (), **more: Any) -> Any:
        given: Mapping[str, Any] = more.get("files") or {}
        code = re.sub(r"--.*", "", sql)
        words = set(re.findall(r"\b(?:from|join)\s+(\w+)", code.lower()))
        tables = tuple(sorted((words & TABLES.keys()) - given.keys()))
        if words & TABLES.keys():
            seen.append((sql, tables, more.get("start"), more.get("end")))
        return real(self, sql, params, **more)

    monkeypatch.setattr(ReadSession, "query", watched)
    yield seen


def unbound(seen: list[Asked]) -> list[tuple[str, ...]]:
    return [
        (*tables, sql[:300])
        for sql, tables, start, end in seen
        if tables and (start is None or end is None) and sql not in UNBOUND
    ]


def too_long(seen: list[Asked]) -> list[tuple[str, float]]:
    spans = [(sql[:200], (end - start).days) for sql, _, start, end in seen if start and end]
    return [(sql, days) for sql, days in spans if days > DAYS_MAX]


@pytest.mark.parametrize("key", [k for k in roles.PAGES if k != "me"])
def test_no_callback_asks_without_a_time_bound(town: Town, asked: list[Asked], key: str) -> None:
    town.data.answers._done.clear()  # what another test has asked is asked again

    async def ask() -> None:
        async with town.client("admin") as client:
            for body in updates(town, key):
                answer = await client.post("/_dash-update-component", json=body)
                assert answer.status_code in (200, 204), (body["output"], answer.text[:300])
            if key == "dashboards":
                for panel in PANELS:
                    await drawn(client, town, panel)

    run(ask())
    assert unbound(asked) == []
    assert too_long(asked) == []
    if key in ("", "apis", "consumers", "requests", "traces", "services", "explorer", "logs"):
        assert asked, "the screen asked nothing: this test could not fail"


def test_no_address_asks_without_a_time_bound(town: Town, asked: list[Asked]) -> None:
    async def ask() -> None:
        async with town.client("admin") as client:
            for path in api_paths(town).values():
                for params in (WIDE, {}):
                    await client.get(path, params=params)

    run(ask())
    assert unbound(asked) == []
    assert len(asked) > 20


def test_an_app_developers_screen_asks_within_bounds(town: Town, asked: list[Asked]) -> None:
    async def ask() -> None:
        async with town.client("app") as client:
            for body in updates(town, "me"):
                await client.post("/_dash-update-component", json=body)

    run(ask())
    assert unbound(asked) == []
    assert asked
