"""Buttons that somebody does not have, pressed all the same: nothing that is stored changes.

Each press is the body a browser would send, with the real ids of what is there.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from alerting.store import AlertStore
from alerting.stored_rules import RuleStore
from dashboards.people.users import place
from dashboards.roles import ROLES, Permission
from storage.audit import read_audit
from storage.state import metadata
from tests.aio import run
from tests.dashboards.people.test_matrix import _callbacks, things  # noqa: F401 - things: a fixture
from tests.dashboards.people.town import BY, OTHERS, PEOPLE, Town

VIEW = {"search": "?from=now-1h", "mode": "dark"}
NOISE = {"audit_log", "user_sessions", "sign_in_flows", "leases", "job_runs"}
"""Tables that change because somebody asked, whatever is answered."""

RULE = "name: forged\nmeasure: error_rate\ncondition: '> 5%'\n"


@dataclass(frozen=True)
class Press:
    """A button, as it is on somebody's screen, and what stands in the fields of its form."""

    button: str
    needs: Permission
    key: str = ""
    """Of one of many: its own, or a word of the fixture `keys`."""
    form: dict[str, object] = field(default_factory=dict)


SILENCE = {"silence-matchers": "api=x", "silence-reason": "forged", "silence-for": "2h"}
MAINTENANCE = {
    "maintenance-name": "forged", "maintenance-reason": "forged", "maintenance-author": "x",
    "maintenance-until": "4h",
}  # fmt: skip
USER = {"user-name": "forged@example.com", "user-role": "admin"}
TOKEN = {"token-name": "forged", "token-scopes": ["admin"]}

PRESSES = [
    Press("alert-ack", "alerts.manage", "f" * 64),
    Press("silence-create", "alerts.manage", form=SILENCE),
    Press("silence-end", "alerts.manage", "silence"),
    Press("rule-save", "alerts.manage", form={"rule-text": RULE, "rule-seen": {"name": ""}}),
    Press("rule-delete", "alerts.manage", form={"rule-seen": {"name": "kept", "version": 1}}),
    Press("maintenance-create", "alerts.manage", form=MAINTENANCE),
    Press("maintenance-end", "alerts.manage", "maintenance"),
    Press("user-save", "admin", form=USER),
    Press("user-off", "admin", "leaver"),
    Press("user-link", "admin", "leaver"),
    Press("token-create", "admin", form=TOKEN),
    Press("token-revoke", "admin", "kept"),
]


async def press(client: httpx.AsyncClient, town: Town, what: Press) -> httpx.Response:
    """Send what the browser sends when the button is clicked."""
    output, spec = next(
        (output, spec)
        for output, spec in _callbacks(town).items()
        if any(_type(part["id"]) == what.button for part in spec["inputs"])
    )
    changed = ""
    inputs: list[Any] = []
    for part in spec["inputs"]:
        pressed = _type(part["id"]) == what.button
        if not part["id"].startswith("{"):
            inputs.append({**part, "value": 1 if pressed else None})
            changed = f"{part['id']}.n_clicks" if pressed else changed
            continue
        one = {"type": _type(part["id"]), "key": what.key}
        inputs.append([{**part, "id": one, "value": 1}] if pressed else [])
        if pressed:
            changed = json.dumps(one, sort_keys=True, separators=(",", ":")) + ".n_clicks"
    values = {"view": VIEW, **what.form}
    body = {
        "output": output,
        "outputs": _outputs(output, what.key),
        "inputs": inputs,
        "state": [{**part, "value": values.get(part["id"])} for part in spec["state"]],
        "changedPropIds": [changed],
    }
    return await client.post("/_dash-update-component", json=body)


def _type(id_: str) -> str:
    """'rule-save' of 'rule-save', and of '{"key":["ALL"],"type":"rule-save"}'."""
    return str(json.loads(id_)["type"]) if id_.startswith("{") else id_


def _outputs(output: str, key: str) -> Any:
    if output.startswith("{"):  # one beside each button
        said, _, name = output.rpartition(".")
        return [{"id": {"type": _type(said), "key": key}, "property": name}]
    names = output.strip(".").split("...") if output.startswith("..") else [output]
    made = [
        {"id": name.rpartition(".")[0], "property": name.rpartition(".")[2].split("@")[0]}
        for name in names
    ]
    return made if output.startswith("..") else made[0]


def stored(town: Town) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the state store but NOISE, and when somebody was seen."""
    found = {}
    with town.data.state.connect() as connection:
        for table in metadata.sorted_tables:
            if table.name not in NOISE:
                columns = [c for c in table.c if c.name not in ("seen_at", "used_at")]
                rows = connection.execute(sa.select(*columns)).all()
                found[table.name] = sorted(map(tuple, rows), key=repr)
    return found


@pytest.fixture(scope="module")
def keys(town: Town, things: None) -> dict[str, str]:  # noqa: F811 - the fixture of the matrix
    """Word of a Press -> id of what is there to be ended, besides `things`."""
    state = town.data.state
    alerts = AlertStore(state)
    silence = alerts.silence([f"api={OTHERS}"], author="x", reason="y", duration_s=900)
    window = alerts.add_maintenance("kept", [], author="x", reason="y", ends_at=time.time() + 3600)
    RuleStore(state).create(RULE.replace("forged", "kept"), author="operator")
    town.sign_in.users.add("leaver", place("viewer"), actor=BY, password="a long password")
    town.sign_in.tokens.create("kept", ["analytics"], actor=BY)
    return {"silence": str(silence), "maintenance": str(window)}


def may(name: str, permission: Permission) -> bool:
    return permission in ROLES[PEOPLE[name][0]].permissions  # type: ignore[index]


@pytest.mark.parametrize("what", PRESSES, ids=lambda p: p.button)
def test_whoever_may_not_press_it_changes_nothing(
    town: Town, keys: dict[str, str], what: Press
) -> None:
    """And whoever may, does: else this could not fail."""
    what = Press(what.button, what.needs, keys.get(what.key, what.key), what.form)
    # The neighbour is an admin of another tenant, whose own users they may add.
    others = [n for n in PEOPLE if n != "neighbour" and not may(n, what.needs)]
    if what.needs == "alerts.manage" or what.key:
        others.append("neighbour")

    async def ask() -> None:
        before = stored(town)
        for name in others:
            refusals = len(read_audit(town.data.state, action="access", limit=1000))
            async with town.client(name) as client:
                answer = await press(client, town, what)
            assert answer.status_code in (200, 403), (name, answer.text)
            assert stored(town) == before, name
            if name != "neighbour":
                entries = read_audit(town.data.state, action="access", limit=1000)
                assert len(entries) == refusals + 1, name
                assert entries[0].outcome == "refused"
        async with town.client("admin") as client:
            answer = await press(client, town, what)
        assert answer.status_code == 200, answer.text
        assert stored(town) != before, answer.text

    run(ask())


@pytest.mark.parametrize(
    "what",
    [
        Press("channel-test", "alerts.manage", "pager"),
        Press("notice-retry", "alerts.manage", "1"),
        Press("stand-in-create", "alerts.manage"),
        Press("stand-in-end", "alerts.manage", "1"),
    ],
    ids=lambda p: p.button,
)
def test_delivery_is_changed_by_nobody_who_may_not(town: Town, what: Press) -> None:
    """There is no channel here that a press could change: what is told apart is the refusal."""

    async def refused(name: str) -> bool:
        before = len(read_audit(town.data.state, action="access", limit=1000))
        async with town.client(name) as client:
            await press(client, town, what)
        return len(read_audit(town.data.state, action="access", limit=1000)) > before

    for name in PEOPLE:
        if name != "neighbour":  # an admin elsewhere, whom the desk refuses in words of its own
            assert run(refused(name)) == (not may(name, what.needs)), name
