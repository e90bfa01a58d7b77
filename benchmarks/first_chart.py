"""Time from `git clone` to the first chart a newcomer sees, in a real browser.

    make bench-first-chart

Clones the committed state of this checkout into a temporary folder, runs `make demo` there on free
ports and waits until the home screen has drawn live traffic. Package downloads count; what the
package manager has cached from before makes them quick, which the printed line says.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Error, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser import chromium_path, launch_arguments  # noqa: E402  (needs the path above)
from tests.e2e.installation import free_port  # noqa: E402

GIVE_UP_AFTER_S = 300.0
DRAWN = ".js-plotly-plot .scatterlayer .trace"


def wait_for_chart(page: Page, url: str, deadline: float) -> None:
    """Reload until the server is there and a trace is drawn."""
    while True:
        try:
            page.goto(url, wait_until="domcontentloaded", timeout=5_000)
            page.locator(DRAWN).first.wait_for(state="attached", timeout=15_000)
            return
        except Error:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def main() -> None:
    ports = {
        "GATELENS_COLLECTOR_HTTP_PORT": str(free_port()),
        "GATELENS_COLLECTOR_GRPC_PORT": str(free_port()),
        "GATELENS_DASHBOARD_PORT": str(free_port()),
    }
    url = f"http://127.0.0.1:{ports['GATELENS_DASHBOARD_PORT']}/"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=launch_arguments()
        )
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        started = time.monotonic()
        subprocess.run(["git", "clone", "-q", str(ROOT), f"{folder}/gatelens"], check=True)
        cloned = time.monotonic()
        demo = subprocess.Popen(
            ["make", "demo"],
            cwd=f"{folder}/gatelens",
            env={**os.environ, **ports},
            start_new_session=True,
        )
        try:
            wait_for_chart(page, url, started + GIVE_UP_AFTER_S)
            shown = time.monotonic()
        finally:
            os.killpg(demo.pid, signal.SIGINT)
            stopping = time.monotonic()
            demo.wait(timeout=30)
        browser.close()
    print(
        "git clone   install + start + first chart   whole   stop\n"
        f"{cloned - started:8.1f} s {shown - cloned:27.1f} s {shown - started:8.1f} s "
        f"{time.monotonic() - stopping:5.1f} s"
    )


if __name__ == "__main__":
    main()
