"""People in a real browser: in and out, an app developer's own screen, an admin at work."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect

from dashboards.serving.server import uvicorn_config
from tests.browser import go
from tests.dashboards.known import utc_now
from tests.dashboards.people.town import MINE, OTHERS, PASSWORD, Town

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def url(town: Town) -> Iterator[str]:
    server = uvicorn.Server(uvicorn_config(town.server))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([taken],))
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def own_page(browser: Browser) -> Iterator[Page]:
    """A browser without anybody's cookies."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def sign_in(page: Page, url: str, name: str) -> None:
    page.goto(f"{url}/login")
    page.fill("[name=name]", name)
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")


def test_an_app_developer_sees_its_own_screen_and_leaves(own_page: Page, url: str) -> None:
    sign_in(own_page, url, "app")
    why = own_page.locator("#me-why table")
    expect(why).to_contain_text(f"/{MINE}/", timeout=60_000)
    expect(own_page.locator("#me-requests")).to_have_attribute("data-value", "40")
    expect(own_page.locator(".gl-nav-link")).to_have_count(1)
    assert OTHERS not in own_page.content()
    own_page.click("#person summary")
    own_page.click("text=Sign out")
    expect(own_page.locator("[name=password]")).to_be_visible()


def test_an_admin_adds_somebody(own_page: Page, url: str, town: Town) -> None:
    sign_in(own_page, url, "admin")
    own_page.goto(f"{url}/admin")
    expect(own_page.locator("#admin-users table")).to_contain_text("owner", timeout=60_000)
    own_page.fill("#user-name", "newcomer@example.com")
    own_page.click("#user-save")
    expect(own_page.locator("#user-said")).to_contain_text("/welcome/", timeout=30_000)
    expect(own_page.locator("#admin-audit")).to_contain_text("user.add", timeout=30_000)
    assert town.sign_in.users.get("newcomer@example.com").role == "viewer"
    # The longest label of a range, beside the menu of who is signed in.
    begin, end = (f"{utc_now() + timedelta(hours=by):%Y-%m-%dT%H:%M}" for by in (-2, 1))
    own_page.goto(f"{url}/products?from={begin}&to={end}")
    expect(own_page.locator("#range-label")).to_contain_text(end[-5:], timeout=30_000)
    expect(own_page.locator("#freshness")).to_contain_text("Data until", timeout=30_000)
    assert own_page.evaluate("() => document.documentElement.scrollWidth") <= 1280


def test_a_viewer_sees_no_button_that_changes_something(own_page: Page, url: str) -> None:
    """Hidden for the eye, not only by an attribute that a style overrules."""
    sign_in(own_page, url, "viewer")
    expect(own_page.locator("#home-stats .gl-stat").first).to_be_visible(timeout=60_000)
    for path, button in (
        ("/dashboards", "text=New dashboard"),
        ("/reports", "#reports-new"),
        ("/alerts", "#silence-create"),
        ("/alerts/delivery", "#maintenance-form"),
    ):
        go(own_page, path)
        expect(own_page.locator(button)).to_be_hidden()
    own_page.keyboard.press("Control+k")
    asked, found = own_page.locator(".gl-palette-input"), own_page.locator(".gl-palette-list")
    asked.fill("show raw")
    expect(found).to_contain_text("Show raw requests")
    for kept_back in ("create an alert", "0" * 32):
        asked.fill(kept_back)
        expect(found).to_have_text("Nothing fits")
