"""A page's questions are asked with it, and only those its reader may ask."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from dashboards import identity
from dashboards.app import LeanDash, create_app
from dashboards.data import Data
from dashboards.questions.cache import SingleFlightCache
from dashboards.roles import ROLES
from dashboards.serving import head_start
from dashboards.serving.head_start import HeadStarts
from dashboards.serving.warm import Panel
from dashboards.settings import DashboardSettings
from storage.row_scope import RowScope
from storage.settings import StorageSettings
from tests.aio import run

END = datetime.now(UTC)
HOUR = f"?from={END - timedelta(hours=1):%Y-%m-%dT%H:%M}&to={END:%Y-%m-%dT%H:%M}"


@pytest.fixture
def data(storage: StorageSettings) -> Iterator[Data]:
    made = Data(DashboardSettings(cache_ttl_s=3600), storage)
    yield made
    made.close()


async def opened(app: LeanDash, answers: SingleFlightCache, path: str) -> int:
    """Panels that were begun with a page; all have asked on return."""
    starts = app.head_starts = HeadStarts(app.panels, answers)
    here = httpx.ASGITransport(app.server)
    async with httpx.AsyncClient(transport=here, base_url="http://here") as client:
        assert (await client.get(path)).status_code == 200
    begun = list(starts._running)
    await asyncio.gather(*begun)
    return len(begun)


def test_all_is_asked_that_is_asked_at_once_and_nothing_drawn(data: Data) -> None:
    drawn: list[object] = []

    async def draw(stored: object) -> None:
        view = data.view(stored)
        drawn.append(await asyncio.gather(data.completeness(view), data.usage(view, "api")))

    async def visit() -> None:
        starts = HeadStarts([Panel((), draw)], data.answers)
        starts.begin("", "", HOUR)
        await asyncio.gather(*starts._running)
        assert (data.answers.runs, drawn) == (2, [])
        await draw({"search": HOUR})
        assert data.answers.runs == 2
        assert len(drawn) == 1

    run(visit())


@pytest.mark.parametrize(
    ("path", "screen", "name"),
    [("/", "", ""), ("/apis/orders%20v2", "apis/", "orders v2"), ("/logs", "logs", "")],
)
def test_the_first_updates_find_their_answers(
    data: Data, path: str, screen: str, name: str
) -> None:
    app = create_app(data)

    async def visit() -> None:
        assert await opened(app, data.answers, path + HOUR) > 1
        asked = data.answers.runs
        assert asked > 2
        for panel in app.panels:
            if panel.screen == screen:
                await panel.draw({"search": HOUR, "mode": "light"}, *[name] * len(panel.states))
        assert data.answers.runs - asked <= 4  # alerts and the like are kept for a second

    run(visit())


def test_nothing_is_asked_for_whoever_may_not_see_the_screen(data: Data) -> None:
    app = create_app(data)

    async def visit() -> None:
        who = replace(identity.LOCAL, permissions=ROLES["app_developer"].permissions)
        with identity.acting_as(who):
            for path in ("/operate", "/", "/apis/orders", "/nowhere/at/all"):
                assert await opened(app, data.answers, path) == 0
            assert identity.refused() == []
        assert data.answers.runs == 0

    run(visit())


def test_others_rows_are_asked_for_anew(data: Data) -> None:
    app = create_app(data)

    async def visit() -> None:
        await opened(app, data.answers, "/" + HOUR)
        asked = data.answers.runs
        with identity.acting_as(replace(identity.LOCAL, scope=RowScope(apis=("orders",)))):
            await opened(app, data.answers, "/" + HOUR)
        assert data.answers.runs - asked > 2

    run(visit())


def test_what_is_begun_is_bounded(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(data)
    monkeypatch.setattr(head_start, "HEAD_STARTS_MAX", 2)
    assert run(opened(app, data.answers, "/" + HOUR)) == 2
