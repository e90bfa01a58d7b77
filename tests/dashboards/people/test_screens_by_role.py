"""Which screens each role finds, reaches and is refused: as the table of docs/people.md says."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from dashboards.app import DETAILS, NOT_FOR_YOU, PAGES
from dashboards.ids import NAV
from dashboards.roles import ROLES
from tests.aio import run
from tests.dashboards.people.test_matrix import updates
from tests.dashboards.people.town import MINE, PEOPLE, Town

DOCS = Path(__file__).resolve().parents[3] / "docs"
PATHS = {item.path for item in NAV}

ONE_OF_EACH = {role: name for name, (role, _) in reversed(PEOPLE.items()) if name != "neighbour"}


def documented() -> dict[str, dict[str, bool]]:
    """Role's title -> path of a screen -> whether the page says that it sees it."""
    lines = (DOCS / "people.md").read_text("utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("| screen |"))
    titles = [cell.strip() for cell in lines[start].strip("|").split("|")][1:]
    found: dict[str, dict[str, bool]] = {title: {} for title in titles}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        screen, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        path = screen.split("`")[1]
        for title, cell in zip(titles, cells, strict=True):
            assert cell in ("yes", "–"), line
            found[title][path] = cell == "yes"
    return found


def test_the_table_has_every_role_and_every_screen() -> None:
    table = documented()
    assert list(table) == [spec.title for spec in ROLES.values()]
    for seen in table.values():
        assert set(seen) == PATHS == {f"/{key}" for key in PAGES}
    assert set(ONE_OF_EACH) == set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_finds_and_reaches_the_screens_of_the_table(town: Town, role: str) -> None:
    sees = documented()[ROLES[role].title]  # type: ignore[index]

    async def ask() -> None:
        async with town.client(ONE_OF_EACH[role]) as client:
            found = _navigation((await client.get("/_dash-layout")).json())
            assert {f"/{key}" for key in found} == {path for path, yes in sees.items() if yes}
            for path, reached in sees.items():
                own_home = path == "/" and sees["/me"]
                assert await _is_shown(client, path) == (reached or own_home), path
                key = path.strip("/")
                if key in DETAILS:
                    assert await _is_shown(client, f"{path}/{MINE}-x") == reached, path
                if not own_home:
                    await _callbacks_answer(town, client, key, reached)

    run(ask())


async def _is_shown(client: httpx.AsyncClient, path: str) -> bool:
    answer = await client.get(path)
    assert answer.status_code == 200, path
    return NOT_FOR_YOU not in answer.text


async def _callbacks_answer(town: Town, client: httpx.AsyncClient, key: str, reached: bool) -> None:
    """The screen's first callback; that all of them are refused alike is the matrix's to show."""
    body = updates(town, key)[0]
    answer = await client.post("/_dash-update-component", json=body)
    assert (answer.status_code == 403) != reached, (key, body["output"], answer.status_code)


def _navigation(node: object) -> set[str]:
    """Keys of the navigation's links in a layout."""
    if isinstance(node, dict):
        if node.get("type") == "nav":
            return {node["key"]}
        node = list(node.values())
    if isinstance(node, list):
        return {key for part in node for key in _navigation(part)}
    return set()
