"""Files leave with those who may export, and each one is in the audit log; JSON needs no export."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from dashboards.people import principals
from dashboards.roles import ROLES
from dashboards.serving.exports import NO_FILES
from dashboards.serving.sql_api import ARROW, PARQUET
from storage.audit import AuditEntry, read_audit
from tests.aio import run
from tests.dashboards.people.town import BY, MINE, Town

A = "/api/v1/analytics"
ASK_SQL = {"json": {"sql": "SELECT api FROM requests LIMIT 1"}}
PANEL = {"id": "p", "title": "Calls", "kind": "table",
         "source": {"measures": ["requests"], "by": ["api"]}}  # fmt: skip
CSV, PDF = "text/csv", "application/pdf"

Ask = tuple[str, str, dict[str, Any], str]
"""Method, path, what else is sent, type of the file."""

FILES: list[Ask] = [
    *(
        ("GET", f"{A}/{name}", {"params": {"start": "now-1h", "format": shape, **more}}, type_)
        for name, more in (
            ("usage", {"by": "api"}), ("latency", {}), ("errors", {}),
            ("breakdown", {"dimension": "api"}),
        )
        for shape, type_ in (("csv", CSV), ("parquet", PARQUET))
    ),
    ("GET", f"{A}/invoices", {"params": {"format": "csv"}}, CSV),
    *(
        ("GET", f"{A}/{name}", {"params": {"format": "csv"}}, CSV)
        for name in (
            "apdex", "clients", "consumers", "consumers/active", "consumers/cohorts",
            "entitlements", "headroom", "health", "plan-fit", "quota", "quota/gateways", "seen",
            "slos", "uptime", "uptime/endpoints",
        )
    ),
    *(
        ("GET", f"{A}/reports/owner",
         {"params": {"name": f"{MINE}-team", "period": "day", "format": shape}}, type_)
        for shape, type_ in (("csv", CSV), ("pdf", PDF))
    ),
    *(
        ("POST", "/api/v1/sql", {**ASK_SQL, "params": {"format": shape}}, type_)
        for shape, type_ in (("csv", CSV), ("arrow", ARROW), ("parquet", PARQUET))
    ),
    ("POST", "/api/v1/sql", {**ASK_SQL, "headers": {"accept": CSV}}, CSV),
    ("POST", "/api/v1/dashboards/panel/csv", {"json": {"panel": PANEL}}, CSV),
    ("GET", "/api/v1/audit", {"params": {"format": "csv"}}, CSV),
]  # fmt: skip
NAMES = [
    f"{path.rpartition('/')[2]}-{more.get('params', {}).get('format', 'accept')}"
    for _, path, more, _ in FILES
]


@pytest.fixture
def no_export(town: Town, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Admins of this test may everything but export."""
    admin = ROLES["admin"]
    spec = dataclasses.replace(admin, permissions=admin.permissions - {"export"})
    with monkeypatch.context() as patched:
        patched.setattr(principals, "ROLES", {**ROLES, "admin": spec})
        town.sign_in.forget()
        yield
    town.sign_in.forget()


def exports(town: Town) -> list[AuditEntry]:
    return read_audit(town.data.state, action="export", limit=1000)


async def ask(client: httpx.AsyncClient, method: str, path: str, more: Any) -> httpx.Response:
    return await client.request(method, path, **more)


@pytest.mark.parametrize(("method", "path", "more", "type_"), FILES, ids=NAMES)
def test_a_file_is_in_the_audit_log_once(
    town: Town, method: str, path: str, more: dict[str, Any], type_: str
) -> None:
    before = len(exports(town))

    async def go() -> None:
        async with town.client("admin") as client:
            answer = await ask(client, method, path, more)
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"].partition(";")[0] == type_
            assert answer.content

    run(go())
    newest, *others = exports(town)
    assert len(others) == before
    assert (newest.actor, newest.actor_kind, newest.outcome) == ("admin", "user", "done")
    assert newest.address == "127.0.0.1"
    assert newest.detail["type"] == type_
    own_names = {"/api/v1/dashboards/panel/csv": "panel Calls", "/api/v1/audit": "audit log"}
    assert newest.target == own_names.get(path, path)
    assert dict(parse_qsl(str(newest.detail["asked"]))) == more.get("params", {})


@pytest.mark.parametrize(("method", "path", "more", "type_"), FILES, ids=NAMES)
def test_without_export_there_is_no_file(
    town: Town,
    no_export: None,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    more: dict[str, Any],
    type_: str,
) -> None:
    """And its question is not asked."""
    before = len(exports(town))
    monkeypatch.setattr(town.server, "_api", None)

    async def go() -> None:
        async with town.client("admin") as client:
            answer = await ask(client, method, path, more)
            assert answer.status_code == 403
            assert answer.headers["content-type"] == "application/json"
            assert answer.json() == {"error": NO_FILES}

    run(go())
    assert len(exports(town)) == before
    refused = read_audit(town.data.state, action="access", limit=1)[0]
    assert (refused.target, refused.outcome) == (path, "refused")
    assert refused.detail["needs"] == ["export"]


def test_without_export_json_and_pages_are_read_as_before(town: Town, no_export: None) -> None:
    before = len(exports(town))

    async def go() -> None:
        async with town.client("admin") as client:
            for method, path, more, _ in FILES:
                if path.endswith("/csv"):
                    continue
                plain = {**more, "params": {**more.get("params", {})}, "headers": {}}
                plain["params"].pop("format", None)
                answer = await ask(client, method, path, plain)
                assert answer.status_code == 200, (path, answer.text)

    run(go())
    assert len(exports(town)) == before


def test_tokens_export_what_their_scopes_say(town: Town) -> None:
    tokens = town.sign_in.tokens
    asks = tokens.create("asks", ["analytics"], actor=BY)
    watches = tokens.create("watches", ["admin"], actor=BY)

    async def go() -> None:
        async with town.client(None, authorization=f"Bearer {asks}") as client:
            assert (await client.get(f"{A}/usage", params={"format": "csv"})).status_code == 200
        async with town.client(None, authorization=f"Bearer {watches}") as client:
            assert (await client.get("/api/v1/audit")).status_code == 200
            answer = await client.get("/api/v1/audit", params={"format": "csv"})
            assert answer.status_code == 403

    run(go())
    newest = exports(town)[0]
    assert (newest.actor, newest.actor_kind, newest.target) == ("asks", "token", f"{A}/usage")


def test_every_address_with_formats_is_asked_here(town: Town) -> None:
    api: Any = town.server._api
    with_formats = {
        path
        for path, operations in api.openapi()["paths"].items()
        for operation in operations.values()
        if any(p["name"] == "format" for p in operation.get("parameters", ()))
    }
    asked = {path.replace("/reports/owner", "/reports/{audience}") for _, path, _, _ in FILES}
    assert with_formats <= asked


def test_no_file_goes_out_that_the_log_cannot_hold(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_detail: object) -> None:
        raise OSError("disk full")

    async def go() -> None:
        async with town.client("admin") as client:
            monkeypatch.setattr("dashboards.serving.exports.identity.audit", full)
            answer = await client.get(f"{A}/usage", params={"format": "csv"})
            assert answer.status_code == 500
            assert MINE not in answer.text

    run(go())
