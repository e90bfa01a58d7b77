"""Screens of the last day are made ready in the background, with their own questions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dashboards.app import create_app
from dashboards.data import Data
from dashboards.serving import warm
from dashboards.settings import DashboardSettings
from storage.settings import StorageSettings
from tests.aio import run


def test_a_first_visit_finds_every_settled_hour_in_memory(
    storage: StorageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Data(DashboardSettings(cache_ttl_s=3600), storage)
    panels = create_app(data).panels
    assert len(panels) > 30
    assert {"api-name", "consumer-name"} <= {s for panel in panels for s in panel.states}
    asked: list[str] = []
    drawn = [warm.Panel(p.states, noting(p, asked)) for p in panels]
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    async def visit() -> None:
        monkeypatch.setattr(warm.asyncio, "sleep", rest)
        ((tenant, newest),) = [t for t in warm._tenants(data) if t[0] == "default"]
        await warm.warm_once(data, drawn, newest, 24)
        runs = data.answers.runs
        assert runs > 50
        # The same moment of the same screens: nothing is left to be asked.
        await warm.warm_once(data, drawn[:12], newest, 24)
        assert data.answers.runs - runs <= 8  # alerts and silences are kept for a second

    run(visit())
    data.close()
    assert len(rests) > 40 and max(rests) <= 5
    assert len(asked) > 40


def noting(panel: warm.Panel, asked: list[str]) -> object:
    async def draw(view: object, *states: object) -> object:
        answer = await panel.draw(view, *states)
        asked.append(str(states))
        return answer

    return draw


def test_a_time_from_the_future_does_not_move_the_range(storage: StorageSettings) -> None:
    data = Data(DashboardSettings(), storage)
    assert all(newest <= datetime.now(UTC) for _, newest in warm._tenants(data))
    data.close()
