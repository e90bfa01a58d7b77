"""A headless Chromium for tests, screenshots and measurements.

`tests/conftest.py` makes its fixtures known to all tests, once: two of them in one process would
each start a playwright, which refuses.
Screens forbid `eval` (Content-Security-Policy): give `page.wait_for_function` a function, never a
bare expression, or use `wait_for_screen`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

HEADLESS_SHELL = "chromium-headless-shell"
"""The same engine without a window around the pages: half the processor time. What tests use where
it is; measurements and screenshots take the browser people have."""
CANDIDATES = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", HEADLESS_SHELL,
)  # fmt: skip

expect.set_options(timeout=20_000)  # machines that run tests are busy

SETTLED = """(everywhere) => !!document.querySelector('.gl-page-head') && window.gatelens
    && window.gatelens.inflight === 0 && !document.querySelector('.gl-skeleton')
    && window.gatelens.undrawn(everywhere) === 0"""


def find_chromium() -> str | None:
    """Path of the browser: GATELENS_CHROMIUM, or the first one found. None = there is none."""
    named = os.environ.get("GATELENS_CHROMIUM")
    if named:
        return shutil.which(named)
    return next((path for name in CANDIDATES if (path := shutil.which(name))), None)


def chromium_path() -> str:
    """The same; raises with what to do when there is none."""
    found = find_chromium()
    if found is None:
        raise RuntimeError(
            "no Chromium found: install the package chromium or set GATELENS_CHROMIUM"
        )
    return found


def quickest_path() -> str:
    """What tests drive; GATELENS_CHROMIUM decides here, too."""
    shell = None if os.environ.get("GATELENS_CHROMIUM") else shutil.which(HEADLESS_SHELL)
    return shell or chromium_path()


def launch_arguments() -> list[str]:
    return [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--hide-scrollbars",
    ]


ONE_RENDERER = "--renderer-process-limit=1"
KEPT = "http://127.0.0.1:9/kept"
"""A page of the servers' site (ports do not count), answered by the browser itself. As long as it
is open, the process that has compiled the framework's files serves the next page as well."""


def wait_for_screen(page: Page, timeout_s: float = 30.0, *, everywhere: bool = True) -> None:
    """Until every panel has its first data, no update is running and every chart is drawn;
    not `everywhere`: every chart in view."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if page.evaluate(SETTLED, everywhere):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"the screen did not settle within {timeout_s} s: {page.url}")


def go(page: Page, path: str) -> None:
    """To another screen inside the app, as people move: no page load. Waits until it is whole.
    For another path only; with another query alone the screen stays and its panels follow."""

    def brings_it(response: Response) -> bool:
        return '"output":"page.children"' in (response.request.post_data or "")

    with page.expect_response(brings_it):
        page.evaluate("path => window.gatelens.go(path)", path)
    # The old screen is settled, too, until the answer is drawn.
    page.evaluate("() => new Promise((then) => requestAnimationFrame(() => setTimeout(then, 0)))")
    wait_for_screen(page)


def exact_number(page: Page, element_id: str) -> float:
    """The `data-value` of a number on the screen."""
    value = page.locator(f"[id='{element_id}']").get_attribute("data-value")
    assert value, f"no number under id {element_id}"
    return float(value)


class Troubles:
    """What the browser complains about while a page is open: a test asserts there is nothing."""

    def __init__(self, page: Page) -> None:
        self.seen: list[str] = []
        page.on("console", lambda m: self.seen.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda err: self.seen.append(str(err)))
        page.on("requestfailed", self._failed)
        page.on(
            "response",
            lambda r: self.seen.append(f"{r.status} {r.url}") if r.status >= 400 else None,
        )

    def _failed(self, request: Request) -> None:
        # Leaving a page cancels what it was still loading.
        if "ERR_ABORTED" not in (request.failure or ""):
            self.seen.append(f"failed: {request.url}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=quickest_path(), args=[*launch_arguments(), ONE_RENDERER]
        )
        yield running
        running.close()


@pytest.fixture(scope="session")
def browser_context(browser: Browser) -> Iterator[BrowserContext]:
    """One context for all pages, so that the framework's files are loaded and parsed once."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, color_scheme="dark", reduced_motion="reduce"
    )
    context.set_default_navigation_timeout(60_000)
    kept = context.new_page()
    kept.route(KEPT, lambda route: route.fulfill(body="kept"))
    kept.goto(KEPT)
    yield context
    context.close()


@pytest.fixture
def page(browser_context: BrowserContext) -> Iterator[Page]:
    """A fresh page in the dark theme, 1440 x 900, with nothing stored."""
    opened = browser_context.new_page()
    yield opened
    if opened.url.startswith("http"):
        opened.evaluate("() => localStorage.clear()")
    opened.close()
