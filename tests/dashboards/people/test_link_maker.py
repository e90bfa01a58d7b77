"""A public link ends with whoever made it, and the list says so."""

from __future__ import annotations

from typing import Any

from dashboards.people.users import place
from tests.aio import run
from tests.dashboards.people.town import BY, Town

BOARD = {"title": "b", "panels": [{"id": "n", "kind": "text", "text": "Hello"}]}


def test_a_link_lives_as_long_as_its_maker_may_share(town: Town) -> None:
    users = town.sign_in.users

    async def ask() -> None:
        async with town.client("analyst") as maker, town.client("admin") as admin:
            made = await maker.post("/api/v1/dashboards", json={"definition": BOARD})
            links = f"/api/v1/dashboards/{made.json()['id']}/links"
            link = (await maker.post(links, json={"days": 1, "search": ""})).json()
            token = link["path"].partition("#")[2]

            async def state() -> tuple[int, Any]:
                async with town.client(None) as anybody:
                    seen = await anybody.post("/public/view", json={"token": token})
                return seen.status_code, (await admin.get(links)).json()["links"][0]["state"]

            assert await state() == (200, "alive")
            users.set_disabled("analyst", True, actor=BY)
            assert await state() == (404, "maker gone")
            users.set_disabled("analyst", False, actor=BY)
            assert await state() == (200, "alive")
            users.change("analyst", place("viewer"), actor=BY)
            assert await state() == (404, "maker gone")
            users.change("analyst", place("analyst"), actor=BY)

    run(ask())
