"""Every address and every callback, asked by everybody, about everybody else's names."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from alerting.store import AlertStore
from analytics.report_schedules import ReportSchedule, ReportScheduleStore
from dashboards import roles
from dashboards.app import DETAILS, NOT_FOR_YOU, PAGES, create_app
from dashboards.custom.definition import Dashboard
from dashboards.custom.store import DashboardStore
from storage.state import alert_history, alert_instances
from tests.aio import run
from tests.dashboards.people.town import BY, FOREIGN, MINE, OTHERS, PEOPLE, Town, trace_id

WIDE = {"start": "now-1h"}
ABOUT_OTHERS = [
    {**WIDE, "consumer": f"{OTHERS}-app"},
    {**WIDE, "api": f"{FOREIGN}-api", "consumer": f"{FOREIGN}-app", "tenant": "neighbour"},
]


def leaks(text: str, name: str) -> list[str]:
    """Names in an answer that this person must not see."""
    hidden = [FOREIGN] if name != "neighbour" else [OTHERS, MINE]
    if name in ("owner", "team", "app", "token"):
        hidden.append(OTHERS)
    return [word for word in hidden if word in text]


def api_paths(town: Town) -> dict[str, str]:
    """Path of the description -> the same with other people's ids in it."""
    api: Any = town.server._api
    found = {}
    for path, operations in api.openapi()["paths"].items():
        if "get" in operations or "post" in operations:
            found[path] = (
                path.replace("{name}", f"{OTHERS}-metric")
                .replace("{key}", f"{OTHERS}-key")
                .replace("{audience}", "owner")
            )
    return found


def test_every_screen_and_every_address_has_a_line_in_the_table(town: Town) -> None:
    assert set(PAGES) | set(DETAILS) <= set(roles.PAGES)
    api: Any = town.server._api
    unlisted = [p for p in api.openapi()["paths"] if roles.api_permissions(p) is None]
    assert unlisted == []


@pytest.mark.parametrize("name", [*PEOPLE, None])
def test_each_role_reaches_exactly_the_addresses_of_the_table(town: Town, name: str | None) -> None:
    """OPTIONS goes through the same door and then finds no route: no question is asked."""

    async def ask() -> None:
        async with town.client(name) as client:
            for path in api_paths(town):
                answer = await client.options(path)
                if name is None:
                    assert answer.status_code == 401, path
                    continue
                wanted = roles.api_permissions(path)
                assert wanted is not None
                role = roles.ROLES[PEOPLE[name][0]].permissions
                may = not wanted or bool(role & set(wanted))
                assert answer.status_code == (405 if may else 403), path

    run(ask())


@pytest.mark.parametrize("name", ["owner", "team", "app", "neighbour"])
@pytest.mark.parametrize("params", ABOUT_OTHERS, ids=["another consumer", "another tenant"])
def test_no_address_tells_of_other_peoples_rows(
    town: Town, name: str, params: dict[str, str]
) -> None:
    async def ask() -> None:
        async with town.client(name) as client:
            paths = api_paths(town).values()
            answers = await asyncio.gather(*(client.get(p, params=params) for p in paths))
            for path, answer in zip(paths, answers, strict=True):
                assert answer.status_code in (200, 400, 403, 404, 405), (path, answer.text)
                echoed = (
                    answer.text.replace(params["consumer"], "")
                    .replace(params.get("api", "-"), "")
                    .replace(f"{OTHERS}-metric", "")
                    .replace(f"{OTHERS}-key", "")
                )
                if answer.status_code == 200:
                    assert not leaks(echoed, name), (path, answer.text[:2000])

    run(ask())


def test_scoped_people_still_get_their_own(town: Town) -> None:
    async def ask() -> None:
        for name in ("owner", "team", "app"):
            async with town.client(name) as client:
                usage = await client.get("/api/v1/analytics/usage", params={**WIDE, "by": "api"})
                rows = usage.json()["rows"]
                assert [(r["group"]["api"], r["requests"]) for r in rows] == [(f"{MINE}-api", 40)]
                latency = await client.get("/api/v1/analytics/latency", params=WIDE)
                assert latency.json()["rows"][0]["requests"] == 40
        async with town.client("viewer") as client:
            seen = await client.get("/api/v1/analytics/overview", params=WIDE)
            assert seen.json()["overview"]["requests"] == 80
        async with town.client("neighbour") as client:
            seen = await client.get("/api/v1/analytics/overview", params=WIDE)
            assert seen.json()["overview"]["requests"] == 40

    run(ask())


EVERYTHING = {
    "requests": "SELECT api, consumer, route FROM requests",
    "spans": "SELECT name FROM spans",
    "logs": "SELECT body FROM logs",
    "nested": "WITH r AS (FROM requests) SELECT api FROM r UNION ALL SELECT api FROM requests",
}


@pytest.mark.parametrize("sql", EVERYTHING.values(), ids=EVERYTHING)
def test_sql_shows_the_askers_rows_alone(town: Town, sql: str) -> None:
    secret = town.sign_in.tokens.create(
        f"narrow {sql[:150]}", ["sql"], actor=BY, apis=[f"{MINE}-api"]
    )

    async def ask() -> None:
        async with town.client("analyst") as client:
            whole = await client.post("/api/v1/sql", json={"sql": sql})
            assert MINE in whole.text
            assert OTHERS in whole.text
            assert not leaks(whole.text, "analyst")
        async with town.client("neighbour") as client:
            theirs = await client.post("/api/v1/sql", json={"sql": sql})
            assert FOREIGN in theirs.text
            assert not leaks(theirs.text, "neighbour")
        async with town.client(None, authorization=f"Bearer {secret}") as client:
            narrow = await client.post("/api/v1/sql", json={"sql": sql})
            assert MINE in narrow.text
            assert not leaks(narrow.text, "token")

    run(ask())


def updates(town: Town, key: str) -> list[dict[str, Any]]:
    """A body for each callback of a page, with other people's names wherever one fits."""
    bodies = []
    for output, spec in _callbacks(town).items():
        if spec["page"] != key:
            continue
        inputs, state = [_filled(i) for i in spec["inputs"]], [_filled(s) for s in spec["state"]]
        first = inputs[0][0] if isinstance(inputs[0], list) and inputs[0] else inputs[0]
        changed = (
            [f"{first['id']}.{first['property']}"]
            if isinstance(first, dict) and isinstance(first["id"], str)
            else []
        )
        bodies.append(
            {
                "output": output,
                "outputs": _outputs(output),
                "inputs": inputs,
                "state": state,
                "changedPropIds": changed,
            }
        )
    return bodies


BELOW_ALERTS = "alerts/"
"""Key of the callbacks of /alerts/rules and /alerts/delivery, for those who see all alerts."""

_BELOW = dict.fromkeys(("alert_rules", "alert_rule", "alert_delivery"), BELOW_ALERTS)

_known: dict[int, dict[str, dict[str, Any]]] = {}


def _callbacks(town: Town) -> dict[str, dict[str, Any]]:
    """Callbacks on the server by their output, each with its page."""
    if id(town) not in _known:
        app = create_app(town.data)
        found = {}
        for output, spec in app.callback_map.items():
            run_it = spec.get("callback")
            if run_it is None:
                continue
            while hasattr(run_it, "__wrapped__"):
                run_it = run_it.__wrapped__
            module = run_it.__module__.rpartition(".")[2]
            key = next(
                (
                    k
                    for k, p in [*PAGES.items(), *DETAILS.items()]
                    if p.__name__.endswith(f".{module}")
                ),
                _BELOW.get(module),
            )
            found[output] = {"page": key, "inputs": spec["inputs"], "state": spec["state"]}
        _known[id(town)] = found
    return _known[id(town)]


def test_every_callback_belongs_to_a_screen_or_to_the_frame(town: Town) -> None:
    """Else the tests of this file would not ask it."""
    nobodys = {output for output, spec in _callbacks(town).items() if spec["page"] is None}
    (frame,) = nobodys - {"page.children"}
    assert frame.startswith("..freshness.children...")


def _filled(part: Any) -> Any:
    if isinstance(part, list):
        return [_filled(p) for p in part]
    if part["id"].startswith("{"):
        return []
    value: Any = f"{OTHERS}-app"
    if part["id"] == "view":
        search = f"?from=now-1h&consumer={OTHERS}-app&api={OTHERS}-api"
        search += f"&report=consumer:{OTHERS}-app&service={OTHERS}-svc"
        value = {"search": search, "mode": "dark"}
    elif part["id"] == "sql-text" and part["property"] == "value":
        value = "SELECT api, consumer, route FROM requests"
    elif part["id"] == "boards-find":
        value = ""
    elif part["id"] == "board-asked":
        value = {"id": f"{MINE}-board"}
    elif part["id"].startswith("trace"):
        value = trace_id(OTHERS)
    elif "changed" in part["id"]:
        value = 0
    elif part["property"] == "n_clicks":
        value = 1
    return {**part, "value": value}


def _outputs(output: str) -> Any:
    def one(text: str) -> dict[str, Any]:
        id_, _, prop = text.rpartition(".")
        id_ = json.loads(id_) if id_.startswith("{") else id_
        return {"id": id_, "property": prop.split("@")[0]}

    if output.startswith(".."):
        return [one(part) for part in output.strip(".").split("...")]
    return one(output)


def test_callbacks_of_other_roles_screens_answer_403(town: Town) -> None:
    """Whatever the body claims; nothing is asked of the lake."""

    async def ask() -> None:
        refused = 0
        async with town.client("app") as client:
            for key in (*roles.PAGES, BELOW_ALERTS):
                if key == "me":
                    continue
                for body in updates(town, key):
                    answer = await client.post("/_dash-update-component", json=body)
                    assert answer.status_code == 403, (key, body["output"], answer.status_code)
                    refused += 1
        assert refused >= 20

    run(ask())


def test_nobody_gets_nothing_of_dash(town: Town) -> None:
    async def ask() -> None:
        async with town.client(None) as client:
            for path in ("/_dash-layout", "/_dash-dependencies", "/_reload-hash", "/_favicon.ico"):
                assert (await client.get(path)).status_code == 401, path
            files = await client.get("/_dash-component-suites/dash/deps/react.js")
            assert files.status_code == 401
            for key in ("", "me", "admin"):
                for body in updates(town, key):
                    answer = await client.post("/_dash-update-component", json=body)
                    assert answer.status_code == 401

    run(ask())


@pytest.fixture(scope="module")
def things(town: Town) -> None:
    """What people made and what happened in the home tenant: a dashboard, a schedule, a silence,
    an alert that fires about the other rows, and its history."""
    state, now = town.data.state, datetime.now(UTC)
    board = {
        "title": f"{MINE} board",
        "panels": [{"id": "p", "kind": "number", "source": {"measures": ["requests"]}}],
    }
    DashboardStore(state).create(Dashboard.model_validate(board), author="operator")
    schedule = ReportSchedule(
        audience="consumer", name=f"{OTHERS}-app", period="day", author="operator"
    )
    ReportScheduleStore(state).add(schedule, now=now)
    AlertStore(state).silence(
        [f"api={OTHERS}-api"], author="operator", reason=f"{OTHERS} is mended", duration_s=600
    )
    series = {
        "fingerprint": "f" * 64,
        "rule": "slow",
        "labels": json.dumps({"api": f"{OTHERS}-api", "alertname": "slow"}),
        "severity": "critical",
    }
    at = now.timestamp()
    with state.begin() as connection:
        connection.execute(
            alert_instances.insert().values(
                **series, state="firing", active_since=at, fired_at=at, updated_at=at
            )
        )
        connection.execute(
            alert_history.insert().values(
                **series, from_state="pending", to_state="firing", at=at, summary=f"{OTHERS} slow"
            )
        )


def test_the_things_are_shown_to_whoever_may_see_them(town: Town, things: None) -> None:
    """Else the test below could not fail."""

    async def ask() -> None:
        async with town.client("operator") as client:
            for key, words in (
                ("alerts", (f"{OTHERS}-api", f"{OTHERS} slow", f"{OTHERS} is mended")),
                ("reports", (f"{OTHERS}-app",)),
                ("dashboards", (f"{MINE} board",)),
                ("sql", (f"{OTHERS}-api", f"{MINE}-api")),
                ("services", (f"{OTHERS}-svc", f"{MINE}-svc")),
            ):
                text = ""
                for body in updates(town, key) + updates(town, key + "/"):
                    text += (await client.post("/_dash-update-component", json=body)).text
                for word in words:
                    assert word in text, (key, word)

    run(ask())


@pytest.mark.parametrize(
    ("name", "pages"),
    [
        ("app", ("me",)),
        ("owner", ("", "apis", "consumers", "requests", "logs", "traces")),
        ("owner", ("services", "explorer", "dashboards", "alerts", "reports", "products")),
        ("owner", (BELOW_ALERTS,)),
        ("viewer", ("dashboards", "alerts", "reports", "products")),
        ("analyst", ("services", "explorer", "sql", "dashboards", "alerts", "reports")),
        ("neighbour", ("", "apis", "requests", "admin")),
        ("neighbour", ("services", "explorer", "sql", "dashboards", "reports", "products")),
    ],
)
def test_no_callback_tells_of_other_peoples_rows(
    town: Town, things: None, name: str, pages: tuple[str, ...]
) -> None:
    async def ask() -> None:
        async with town.client(name) as client:
            answered = 0
            for key in pages:
                for body in updates(town, key):
                    answer = await client.post("/_dash-update-component", json=body)
                    assert answer.status_code in (200, 204, 400, 404), (key, answer.text)
                    text = answer.text
                    # What was asked for in the address stands in the links that keep it.
                    for asked in (f"{OTHERS}-app", f"{OTHERS}-api", f"service={OTHERS}-svc"):
                        text = text.replace(asked, "")
                    assert not leaks(text, name), (key, body["output"], answer.text[:1500])
                    answered += answer.status_code == 200
            assert answered > 0

    run(ask())


def test_an_app_developer_finds_only_its_own_screen(town: Town) -> None:
    async def ask() -> None:
        async with town.client("app") as client:
            layout = json.dumps((await client.get("/_dash-layout")).json())
            assert '"/me"' in layout
            for path in ("/apis", "/consumers", "/sql", "/operate", "/admin", "/alerts"):
                assert f'"{path}"' not in layout
        async with town.client("admin") as client:
            layout = json.dumps((await client.get("/_dash-layout")).json())
            assert '"/admin"' in layout
            assert '"/me"' not in layout

    run(ask())


@pytest.mark.parametrize("name", ["owner", "team", "app", "neighbour", "viewer", "admin"])
def test_a_page_brings_its_own_readers_screen_and_nobody_elses(town: Town, name: str) -> None:
    paths = ["/", *(f"/{key}" for key in PAGES), *(f"/{key}/{OTHERS}-x" for key in DETAILS)]

    async def ask() -> None:
        async with town.client(name) as client:
            for path in paths:
                answer = await client.get(path)
                text = answer.text.replace(f"{OTHERS}-x", "")
                assert answer.status_code == 200, path
                assert not leaks(text, name), path
                assert answer.headers["cache-control"] == "no-store", path
                said = re.search(r'"id": ?"person".{0,900}?\["b",{},"(\w+)"\]', text)
                assert said and said[1] == name, path  # the menu says who is signed in
            admin = (await client.get("/admin")).text
            manages = PEOPLE[name][0] == "admin"  # the neighbour's own tenant, say
            assert ('"admin-users"' in admin) == manages
            assert (NOT_FOR_YOU in admin) != manages
        async with town.client(None) as client:
            for path in paths:
                answer = await client.get(path)
                assert answer.status_code == 303 and answer.text == "", path

    run(ask())
