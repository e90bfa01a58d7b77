"""Requests that claim to be what they are not: where they come from, which key, whose thing, what
callback; and what whoever may see only some rows is shown instead of nothing."""

from __future__ import annotations

import copy
import re
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from dashboards import roles
from dashboards.app import PAGES, create_app
from dashboards.panels.quota_panels import NOT_YOURS
from dashboards.people.attempts import ACCOUNT_BURST
from dashboards.roles import ROLES
from dashboards.serving.server import uvicorn_config
from storage.audit import read_audit
from tests.aio import run
from tests.dashboards.people.test_gate import log_in
from tests.dashboards.people.test_matrix import things, updates  # noqa: F401 - things: a fixture
from tests.dashboards.people.town import BY, HERE, MINE, PEOPLE, Town, build
from tests.dashboards.people.walk import content, panels, wrong_links

SAID = {
    "x-forwarded-for": "127.0.0.1",
    "x-real-ip": "127.0.0.1",
    "forwarded": "for=127.0.0.1;host=evil.example;proto=https",
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "https",
    "x-original-url": "/healthz",
    "x-rewrite-url": "/assets/gatelens.css",
}


def test_what_headers_say_of_address_host_and_path_is_not_believed(tmp_path: Any) -> None:
    town = build(tmp_path)

    async def ask() -> None:
        wire = httpx.ASGITransport(town.server, client=("10.9.9.9", 1))
        async with httpx.AsyncClient(transport=wire, base_url=HERE, headers=SAID) as client:
            assert (await client.get("/_dash-layout")).status_code == 401
            assert (await client.get("/apis")).headers["location"].startswith("/login?next=%2Fapis")
            client.headers["origin"] = HERE
            codes = []
            for n in range(ACCOUNT_BURST + 1):  # another neighbour every time, if one believes it
                client.headers["x-forwarded-for"] = f"10.0.{n}.1"
                codes.append((await log_in(client, "viewer", f"guess {n}")).status_code)
            assert codes == [401] * ACCOUNT_BURST + [429]
            done = await log_in(client, "owner")
            if done.status_code == 303:  # over plain HTTP, whatever the proto that was claimed
                assert "Secure" not in done.headers["set-cookie"]

    run(ask())
    assert {entry.address for entry in read_audit(town.data.state, action="login")} == {"10.9.9.9"}


@pytest.mark.parametrize(
    ("trusted", "believed"), [("", "10.9.9.9"), ("10.1.1.1", "10.9.9.9"), ("10.9.9.9", "1.2.3.4")]
)
def test_only_named_proxies_say_where_somebody_comes_from(trusted: str, believed: str) -> None:
    seen: list[str] = []

    class App:
        settings = SimpleNamespace(trusted_proxies=trusted)

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["client"][0])

    config = uvicorn_config(App())  # type: ignore[arg-type]
    config.load()
    scope = {
        "type": "http",
        "client": ("10.9.9.9", 1),
        "scheme": "http",
        "headers": [(b"x-forwarded-for", b"1.2.3.4")],
    }
    run(config.loaded_app(scope, None, None))
    assert seen == [believed]


def test_nearly_a_token_is_none_and_a_token_in_the_address_counts_for_nothing(town: Town) -> None:
    secret = town.sign_in.tokens.create("near", ["analytics"], actor=BY)
    near = [secret[:-1], secret + "x", secret.swapcase(), secret[:8], f"{secret}\x00", secret * 2]

    async def ask() -> None:
        async with town.client() as client:
            for one in near:
                header = {b"authorization": f"Bearer {one}".encode()}
                answer = await client.get("/api/v1/me", headers=header)
                assert answer.status_code in (401, 429), one
                assert one not in answer.text
            for name in ("token", "access_token", "api_key", "authorization"):
                answer = await client.get("/api/v1/me", params={name: secret})
                assert answer.status_code == 401
                assert secret not in answer.text
            good = await client.get("/api/v1/me", headers={"authorization": f"Bearer {secret}"})
            assert good.status_code == 200

    run(ask())
    assert secret not in repr(read_audit(town.data.state, limit=200))


def test_fields_nobody_asked_for_are_refused_and_nothing_is_made(town: Town) -> None:
    panel = {"id": "p", "kind": "number", "source": {"measures": ["requests"]}}
    board = {"definition": {"title": "Mine", "panels": [panel]}}
    schedule = {"audience": "consumer", "name": f"{MINE}-app", "period": "day"}
    more = ({"tenant": "neighbour"}, {"author": "admin"}, {"role": "admin"}, {"id": "x"})

    async def ask() -> None:
        async with town.client("operator") as client:
            for path, body in (
                ("/api/v1/dashboards", board),
                ("/api/v1/analytics/reports/schedules", schedule),
            ):
                before = (await client.get(path)).text
                for field in more:
                    answer = await client.post(path, json={**body, **field})
                    assert answer.status_code in (400, 422), (path, field, answer.text)
                inside = {"definition": {**board["definition"], "tenant": "neighbour"}}
                assert (await client.post(path, json=inside)).status_code in (400, 422)
                assert (await client.get(path)).text == before
                assert (await client.post(path, json=body)).status_code == 201  # else all would be

    run(ask())


def test_every_route_of_the_framework_is_closed_to_nobody(town: Town) -> None:
    routes: Any = create_app(town.data).server.routes
    paths = {getattr(route, "path", "") for route in routes} | {"/_dash-ws-callback", "/_mcp"}
    assert "/_dash-update-component" in paths
    assert "/_dash-layout" in paths

    async def ask() -> None:
        async with town.client() as client:
            for path in sorted(paths):
                for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
                    there = path.replace("{", "").replace("}", "").replace(":path", "") or "/"
                    answer = await client.request(method, there)
                    open_door = there.startswith(("/login", "/assets"))
                    assert open_door or answer.status_code in (303, 401, 403), (method, there)

    run(ask())


@pytest.mark.parametrize("origin", [HERE, "https://evil.example", ""])
def test_a_websocket_is_closed_even_with_a_persons_cookie(town: Town, origin: str) -> None:
    sent: list[dict[str, Any]] = []
    cookie = town.client("admin").cookies["gatelens_session"]
    headers = [(b"cookie", f"gatelens_session={cookie}".encode()), (b"host", b"127.0.0.1")]
    if origin:
        headers.append((b"origin", origin.encode()))

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    for path in ("/_dash-ws-callback", "/", "/api/v1/sql"):
        scope = {"type": "websocket", "path": path, "headers": headers}
        run(town.server(scope, receive, send))  # type: ignore[arg-type]
    assert [m["type"] for m in sent] == ["websocket.close"] * 3


HOSTILE = [{"search": {"a": [1]}, "mode": []}, "\x00'\"; DROP TABLE requests --", [[["x"]]]]
"""What no page ever sends: each stands for every input and state of every callback."""


def _replaced(part: Any, value: object) -> Any:
    if isinstance(part, list):
        return [_replaced(one, value) for one in part]
    return {**part, "value": value}


@pytest.mark.parametrize("value", HOSTILE, ids=["shapes", "text", "lists"])
def test_values_of_the_wrong_kind_are_a_sentence_in_every_callback(
    town: Town, value: object
) -> None:
    async def ask() -> None:
        asked = 0
        async with town.client("operator") as client:
            for key in ("apis", "alerts", "reports", "dashboards", "traces", "logs", "explorer"):
                for body in updates(town, key):
                    sent = copy.deepcopy(body)
                    sent["inputs"] = _replaced(sent["inputs"], value)
                    sent["state"] = _replaced(sent["state"], value)
                    answer = await client.post("/_dash-update-component", json=sent)
                    assert answer.status_code in (200, 204, 400, 404), (key, body["output"])
                    assert "Traceback" not in answer.text
                    assert 'File "' not in answer.text
                    asked += 1
        assert asked >= 20

    run(ask())


OWN = {
    "": f"{MINE}-api", "apis": f"{MINE}-api", "consumers": f"{MINE}-app", "requests": f"{MINE}-api",
    "traces": f"{MINE}-span", "services": f"{MINE}-svc", "logs": f"{MINE}-log",
    "explorer": f"{MINE}-metric", "me": f"{MINE}-api", "products": "starter",
}  # fmt: skip
"""Screen -> what of their own whoever may see it must find there."""


OWN_NUMBERS = {
    "traces": ("traces-traces", "traces-failed"),
    "services": ("services-services", "services-calls", "services-failed"),
    "logs": ("logs-records", "logs-errors", "logs-services"),
    "explorer": ("metrics-points", "metrics-series", "metrics-services"),
}
"""Screen -> numbers of its state row that are 1 for whoever sees one service of two: each has one
row in each table, a failed one."""


@pytest.mark.parametrize("name", ["operator", "analyst", "owner", "viewer", "app"])
def test_every_panel_is_filled_or_says_why_and_leads_only_where_one_may_go(
    town: Town, name: str
) -> None:
    may = ROLES[PEOPLE[name][0]].permissions  # type: ignore[index]

    async def ask() -> None:
        seen = set()
        async with town.client(name) as client:
            for key in [k for k in PAGES if roles.PAGES[k] in may]:
                shown = await panels(client, town, key)
                for output, text in shown.items():
                    # Neither a panel that failed nor one that waits for ever.
                    assert "gl-failure" not in text, (key, output, text)
                    assert "gl-skeleton" not in text, (key, output)
                text = "".join((await content(client, f"/{key}"), *shown.values()))
                assert wrong_links(text, may) == [], key
                if key == "alerts":  # notices are about all alerts together
                    told = '"id":"alerts-undelivered","data-value":""' in text.replace(" ", "")
                    assert told == (name == "owner"), text
                if key == "products" and name == "owner":
                    assert NOT_YOURS in text
                    seen.add(key)
                elif key in OWN:
                    assert OWN[key] in text, key
                    if name == "owner":
                        for number in OWN_NUMBERS.get(key, ()):
                            assert re.search(rf'"{number}","data-value":"1(\.0)?"', text), number
                    seen.add(key)
        assert seen == {k for k in OWN if roles.PAGES[k] in may}

    run(ask())
