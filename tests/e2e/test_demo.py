"""What a newcomer sees: the demo from an empty folder, its incident, its end, its next start."""

from __future__ import annotations

import json
import signal
import time

import pytest
from playwright.sync_api import Page

from tests.browser import Troubles, exact_number, wait_for_screen
from tests.e2e.installation import Installation, wait_until

LIVE_WITHIN_S = 10.0
"""From the servers being up to live traffic, latency and errors on the home screen."""

STOPPED_WITHIN_S = 5.0

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def opened(page: Page, installation: Installation, path: str) -> None:
    page.goto(installation.dashboard + path)
    wait_for_screen(page)


def said(installation: Installation) -> str:
    return (installation.data / "demo.out").read_text()


def firing(installation: Installation) -> set[str]:
    """Rules of the firing notices that reached the local sink."""
    path = installation.data / "notifications.jsonl"
    if not path.exists():
        return set()
    notices = [json.loads(line) for line in path.read_text().splitlines()]
    return {
        alert["labels"]["alertname"]
        for notice in notices
        for alert in notice["alerts"]
        if alert["status"] == "firing" and alert["labels"].get("api") == "payments"
    }


@pytest.mark.timeout(600)
def test_the_demo_shows_live_traffic_an_incident_and_its_alert(
    installation: Installation, page: Page
) -> None:
    demo = installation.start("demo", "--days", "1")
    wait_until(lambda: "Gatelens is up" in said(installation), 120, installation.output)
    up = time.monotonic()
    assert installation.dashboard in said(installation)

    troubles = Troubles(page)
    opened(page, installation, "/?from=now-5m&refresh=5s")
    while not (
        page.locator(".js-plotly-plot .scatterlayer .trace").count()
        and exact_number(page, "home-requests") > 0
    ):
        assert time.monotonic() - up < LIVE_WITHIN_S
        time.sleep(0.2)
    assert exact_number(page, "home-p95") > 0
    assert exact_number(page, "home-error-rate") >= 0

    wait_until(lambda: "api-error-ratio" in firing(installation), 150, installation.output)
    opened(page, installation, "/alerts")
    assert exact_number(page, "alerts-firing") >= 1
    assert page.get_by_text("payments").count() > 0
    assert "notification FIRING api-error-ratio" in said(installation)
    assert troubles.seen == []

    seconds = stop(demo.pid, installation)
    assert seconds < STOPPED_WITHIN_S
    [before] = installation.sql("SELECT count(*) AS n FROM requests")

    installation.processes.clear()
    installation.start("demo", "--days", "1")
    installation.wait_for_row(
        f"SELECT count(*) > {before['n']} AS more FROM requests", {"more": True}, timeout_s=60
    )


def stop(pid: int, installation: Installation) -> float:
    """Ctrl-C; the seconds until all of it is gone."""
    [process] = [p for p in installation.processes if p.pid == pid]
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0
    return time.monotonic() - started
