"""A public link shows its dashboard and nothing else, whoever asks and however."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from dashboards import identity
from dashboards.custom.boards import Boards
from dashboards.custom.definition import Dashboard
from dashboards.custom.public_link import Scope
from dashboards.custom.public_page import GONE
from dashboards.custom.store import DashboardStore
from dashboards.view import parse_view
from storage.row_scope import RowScope
from tests.dashboards.conftest import Running
from tests.dashboards.known import utc_now

BOARD = Dashboard.model_validate(
    {
        "title": "For <partners>",
        "panels": [
            {"id": "n", "kind": "number", "source": {"measures": ["requests"]}},
            {"id": "b", "kind": "bar", "source": {"measures": ["requests"], "by": ["api"]}},
            {"id": "c", "kind": "time_series", "source": {"measures": ["requests"]}},
            {
                "id": "q",
                "kind": "table",
                "source": {"sql": "SELECT api, count(*) AS n FROM requests GROUP BY api"},
            },
        ],
    }
)


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as made:
        yield made


def shared(server: Running, search: str = "from=now-1h", rows: RowScope | None = None) -> Any:
    boards = Boards(server.data)
    saved = boards.create(BOARD)
    scope = Scope.of(parse_view(search, now=utc_now()), rows)
    link, token = boards.create_link(saved.id, scope, days=1, pinned=False, note="")
    return boards, saved, link, token


def view(client: httpx.Client, token: object, **more: object) -> httpx.Response:
    return client.post("/public/view", json={"token": token, **more})


def numbers(html: str) -> list[float]:
    return [float(v) for v in re.findall(r'data-value="([^"]+)"', html)]


def test_it_shows_the_dashboard_of_its_link(client: httpx.Client, server: Running) -> None:
    _, _, _, token = shared(server)
    answer = view(client, token)
    assert answer.status_code == 200
    body = answer.json()
    assert body["title"] == "For <partners>"
    assert "For &lt;partners&gt;" in body["html"]
    assert numbers(body["html"])[0] == len(server.calls)
    assert "<img src=x" not in body["html"]
    assert body["html"].count("data-figure=") == 1
    assert "data-gl-add" not in body["html"]
    headers = answer.headers
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "script-src 'self';" in headers["content-security-policy"]


def test_filters_and_rows_are_those_of_the_link(client: httpx.Client, server: Running) -> None:
    orders = sum(c.api == "orders" for c in server.calls)
    _, _, _, filtered = shared(server, "from=now-1h&api=orders")
    body = view(client, filtered, search="?from=now-30d", api="payments", filters={}).json()
    assert numbers(body["html"])[0] == orders
    assert "api orders" in body["label"]
    _, _, _, scoped = shared(server, rows=RowScope(apis=("orders",)))
    seen = view(client, scoped).json()["html"]
    assert numbers(seen)[0] == orders
    assert "payments" not in seen


@pytest.mark.parametrize(
    "token", ["", "x" * 32, "../../etc/passwd", None, 7, [], {"a": 1}, "x" * 5_000]
)
def test_what_is_no_token_is_gone(client: httpx.Client, token: object) -> None:
    answer = view(client, token)
    assert (answer.status_code, answer.json()["error"]) == (404, GONE)


def test_a_dead_link_is_gone(client: httpx.Client, server: Running) -> None:
    boards, saved, link, token = shared(server)
    boards.revoke_link(link.id)
    assert view(client, token).status_code == 404
    _, again, _, alive = shared(server)
    assert view(client, alive).status_code == 200
    boards.delete(again.id)
    assert view(client, alive).status_code == 404
    assert saved.id != again.id


def test_a_link_of_another_tenant_shows_nothing_of_ours(
    client: httpx.Client, server: Running
) -> None:
    other = DashboardStore(server.data.state, tenant="other")
    boards = Boards(server.data)
    saved = other.create(BOARD, author="eve")
    scope = Scope.of(parse_view("from=now-1h", now=utc_now()))
    maker = identity.LOCAL.name
    _, token = boards.links.create(saved.id, scope, tenant="other", author=maker, days=1)
    seen = view(client, token).json()["html"]
    assert "orders" not in seen
    assert numbers(seen) in ([], [0.0])


def test_the_newest_version_is_shown_unless_one_is_pinned(
    client: httpx.Client, server: Running
) -> None:
    boards, saved, _, following = shared(server)
    scope = Scope.of(parse_view("from=now-1h", now=utc_now()))
    _, pinned = boards.create_link(saved.id, scope, days=1, pinned=True, note="")
    boards.save(saved.id, Dashboard(title="Later"), seen=1, note="")
    assert view(client, following).json()["title"] == "Later"
    assert view(client, pinned).json()["title"] == "For <partners>"


def test_there_is_nothing_else_at_its_address(client: httpx.Client, server: Running) -> None:
    _, saved, _, token = shared(server)
    assert client.get("/public").status_code == 200
    assert token not in client.get("/public").text
    assert client.get(f"/public/{token}").status_code == 404
    assert client.get("/public/view").status_code == 405
    assert client.post("/public", json={"token": token}).status_code == 404
    assert client.post("/public/view", content=b"[" * 2_000).status_code == 404
    cross = client.post(
        "/public/view", json={"token": token}, headers={"origin": "https://evil.example"}
    )
    assert cross.status_code == 403
    assert saved.id not in view(client, token).text


def test_making_and_revoking_is_audited_without_the_token(server: Running) -> None:
    import sqlalchemy as sa

    from storage.state import metadata

    boards, saved, link, token = shared(server)
    boards.revoke_link(link.id)
    with server.data.state.connect() as connection:
        rows = [
            dict(r) for r in connection.execute(sa.select(metadata.tables["audit_log"])).mappings()
        ]
    mine = [r for r in rows if r["target"] == saved.id]
    assert [r["action"] for r in mine] == [
        "dashboard.create", "dashboard.link.create", "dashboard.link.revoke",
    ]  # fmt: skip
    assert token not in str(rows)


def test_whoever_may_not_share_or_edit_is_refused(server: Running) -> None:
    boards = Boards(server.data)
    saved = boards.create(BOARD)
    looker = identity.Principal("u1", "vera", "user", "default", frozenset({"read"}))
    scope = Scope.of(parse_view("", now=utc_now()))
    with identity.acting_as(looker):
        for attempt in (
            lambda: boards.create(BOARD),
            lambda: boards.save(saved.id, BOARD, seen=1, note=""),
            lambda: boards.delete(saved.id),
            lambda: boards.create_link(saved.id, scope, days=1, pinned=False, note=""),
            lambda: boards.links_of(saved.id),
        ):
            with pytest.raises(identity.Forbidden):
                attempt()
        assert boards.get(saved.id).version == 1
