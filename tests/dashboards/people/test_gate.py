"""The door over HTTP: who comes in, how, and what a forged request meets."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest

from dashboards.data import Data
from dashboards.people.attempts import ACCOUNT_BURST, NETWORK_BURST
from dashboards.people.sign_in import SignIn
from dashboards.people.users import place
from dashboards.serving.gate import harmless_path
from dashboards.serving.server import create_server
from dashboards.settings import DashboardSettings
from storage.audit import read_audit
from storage.settings import StorageSettings
from tests.aio import run
from tests.dashboards.people.town import BY, CHEAP, HERE, PASSWORD, Town, build


async def log_in(client: httpx.AsyncClient, name: str, password: str = PASSWORD) -> httpx.Response:
    return await client.post("/login", data={"name": name, "password": password})


def test_pages_lead_to_the_login_and_back(town: Town) -> None:
    async def ask() -> None:
        async with town.client() as client:
            away = await client.get("/apis/orders?from=now-6h")
            assert away.status_code == 303
            assert away.headers["location"] == "/login?next=%2Fapis%2Forders%3Ffrom%3Dnow-6h"
            form = await client.get(away.headers["location"])
            assert 'name="next" value="/apis/orders?from=now-6h"' in form.text
            assert "script-src 'self'" in form.headers["content-security-policy"]
            data = {"name": "viewer", "password": PASSWORD, "next": "/apis/orders?from=now-6h"}
            done = await client.post("/login", data=data)
            assert done.headers["location"] == "/apis/orders?from=now-6h"
            cookie = done.headers["set-cookie"]
            assert "HttpOnly; SameSite=Lax" in cookie
            page = await client.get("/apis/orders")
            assert page.status_code == 200
            assert page.headers["cache-control"] == "no-store"
            out = await client.post("/logout")
            assert "Max-Age=0" in out.headers["set-cookie"]
            client.cookies.set("gatelens_session", cookie.split("=")[1].split(";")[0])
            assert (await client.get("/apis")).status_code == 303, (
                "the session is over, kept or not"
            )

    run(ask())


@pytest.mark.parametrize("end", ["password", "disabled"])
def test_a_session_ends_with_the_password_and_with_disabling(town: Town, end: str) -> None:
    users, name = town.sign_in.users, f"leaver-{end}"
    users.add(name, place("viewer"), actor=BY, password=PASSWORD)

    async def ask() -> None:
        async with town.client() as client:
            assert (await log_in(client, name)).status_code == 303
            assert (await client.get("/api/v1/me")).json()["name"] == name
            if end == "password":
                users.set_password(name, "another " + PASSWORD, actor=BY)
            else:
                users.set_disabled(name, True, actor=BY)
            town.sign_in.forget()
            assert (await client.get("/api/v1/me")).status_code == 401
            assert (await log_in(client, name)).status_code == 401

    run(ask())


FORGED = {
    "another site": {"origin": "https://evil.example"},
    "an opaque origin": {"origin": "null"},
    "a neighbour's port": {"origin": "http://127.0.0.1:1"},
    "cross-site by the browser's word": {"origin": HERE, "sec-fetch-site": "cross-site"},
    "same-site": {"sec-fetch-site": "same-site"},
    "no proof": {"origin": ""},
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
@pytest.mark.parametrize(
    "path", ["/login", "/logout", "/welcome/x", "/_dash-update-component", "/api/v1/sql"]
)
def test_no_other_site_speaks_with_a_persons_cookie(
    town: Town, path: str, headers: dict[str, str]
) -> None:
    async def ask() -> None:
        async with town.client("admin") as client:
            del client.headers["origin"]
            sent = {k: v for k, v in headers.items() if v}
            answer = await client.post(path, json={"sql": "SELECT 1"}, headers=sent)
            assert answer.status_code == 403

    run(ask())


def test_a_websocket_is_closed_before_it_opens(town: Town) -> None:
    sent: list[dict[str, object]] = []

    async def ask() -> None:
        async def receive() -> dict[str, object]:
            return {"type": "websocket.connect"}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/_dash-ws-callback", "headers": []}
        await town.server(scope, receive, send)  # type: ignore[arg-type]

    run(ask())
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("//evil.example/", 303),
        ("/%2e%2e/admin", 303),
        ("/login/../admin", 303),
        ("/login;/admin", 303),
        ("/assets/../_dash-layout", 401),
        ("/assets/%2e%2e/_dash-layout", 401),
        ("/welcome", 303),
        ("/auth/callback/x", 303),
        ("/API/v1/me", 303),
    ],
)
def test_paths_that_only_look_open_are_closed(town: Town, path: str, status: int) -> None:
    async def ask() -> None:
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b""}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1")],
            "client": ("127.0.0.1", 1),
            "scheme": "http",
        }
        await town.server(scope, receive, send)  # type: ignore[arg-type]
        answered = sent[0]["status"]
        if path.startswith("/assets"):
            # Nothing below /assets leaves it: not found there, and nothing of Dash.
            assert answered in (401, 404)
        else:
            assert answered == status
        if answered == 303:
            headers = dict(sent[0]["headers"])  # type: ignore[call-overload]
            assert headers[b"location"].startswith(b"/login")

    run(ask())


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1@evil", "a/b", "gatelens.example?x"])
def test_unknown_hosts_meet_no_login(town: Town, host: str) -> None:
    async def ask() -> None:
        async with town.client() as client:
            answer = await client.get("/login", headers={"host": host})
            assert answer.status_code == 400

    run(ask())


@pytest.mark.parametrize(
    "target", ["https://evil", "//evil", "/\\evil", "javascript:alert(1)", "/a\nb", "", "é"]
)
def test_nobody_is_led_elsewhere_after_the_login(target: str) -> None:
    assert harmless_path(target) == "/"
    assert harmless_path("/apis?from=now-1h") == "/apis?from=now-1h"


def test_forms_take_their_own_fields_alone(town: Town) -> None:
    secret = town.sign_in.links.for_password(town.sign_in.users.get("viewer"), BY)

    async def ask() -> None:
        async with town.client() as client:
            more = {"name": "viewer", "password": PASSWORD, "role": "admin"}
            assert (await client.post("/login", data=more)).status_code == 400
            mass = {"password": PASSWORD * 2, "again": PASSWORD * 2, "tenant": "neighbour"}
            assert (await client.post(f"/welcome/{secret}", data=mass)).status_code == 400
            twice = "name=viewer&name=admin&password=x"
            form = {"content-type": "application/x-www-form-urlencoded"}
            assert (await client.post("/login", content=twice, headers=form)).status_code == 400
            as_json = await client.post("/login", json={"name": "viewer", "password": PASSWORD})
            assert as_json.status_code == 400
            sql = {"sql": "SELECT 1", "tenant": "neighbour", "scope": None}
            async with town.client("analyst") as analyst:
                assert (await analyst.post("/api/v1/sql", json=sql)).status_code == 400

    run(ask())
    assert town.sign_in.users.get("viewer").role == "viewer"


def test_guessing_is_put_off_but_does_not_lock_the_owner_out(tmp_path: Path) -> None:
    town = build(tmp_path)

    async def ask() -> None:
        def scope_of(address: str) -> httpx.AsyncClient:
            transport = httpx.ASGITransport(town.server, client=(address, 1))
            return httpx.AsyncClient(transport=transport, base_url=HERE, headers={"origin": HERE})

        async with scope_of("10.0.0.1") as owner, scope_of("10.9.9.9") as guesser:
            assert (await log_in(owner, "viewer")).status_code == 303
            codes = [
                (await log_in(guesser, "viewer", f"guess number {n}")).status_code
                for n in range(ACCOUNT_BURST + 1)
            ]
            assert codes == [401] * ACCOUNT_BURST + [429]
            put_off = await log_in(guesser, "viewer", PASSWORD)
            assert put_off.status_code == 429
            assert int(put_off.headers["retry-after"]) > 0
            owner.cookies.clear()
            assert (await log_in(owner, "viewer")).status_code == 303
            metrics = (await owner.get("/metrics")).text
            assert 'login_attempts_total{how="failed"} 6.0' in metrics
            assert 'login_attempts_total{how="put_off"} 2.0' in metrics

    run(ask())
    (put_off,) = read_audit(town.data.state, action="login.put_off")
    assert (put_off.address, put_off.target, put_off.outcome) == ("10.9.9.9", "viewer", "refused")
    failed = [e for e in read_audit(town.data.state, action="login") if e.outcome == "failed"]
    assert len(failed) == ACCOUNT_BURST
    assert {e.address for e in failed} == {"10.9.9.9"}
    assert not any("guess number" in repr(e) for e in read_audit(town.data.state))


@pytest.mark.parametrize(
    "token", ["", "gl_sender", "glq_", "glq_" + "x" * 43, "glq_" + "é" * 20, "x" * 100_000]
)
def test_what_is_no_token_of_ours_opens_nothing(town: Town, token: str) -> None:
    async def ask() -> None:
        async with town.client() as client:
            header = f"Bearer {token}".encode()
            answer = await client.get("/api/v1/me", headers={b"authorization": header})
            assert answer.status_code in (401, 429)
            assert len(token) < 5 or token[:50] not in answer.text
            assert (await client.get(f"/api/v1/me?token={token[:50]}")).status_code == 401

    run(ask())


def test_guessed_tokens_are_put_off_and_written_down(tmp_path: Path) -> None:
    town = build(tmp_path)
    secret = town.sign_in.tokens.create("script", ["analytics"], actor=BY)

    async def ask() -> None:
        transport = httpx.ASGITransport(town.server, client=("10.9.9.9", 1))
        async with httpx.AsyncClient(transport=transport, base_url=HERE) as client:

            async def status(token: str) -> int:
                header = {"authorization": f"Bearer {token}"}
                return (await client.get("/api/v1/me", headers=header)).status_code

            guesses = [await status(f"glq_{n:043}") for n in range(NETWORK_BURST + 5)]
            assert guesses == [401] * NETWORK_BURST + [429] * 5
            # 256 bits are not guessed: whoever has the real one is not kept out by a neighbour
            assert await status(secret) == 200

    run(ask())
    failed = read_audit(town.data.state, action="token", limit=100)
    failed = [entry for entry in failed if entry.outcome == "failed"]
    assert len(failed) == NETWORK_BURST
    assert {entry.address for entry in failed} == {"10.9.9.9"}
    assert "glq_" not in repr(failed)


def test_a_token_may_what_its_scopes_say_until_it_is_revoked(town: Town) -> None:
    secret = town.sign_in.tokens.create("sql only", ["sql"], actor=BY)

    async def ask() -> None:
        async with town.client(None, authorization=f"Bearer {secret}") as client:
            del client.headers["origin"]  # a script has none, and no cookie either
            answer = await client.post("/api/v1/sql", json={"sql": "SELECT 1 AS one"})
            assert answer.json()["rows"] == [[1]]
            assert (await client.get("/api/v1/analytics/overview")).status_code == 403
            assert (await client.get("/api/v1/audit")).status_code == 403
            assert (await client.get("/apis")).status_code == 303, "screens are for people"
            town.sign_in.tokens.revoke("sql only", actor=BY)
            town.sign_in.forget()
            assert (await client.get("/api/v1/me")).status_code == 401

    run(ask())


def test_the_first_admin_is_made_with_a_link_once(tmp_path: Path) -> None:
    data = Data(DashboardSettings(login="on"), StorageSettings(data_dir=tmp_path))
    sign_in = SignIn(data.state, data.settings, data.whole_catalog, passwords=CHEAP)
    town = Town(data, sign_in, create_server(data, sign_in))
    secret = sign_in.links.for_setup()

    async def ask() -> None:
        async with town.client() as client:
            assert "makes the first admin" in (await client.get("/login")).text
            assert (await client.get("/")).status_code == 303
            assert "Make the first admin" in (await client.get(f"/welcome/{secret}")).text
            weak = {"name": "root", "password": "short", "again": "short"}
            assert "at least 12" in (await client.post(f"/welcome/{secret}", data=weak)).text
            good = {"name": "root", "password": PASSWORD, "again": PASSWORD}
            assert (await client.post(f"/welcome/{secret}", data=good)).status_code == 303
            assert (await client.get("/api/v1/me")).json()["role"] == "admin"
            again = {"name": "second", "password": PASSWORD, "again": PASSWORD}
            assert (await client.post(f"/welcome/{secret}", data=again)).status_code == 404

    run(ask())
    assert [u.name for u in sign_in.users.list()] == ["root"]


def test_secure_cookies_behind_tls(tmp_path: Path) -> None:
    town = build(tmp_path, public_url="https://gatelens.example")

    async def ask() -> None:
        async with town.client(
            host="gatelens.example", origin="https://gatelens.example"
        ) as client:
            answer = await log_in(client, "viewer")
            assert answer.status_code == 303
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith("__Host-gatelens_session=")
            assert cookie.endswith("; Secure")

    run(ask())


def test_forged_callback_bodies_are_refused(town: Town) -> None:
    bodies = [b"", b"null", b"[]", b'{"output":"x.y","inputs":[]}', b"\xff\xfe", b'{"output":5}']

    async def ask() -> None:
        async with town.client("app") as client:
            kind = {"content-type": "application/json"}
            for body in bodies:
                answer = await client.post("/_dash-update-component", content=body, headers=kind)
                assert answer.status_code == 400, body
            big = b"x" * (50 << 20)
            answer = await client.post("/_dash-update-component", content=big, headers=kind)
            assert answer.status_code == 413

    run(ask())
