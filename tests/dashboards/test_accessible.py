"""Every screen before axe-core (WCAG 2.2 A and AA: names, roles, contrast, focus), both themes."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from dashboards.theme import Mode, tokens
from tests.browser import go
from tests.dashboards.conftest import Running
from tests.dashboards.telemetry import TRACES, trace_id
from tests.dashboards.test_browser import HOUR, opened

SCREENS = (
    "/", "/dashboards", "/dashboards/t-api-product-health", "/apis", "/apis/orders", "/consumers",
    "/consumers/app-1", "/products", "/reports", "/requests", "/traces",
    f"/traces/{trace_id(TRACES - 1)}", "/services", "/logs", "/explorer", "/sql", "/alerts",
    "/alerts/rules", "/alerts/rules/new", "/alerts/delivery", "/operate", "/admin",
)  # fmt: skip

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
         "resultTypes": ["violations"]}  # fmt: skip


EXCEPT = [
    # Dash's own radio buttons, check boxes and dropdowns: native inputs inside labels, which its
    # components call a listbox of options; they take no names and roles from us.
    [".dash-options-list"], [".dash-dropdown-focus-target"],
]  # fmt: skip
SMALL = "target-size: .*gl-tm-area"
"""Areas of a treemap are as small as what they stand for; the table beside it has all of them."""


def violations(page: Page) -> list[str]:
    """'rule: selector' of every element that breaks one."""
    found = Axe().run(page, {"exclude": EXCEPT}, RULES).response["violations"]
    told = [f"{v['id']}: {n['target']} {n['html'][:120]}" for v in found for n in v["nodes"]]
    return [line for line in told if not re.match(SMALL, line)]


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_screens_pass_axe(page: Page, server: Running, theme: str) -> None:
    opened(page, server, f"/sql?{HOUR}&theme={theme}")
    told = {}
    for path in SCREENS:
        go(page, f"{path}?{HOUR}&theme={theme}")
        assert page.locator("html").get_attribute("data-scheme") == theme
        if wrong := violations(page):
            told[path] = wrong
    assert told == {}


def _light(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((_light(one), _light(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("name", ["text", "muted", "faint", "accent", "good", "warn", "bad"])
def test_every_colour_of_text_can_be_read_on_every_ground(mode: Mode, name: str) -> None:
    look = tokens(mode)
    for ground in (look.bg, look.surface, look.raised):
        assert contrast(getattr(look, name), ground) >= 4.5, ground
