"""Statements kept by name: one's own, those that others share, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from dashboards import saved_statements
from storage.audit import read_audit
from tests.aio import run
from tests.dashboards.people.town import Town

PATH = "/api/v1/statements"


async def _send(town: Town, who: str, method: str, path: str = PATH, **body: Any) -> Any:
    async with town.client(who) as client:
        answer = await client.request(method, path, json=body or None)
        return answer.status_code, answer.json()


def send(town: Town, who: str, method: str, path: str = PATH, **body: Any) -> Any:
    return run(_send(town, who, method, path, **body))


def names(town: Town, who: str) -> list[tuple[str, bool]]:
    _, body = send(town, who, "GET")
    return [(s["name"], s["mine"]) for s in body["statements"]]


@pytest.fixture(autouse=True)
def none_saved(town: Town) -> None:
    with town.data.state.begin() as connection:
        connection.execute(saved_statements.table.delete())


def test_a_statement_is_ones_own_until_it_is_shared_with_the_tenant(town: Town) -> None:
    status, saved = send(town, "analyst", "POST", name="  slow calls ", sql="SELECT 1")
    assert (status, saved["name"], saved["mine"], saved["shared"]) == (
        200,
        "slow calls",
        True,
        False,
    )
    assert names(town, "analyst") == [("slow calls", True)]
    assert names(town, "admin") == []

    again = send(town, "analyst", "POST", name="slow calls", sql="SELECT 2", shared=True)[1]
    assert again["id"] == saved["id"]
    assert names(town, "admin") == [("slow calls", False)]
    assert send(town, "admin", "GET")[1]["statements"][0]["sql"] == "SELECT 2"
    assert names(town, "neighbour") == []
    noted = [e.detail for e in read_audit(town.data.state) if e.target == "slow calls"]
    assert noted == [{"sql": "SELECT 2", "shared": True}, {"sql": "SELECT 1", "shared": False}]


def test_what_somebody_shares_is_changed_and_deleted_by_nobody_else(town: Town) -> None:
    saved = send(town, "analyst", "POST", name="mine", sql="SELECT 1", shared=True)[1]
    send(town, "admin", "POST", name="mine", sql="SELECT 'another'")
    assert send(town, "admin", "DELETE", f"{PATH}/{saved['id']}")[0] == 404
    assert send(town, "analyst", "GET")[1]["statements"][0]["sql"] == "SELECT 1"

    assert send(town, "analyst", "DELETE", f"{PATH}/{saved['id']}") == (
        200,
        {"deleted": saved["id"]},
    )
    assert names(town, "analyst") == []
    assert names(town, "admin") == [("mine", True)]


@pytest.mark.parametrize("who", ["viewer", "app", "owner"])
def test_who_may_not_ask_in_sql_has_no_statements(town: Town, who: str) -> None:
    for method, path, body in (
        ("GET", PATH, {}),
        ("POST", PATH, {"name": "n", "sql": "SELECT 1"}),
        ("DELETE", f"{PATH}/some", {}),
    ):
        assert send(town, who, method, path, **body)[0] == 403


def test_a_name_and_a_statement_are_needed_and_there_is_an_end(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(town, "analyst", "POST", name="  ", sql="SELECT 1")[0] == 400
    assert send(town, "analyst", "POST", name="n" * 81, sql="SELECT 1")[0] == 400
    assert send(town, "analyst", "POST", name="n", sql="")[0] == 400
    monkeypatch.setattr(saved_statements, "STATEMENTS_SAVED_MAX", 2)
    for name in ("one", "two"):
        assert send(town, "analyst", "POST", name=name, sql="SELECT 1")[0] == 200
    status, body = send(town, "analyst", "POST", name="three", sql="SELECT 1")
    assert (status, body["error"]) == (400, "You have saved 2 statements; delete one first.")
    assert send(town, "analyst", "POST", name="two", sql="SELECT 2")[0] == 200
