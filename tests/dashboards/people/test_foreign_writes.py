"""Writes to another tenant's things by their real ids: refused as if they were not there, and
nothing about them changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from analytics.report_schedules import ReportSchedule, ReportScheduleStore
from dashboards.custom.definition import Dashboard
from dashboards.custom.public_link import PublicLinks, Scope
from dashboards.custom.store import DashboardStore, Saved
from tests.aio import run
from tests.dashboards.people.town import OTHERS, Town

BOARD = {
    "title": f"{OTHERS} board",
    "panels": [{"id": "p", "kind": "number", "source": {"measures": ["requests"]}}],
}
CHANGED = {**BOARD, "title": "taken over"}
REPORTS = "/api/v1/analytics/reports/schedules"


@pytest.fixture(scope="module")
def board(town: Town) -> Saved:
    store = DashboardStore(town.data.state, tenant="default")
    return store.create(Dashboard.model_validate(BOARD), author="operator")


def _board_state(town: Town, board: Saved) -> tuple[Any, ...]:
    store = DashboardStore(town.data.state, tenant="default")
    now = store.get(board.id)
    marks = [(e.id, e.favourite) for e in store.all(town.sign_in.users.get("neighbour").id)]
    return now.version, now.dashboard, store.versions(board.id), marks


@pytest.mark.parametrize("name", ["neighbour"])
def test_dashboards_of_another_tenant_are_not_there(town: Town, board: Saved, name: str) -> None:
    at = f"/api/v1/dashboards/{board.id}"
    before = _board_state(town, board)

    async def go() -> None:
        async with town.client(name) as client:
            save = {"definition": CHANGED, "seen": board.version}
            restore = {"version": board.version, "seen": board.version}
            for method, path, body in (
                ("GET", at, None),
                ("GET", f"{at}/yaml", None),
                ("GET", f"{at}/difference?old=1", None),
                ("PUT", at, save),
                ("POST", f"{at}/restore", restore),
                ("DELETE", at, None),
                ("POST", f"{at}/undelete", None),
                ("PUT", f"{at}/favourite", {"on": True}),
                ("POST", f"{at}/links", {"days": 1}),
            ):
                answer = await client.request(method, path, json=body)
                assert answer.status_code == 404, (method, path, answer.text)
                assert OTHERS not in answer.text.replace(board.id, "")
            for path in ("", f"/{board.id}/versions", f"/{board.id}/links"):
                answer = await client.get(f"/api/v1/dashboards{path}")
                assert OTHERS not in answer.text.replace(board.id, ""), path

    run(go())
    assert _board_state(town, board) == before


def test_who_may_not_edit_changes_no_dashboard_of_the_own_tenant(town: Town, board: Saved) -> None:
    at = f"/api/v1/dashboards/{board.id}"
    before = _board_state(town, board)

    async def go() -> None:
        async with town.client("viewer") as client:
            save = {"definition": CHANGED, "seen": board.version}
            for method, path, body in (
                ("PUT", at, save),
                ("DELETE", at, None),
                ("POST", f"{at}/undelete", None),
                ("POST", f"{at}/links", {"days": 1}),
            ):
                answer = await client.request(method, path, json=body)
                assert answer.status_code == 403, (method, path, answer.text)

    run(go())
    assert _board_state(town, board) == before


def test_a_public_link_of_another_tenant_is_not_revoked(town: Town, board: Saved) -> None:
    links = PublicLinks(town.data.state)
    scope = Scope("now-1h", "now", {}, None)
    link, token = links.create(board.id, scope, tenant="default", author="operator", days=1)

    async def go() -> None:
        path = f"/api/v1/dashboard-links/{link.id}"
        for name, status in (("neighbour", 404), ("viewer", 403)):
            async with town.client(name) as client:
                assert (await client.delete(path)).status_code == status
        assert links.find(token).revoked_at is None
        async with town.client("operator") as client:  # the id is right
            assert (await client.delete(path)).status_code == 200

    run(go())


def test_a_report_schedule_of_another_tenant_is_neither_run_nor_removed(town: Town) -> None:
    store = ReportScheduleStore(town.data.state, tenant="default")
    made = store.add(
        ReportSchedule(
            audience="consumer",
            name=f"{OTHERS}-app",
            period="day",
            zone="UTC",
            recipients=("ops@example.com",),
            author="operator",
        ),
        now=datetime.now(UTC),
    )

    async def go() -> None:
        one = f"{REPORTS}/{made.id}"
        for name, status in (("neighbour", 404), ("owner", 403), ("viewer", 403), ("app", 403)):
            async with town.client(name) as client:
                assert (await client.delete(one)).status_code == status, name
                assert (await client.post(f"{one}/run")).status_code == status, name
                listed = await client.get(REPORTS)
                sent = await client.get(
                    "/api/v1/analytics/reports/deliveries", params={"schedule_id": made.id}
                )
                assert OTHERS not in listed.text + sent.text
        assert [s.id for s in store.list()] == [made.id]
        assert store.deliveries(made.id) == []
        async with town.client("operator") as client:  # the id is right
            assert (await client.delete(one)).status_code == 204

    run(go())
