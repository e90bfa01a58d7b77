"""Buttons and menus are shown to those who may use them, and to nobody else."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from alerting.store import AlertStore
from alerting.stored_rules import RuleStore
from dashboards.custom.definition import Dashboard
from dashboards.custom.store import DashboardStore
from dashboards.roles import PAGES, ROLES, Permission
from tests.aio import run
from tests.dashboards.people.test_matrix import BELOW_ALERTS, things  # noqa: F401 - a fixture
from tests.dashboards.people.town import MINE, PEOPLE, Town
from tests.dashboards.people.walk import content, panels

MANAGES: Permission = "alerts.manage"
EDITS: Permission = "dashboards.edit"


@dataclass(frozen=True)
class Control:
    """Words in what a screen is sent, and the permission of those who find them there."""

    words: str
    needs: Permission


CONTROLS: dict[str, list[Control]] = {
    "/alerts": [
        Control('"alert-ack"', MANAGES),
        Control('"alert-silence"', MANAGES),
        Control('"silence-end"', MANAGES),
    ],
    "/alerts/rules": [Control('"rule-new"', MANAGES)],
    "/alerts/rules/new": [Control('"rule-save"', MANAGES), Control('"rule-try"', MANAGES)],
    "/alerts/rules/kept": [Control('"rule-save"', MANAGES), Control('"rule-delete"', MANAGES)],
    "/alerts/delivery": [Control('"maintenance-end"', MANAGES)],
    f"/apis/{MINE}-api": [
        Control('"data-gl-raw"', "read"),
        Control('"data-gl-alert"', MANAGES),
        Control('"data-gl-pin"', EDITS),
    ],
    "/traces": [Control('"data-gl-rule"', MANAGES)],
    "/products": [Control("format=csv", "export")],
    "/reports": [Control('"data-gl-report":"remove"', "reports.edit")],
    "/dashboards/BOARD": [
        *(Control(f'"data-gl-board":"{do}"', EDITS) for do in ("edit", "save", "copy", "delete")),
        Control('"data-gl-board":"links"', "dashboards.share"),
        Control('"data-gl-panel":"remove"', EDITS),
        Control("Open in SQL", "sql"),
        Control('"data-gl-panel":"csv"', "export"),
    ],
    "/dashboards/BOARD?version=1": [Control('"data-gl-board":"restore"', EDITS)],
    "/me": [Control('"data-gl-file"', "export")],
}
"""Address -> what may be done there."""

DRAWN_LATER = {"alerts", "dashboards", "reports"}
"""Screens whose controls come with their rows; elsewhere they stand in the screen as it is sent."""

ABOUT_ALL = {"/reports", *(path for path in CONTROLS if path.startswith("/alerts"))}
"""Where nothing is managed by those who see only some rows, whatever their role."""

BOARD = {
    "title": "by SQL",
    "panels": [{"id": "p", "kind": "table", "source": {"sql": "SELECT api FROM requests"}}],
}


@pytest.fixture(scope="module")
def board(town: Town, things: None) -> str:  # noqa: F811 - the fixture of the matrix
    """Id of a dashboard with two versions. A silence, a window and a rule are there, too."""
    state = town.data.state
    AlertStore(state).add_maintenance(
        "kept", [], author="x", reason="y", ends_at=time.time() + 3600
    )
    rule = "name: kept\nmeasure: error_rate\ncondition: '> 5%'\n"
    RuleStore(state).create(rule, author="operator")
    store = DashboardStore(state)
    made = store.create(Dashboard.model_validate(BOARD), author="operator")
    return store.save(made.id, made.dashboard, author="operator", seen=1).id


def may_use(name: str, path: str, control: Control) -> bool:
    role, narrowed = PEOPLE[name]
    if narrowed and (path in ABOUT_ALL or control.needs == MANAGES):
        return False
    return control.needs in ROLES[role].permissions  # type: ignore[index]


@pytest.mark.parametrize("name", ["operator", "analyst", "owner", "viewer", "app"])
def test_each_control_is_shown_to_those_who_may_use_it(town: Town, board: str, name: str) -> None:
    role, narrowed = PEOPLE[name]
    permissions = ROLES[role].permissions  # type: ignore[index]

    async def ask() -> None:
        async with town.client(name) as client:
            for path, controls in CONTROLS.items():
                place, _, old = path.replace("BOARD", board).partition("?")
                key = place.split("/")[1]
                if PAGES[key] not in permissions:
                    continue
                given = {
                    "board-asked": {"id": board, "version": 1 if old else None},
                    "rule-seen": {"name": "kept", "version": 1},
                }
                text = await content(client, place)
                below = place.startswith("/alerts/")
                # Narrowed people are told that what is below is not for them.
                if key in DRAWN_LATER and not (below and narrowed):
                    answers = await panels(client, town, BELOW_ALERTS if below else key, given)
                    text += "".join(answers.values())
                for control in controls:
                    shown = control.words in text.replace('": "', '":"')
                    assert shown == may_use(name, path, control), (path, control)

    run(ask())
