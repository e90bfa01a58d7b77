"""A page brings its screen along: what the framework would ask for next is in the first answer."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route

from dashboards.serving.first_page import Place, block
from tests.browser import Troubles, exact_number, go, wait_for_screen
from tests.dashboards.conftest import Running

BLOCK = re.compile(
    r'<script type="application/json" data-gl-answers="([^"]+)"([^>]*)>(.*?)</script>', re.DOTALL
)


def brought(text: str) -> dict[str, Any]:
    """Address -> what the page says a GET of it would answer."""
    return {unescape(path): json.loads(told) for path, _, told in BLOCK.findall(text)}


def test_the_page_holds_the_frame_the_screen_and_the_callbacks(server: Running) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        page = client.get("/apis/orders?from=now-1h")
        known = brought(page.text)
        assert known["/_dash-dependencies"] == client.get("/_dash-dependencies").json()
        layout, bare = json.dumps(known["/_dash-layout"]), client.get("/_dash-layout").text
    assert '"api-stats"' in layout and '"api-stats"' not in bare
    assert '"pathname": "/apis/orders", "refresh": false, "search": "?from=now-1h"' in layout
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("path", ["/", "/apis", "/nothing/here", "/alerts/rules"])
def test_every_address_brings_its_screen(server: Running, path: str) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        assert "gl-page-head" in json.dumps(brought(client.get(path).text)["/_dash-layout"])


def test_an_address_cannot_end_the_block_it_is_in(server: Running) -> None:
    hostile = "</script><script>alert(1)</script>"
    with httpx.Client(base_url=server.url, timeout=30) as client:
        text = client.get(f"/apis/{hostile}", params={"q": hostile}).text
    assert "alert(1)<" not in text
    assert hostile in json.dumps(brought(text)["/_dash-layout"])

    made = block("/x", json.dumps(["</script><b>"]), Place('/"><i>', "?'&"))
    assert "<b>" not in made and "<i>" not in made
    assert brought(made) == {"/x": ["</script><b>"]}


@pytest.mark.browser
def test_nothing_is_asked_before_the_data(page: Page, server: Running) -> None:
    troubles = Troubles(page)
    asked: list[str] = []
    page.on(
        "request",
        lambda r: asked.append(r.url + (r.post_data or "")) if "/_dash-" in r.url else None,
    )
    page.goto(f"{server.url}/?from=now-1h&refresh=off")
    wait_for_screen(page)
    updates = [one for one in asked if "_dash-component-suites" not in one]
    assert updates and all("_dash-update-component" in one for one in updates), updates
    assert not any('"output":"page.children"' in one for one in updates)
    assert sum("home-stats.children" in one for one in updates) == 1
    shown = exact_number(page, "home-requests")

    go(page, "/apis?from=now-1h&refresh=off")
    page.go_back()
    page.wait_for_selector("#home-requests")
    wait_for_screen(page)
    assert exact_number(page, "home-requests") == shown
    assert troubles.seen == []


@pytest.mark.browser
def test_a_page_made_for_another_address_asks_for_its_screen(page: Page, server: Running) -> None:
    """Behind a proxy that rewrites addresses, say."""

    def rewritten(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(
            response=answer, body=answer.text().replace('data-path="/"', 'data-path="/x"')
        )

    troubles = Troubles(page)
    page.route(f"{server.url}/?from=now-1h", rewritten)
    page.goto(f"{server.url}/?from=now-1h")
    wait_for_screen(page)
    assert exact_number(page, "home-requests") > 0
    assert troubles.seen == []
