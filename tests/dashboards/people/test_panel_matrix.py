"""Panels of custom dashboards, whatever body a browser sends: rows of the asker, and no more."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from dashboards.custom.definition import Dashboard
from dashboards.custom.source import LATENCY_SPREAD
from dashboards.custom.store import DashboardStore
from tests.aio import run
from tests.dashboards.people.test_matrix import _callbacks, _outputs, leaks
from tests.dashboards.people.town import FOREIGN, MINE, OTHERS, Town

SQL = "SELECT api, consumer, route, count(*) AS calls FROM requests GROUP BY ALL"
SOURCES: dict[str, dict[str, Any]] = {
    "table": {"measures": ["requests"], "by": ["api", "consumer"]},
    "bar": {"measures": ["requests"], "by": ["consumer"]},
    "time_series": {"measures": ["requests"], "by": ["api"]},
    "treemap": {"measures": ["requests"], "by": ["consumer"]},
    "map": {"measures": ["requests"], "by": ["country"]},
    "heatmap": {"measures": [LATENCY_SPREAD], "filters": {"api": [f"{OTHERS}-api"]}},
    "number": {"measures": ["requests"], "filters": {"consumer": [f"{OTHERS}-app"]}},
}
PANELS = [{"id": "p", "kind": kind, "title": kind, "source": s} for kind, s in SOURCES.items()]
BY_SQL = {"id": "s", "kind": "table", "title": "sql", "source": {"sql": SQL}}
VIEW = {"search": "?from=now-1h", "mode": "dark"}


async def drawn(client: httpx.AsyncClient, town: Town, panel: object, **asked: object) -> str:
    """What both callbacks, of the cell and of the preview, answer to a panel."""
    text = ""
    for output, spec in _callbacks(town).items():
        ids = [part["id"] for part in spec["inputs"]]
        if not any("cell-panel" in one or one == "editor-panel" for one in ids):
            continue
        cell = {"panel": panel, **asked}
        given: dict[str, list[dict[str, Any]]] = {"inputs": [], "state": []}
        for kind, filled in given.items():
            for part in spec[kind]:
                id_: Any = part["id"]
                if id_.startswith("{"):
                    id_ = {"type": "cell-panel", "key": "p"}
                filled.append({**part, "id": id_, "value": VIEW if part["id"] == "view" else cell})
        outputs = _outputs(output)
        for one in outputs:
            if isinstance(one["id"], dict):
                one["id"] = {**one["id"], "key": "p"}
        body = {
            "output": output,
            "outputs": outputs,
            **given,
            "changedPropIds": [],
        }
        answer = await client.post("/_dash-update-component", json=body)
        assert answer.status_code == 200, (output, answer.text[:500])
        text += answer.text
    return text


def test_panels_show_those_who_may_everything(town: Town) -> None:
    """Else the tests below could not fail."""

    async def ask() -> None:
        async with town.client("analyst") as client:
            for panel in (PANELS[0], BY_SQL):
                text = await drawn(client, town, panel)
                assert f"{OTHERS}-api" in text
                assert f"{MINE}-api" in text

    run(ask())


@pytest.mark.parametrize("name", ["owner", "team", "neighbour", "viewer"])
def test_no_panel_shows_other_peoples_rows(town: Town, name: str) -> None:
    async def ask() -> None:
        async with town.client(name) as client:
            for panel in PANELS:
                text = await drawn(client, town, panel)
                for word in panel["source"].get("filters", {}).values():
                    text = text.replace(word[0], "")  # their own words, said back
                assert not leaks(text, name), (panel["kind"], text[:1500])
            own = FOREIGN if name == "neighbour" else MINE
            assert f"{own}-api" in await drawn(client, town, PANELS[0])

    run(ask())


def test_sql_that_nobody_saved_is_not_asked_for_those_without_sql(town: Town) -> None:
    """Also when the body names a dashboard: its own SQL is drawn, another one is not."""
    board = Dashboard.model_validate({"title": "by SQL", "panels": [BY_SQL]})
    saved = DashboardStore(town.data.state).create(board, author="analyst")
    other = {**BY_SQL, "source": {"sql": SQL + " LIMIT 5"}}

    async def ask() -> None:
        async with town.client("owner") as client:
            for panel, asked in ((BY_SQL, {}), (other, {"id": saved.id, "version": 1})):
                text = await drawn(client, town, panel, **asked)
                assert "may not ask SQL" in text
                assert f"{MINE}-api" not in text
            text = await drawn(client, town, BY_SQL, id=saved.id, version=1)
            assert f"{MINE}-api" in text
            assert not leaks(text, "owner")
        async with town.client("neighbour") as client:
            text = await drawn(client, town, BY_SQL, id=saved.id, version=1)
            assert f"{FOREIGN}-api" in text  # may ask SQL, of its own tenant
            assert not leaks(text, "neighbour")

    run(ask())


@pytest.mark.parametrize(
    "panel",
    [None, [], "x", {"kind": "table"}, {"id": "p", "kind": "nonsense"},
     {"id": "p", "kind": "table", "source": {"measures": ["requests"], "by": ["tenant"]}},
     {"id": "p", "kind": "table", "source": {"measures": ["requests; DROP"], "by": ["api"]}}],
)  # fmt: skip
def test_what_is_no_panel_is_a_sentence(town: Town, panel: object) -> None:
    async def ask() -> None:
        async with town.client("owner") as client:
            text = await drawn(client, town, panel)
            assert MINE not in text
            assert "Traceback" not in text

    run(ask())
