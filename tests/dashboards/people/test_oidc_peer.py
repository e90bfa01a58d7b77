"""Single sign-on against a real provider: npm's oidc-provider, a certified one."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from storage.audit import read_audit
from tests.aio import run
from tests.collector.receivers.test_peers import fetch
from tests.dashboards.people.town import BY, HERE, MINE, Town, build

pytestmark = pytest.mark.peer

PACKAGE = "oidc-provider@9.13.3"
CALLBACK = f"{HERE}/auth/callback"
ROLES = (("gatelens-admins", "admin"), ("owners", "api_owner"))


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("provider")
    command = ("npm", "install", "--no-audit", "--no-fund", "--prefix", ".", PACKAGE)
    fetch("npm's oidc-provider", *command, cwd=folder)
    shutil.copy(Path(__file__).with_name("provider.mjs"), folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        ["node", "provider.mjs", url, str(port), CALLBACK],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "listening" in line:
            break
    yield url
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.fixture
def town(tmp_path: Path, issuer: str) -> Town:
    (tmp_path / "secret").write_text("not-a+secret/of anybody\n")
    return build(
        tmp_path,
        oidc_issuer=issuer,
        oidc_client_id="gatelens",
        oidc_client_secret_file=tmp_path / "secret",
        oidc_scopes="openid email profile groups",
        oidc_roles=ROLES,
        oidc_apis_claim="apis",
    )


def sign_in_there(start: str, login: str) -> str:
    """What a browser does at the provider; the address it is sent back to."""
    with httpx.Client(timeout=20) as browser:
        answer = browser.get(start)
        for _ in range(12):
            if answer.is_redirect:
                target = str(answer.next_request.url) if answer.next_request else ""
                if target.startswith(CALLBACK):
                    return target
                answer = browser.get(target)
                continue
            form = re.search(r'action="([^"]+)"', answer.text)
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
            assert form is not None, answer.text[:500]
            assert prompt is not None, answer.text[:500]
            data = {"prompt": prompt[1], "login": login, "password": "x"}
            answer = browser.post(str(answer.url.join(form[1])), data=data)
    raise AssertionError("the provider did not send the browser back")


async def come_in(client: httpx.AsyncClient, login: str) -> httpx.Response:
    away = await client.get("/auth/start?next=/apis")
    assert away.status_code == 303
    back = sign_in_there(away.headers["location"], login)
    return await client.get(back.removeprefix(HERE))


def test_somebody_signs_on_and_gets_role_and_rows_by_claims(town: Town) -> None:
    async def ask() -> None:
        async with town.client() as client:
            assert "/auth/start" in (await client.get("/login")).text
            done = await come_in(client, "ann")
            assert (done.status_code, done.headers["location"]) == (303, "/apis")
            me = (await client.get("/api/v1/me")).json()
            assert (me["name"], me["role"]) == ("ann@example.com", "admin")
        async with town.client() as client:
            await come_in(client, "olga")
            me = (await client.get("/api/v1/me")).json()
            assert (me["role"], me["apis"]) == ("api_owner", [f"{MINE}-api"])
            again = await come_in(client, "olga")
            assert again.status_code == 303

    run(ask())
    assert [u.name for u in town.sign_in.users.list() if u.issuer] == [
        "ann@example.com",
        "olga@example.com",
    ]
    hows = [e.detail.get("how") for e in read_audit(town.data.state, action="login")]
    assert hows == ["single sign-on"] * 3


def test_who_has_no_role_or_is_disabled_stays_outside(town: Town) -> None:
    async def ask() -> None:
        async with town.client() as client:
            refused = await come_in(client, "eve")
            assert refused.status_code == 401
            assert "no role here" in refused.text
            assert (await client.get("/api/v1/me")).status_code == 401
            await come_in(client, "ann")
            town.sign_in.users.set_disabled("ann@example.com", True, actor=BY)
            town.sign_in.forget()
            assert "disabled" in (await come_in(client, "ann")).text

    run(ask())


def test_an_answer_works_once_and_in_its_browser_alone(town: Town) -> None:
    async def ask() -> None:
        async with town.client() as client, town.client() as another:
            away = await client.get("/auth/start")
            back = sign_in_there(away.headers["location"], "ann").removeprefix(HERE)
            stolen = await another.get(back)
            assert stolen.status_code == 401
            assert "another browser" in stolen.text
            assert (await client.get(back)).status_code == 401, "a stolen answer is used up"
            forged = await client.get("/auth/callback?code=x&state=" + "y" * 43)
            assert forged.status_code == 401
            away = await client.get("/auth/start")
            back = sign_in_there(away.headers["location"], "ann").removeprefix(HERE)
            mixed = await client.get(re.sub(r"iss=[^&]*", "iss=https://evil.example", back))
            assert mixed.status_code == 401

    run(ask())
