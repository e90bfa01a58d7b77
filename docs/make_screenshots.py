"""Screenshots for the documentation, taken from the running demo: `make screenshots`.

    python docs/make_screenshots.py [URL]

Starts `gatelens demo` on free ports in a temporary folder, waits until its incident is on the
screens, and photographs each page in both themes with a headless Chromium. With a URL: of a demo
that already runs and shows its incident.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from playwright.sync_api import Page, Playwright, sync_playwright

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from tests.browser import chromium_path, launch_arguments, wait_for_screen  # noqa: E402  (needs the path above)
from tests.e2e.installation import free_port  # noqa: E402

INCIDENT_SEEN_AFTER_S = 150
SCREEN_WITHIN_S = 60.0
"""The demo itself takes most of a small machine."""
VIEWPORT = {"width": 1440, "height": 900}
PAGES = {
    "home": "/?from=now-30m",
    "apis": "/apis?from=now-24h",
    "api-detail": "/apis/payments?from=now-30m",
    "consumers": "/consumers?from=now-24h",
    "consumer": "/consumers/driftwood-sandbox?from=now-1h",
    "products": "/products",
    "dashboards": "/dashboards",
    "dashboard": "/dashboards/t-api-product-health?from=now-24h",
    "reports": "/reports?period=day",
    "requests": "/requests?from=now-30m",
    "traces": "/traces?from=now-30m",
    "services": "/services?from=now-30m",
    "logs": "/logs?from=now-30m",
    "explorer": "/explorer?from=now-15m",
    "sql": "/sql",
    "alerts": "/alerts",
    "rules": "/alerts/rules",
    "rule": "/alerts/rules/new?measure=error_rate&api=payments",
    "delivery": "/alerts/delivery",
    "operate": "/operate?from=now-30m",
    "admin": "/admin",
    "board-edit": "/dashboards/t-api-product-health?from=now-24h&edit=1",
}


def photograph(page: Page, url: str, name: str, theme: str) -> None:
    page.goto(url)
    wait_for_screen(page, SCREEN_WITHIN_S, everywhere=False)
    if name == "rule":
        page.click("#rule-try")
        wait_for_screen(page, SCREEN_WITHIN_S, everywhere=False)
    page.wait_for_timeout(1_500)  # charts draw after their data has come
    page.screenshot(path=DOCS / "img" / f"{name}-{theme}.png")


def main() -> None:
    if len(sys.argv) > 1:
        with sync_playwright() as playwright:
            photograph_all(playwright, sys.argv[1].rstrip("/"))
        return
    port = free_port()
    ports = {
        "GATELENS_COLLECTOR_HTTP_PORT": str(free_port()),
        "GATELENS_COLLECTOR_GRPC_PORT": str(free_port()),
        "GATELENS_DASHBOARD_PORT": str(port),
    }
    base = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        demo = subprocess.Popen(
            [sys.executable, "-m", "gatelens", "demo", "--data", f"{folder}/data"],
            env={**os.environ, **ports},
        )
        try:
            deadline = time.monotonic() + 120
            while not _ready(base):
                if time.monotonic() > deadline:
                    raise SystemExit("the demo did not come up")
                time.sleep(0.5)
            time.sleep(INCIDENT_SEEN_AFTER_S)
            photograph_all(playwright, base)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(timeout=15)


def photograph_all(playwright: Playwright, base: str) -> None:
    browser = playwright.chromium.launch(executable_path=chromium_path(), args=launch_arguments())
    for theme in ("dark", "light"):
        context = browser.new_context(viewport=VIEWPORT, device_scale_factor=1, color_scheme=theme)
        page = context.new_page()
        for name, path in PAGES.items():
            photograph(page, base + path, name, theme)
        context.close()
    browser.close()


def _ready(base: str) -> bool:
    try:
        return httpx.get(f"{base}/readyz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    main()
