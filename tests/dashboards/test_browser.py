from __future__ import annotations

import re
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Troubles, exact_number, go, wait_for_screen
from tests.dashboards.conftest import Running
from tests.dashboards.known import HOSTILE_API, Call, rank

pytestmark = pytest.mark.browser

HOUR = "from=now-1h&refresh=off"


def opened(page: Page, server: Running, path: str) -> Troubles:
    troubles = Troubles(page)
    page.goto(server.url + path)
    wait_for_screen(page)
    return troubles


def server_errors(calls: list[Call]) -> int:
    return sum(1 for c in calls if c.status_code >= 500)


def test_home_shows_the_numbers_that_were_sent(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/?{HOUR}&theme=dark")

    assert exact_number(page, "home-requests") == len(server.calls)
    assert exact_number(page, "home-error-rate") == server_errors(server.calls) / len(server.calls)
    p95 = rank([c.duration_ms for c in server.calls], 0.95)
    assert exact_number(page, "home-p95") == pytest.approx(p95, rel=0.01)
    assert exact_number(page, "home-consumers") == len({c.consumer for c in server.calls} - {None})
    assert exact_number(page, "home-completeness") == 1.0
    by_api = Counter(c.api for c in server.calls)
    assert exact_number(page, "mover-requests-orders") == by_api["orders"]
    assert page.locator("html").get_attribute("data-scheme") == "dark"
    expect(page.locator(".js-plotly-plot .scatterlayer .trace").nth(3)).to_be_attached()
    assert troubles.seen == []


def test_api_page_shows_usage_errors_and_quantiles_of_that_api(page: Page, server: Running) -> None:
    mine = [c for c in server.calls if c.api == "orders"]
    troubles = opened(page, server, f"/apis/orders?{HOUR}")

    assert exact_number(page, "api-requests") == len(mine)
    assert exact_number(page, "api-error-rate") == server_errors(mine) / len(mine)
    for name, quantile in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        expected = rank([c.duration_ms for c in mine], quantile)
        assert exact_number(page, f"api-{name}") == pytest.approx(expected, rel=0.01)
    gateway = rank([c.duration_ms - c.upstream_ms for c in mine], 0.95)
    assert exact_number(page, "api-gateway-p95") == pytest.approx(gateway, rel=0.01)
    for code, count in Counter(c.status_code for c in mine if c.status_code >= 400).items():
        assert exact_number(page, f"api-code-{code}") == count
    assert troubles.seen == []


def test_charts_foresee_the_room_their_labels_take(page: Page, server: Running) -> None:
    """Given too little, the whole chart would be drawn twice."""
    # Labels are ten minutes apart: five from the end, none stands over the chart's edge, where what
    # Plotly does changes with every pixel.
    end = datetime.fromtimestamp((time.time() + 300) // 600 * 600 + 300, UTC)
    span = f"from={end - timedelta(hours=1):%Y-%m-%dT%H:%M}&to={end:%Y-%m-%dT%H:%M}"
    opened(page, server, f"/apis/orders?{span}&refresh=off")
    rooms = page.evaluate(
        """() => [...document.querySelectorAll('.js-plotly-plot')].map((chart) => chart._fullLayout)
            .filter((layout) => layout.xaxis && layout.xaxis.visible !== false)
            .map((layout) => ['l', 'r', 't', 'b'].map((k) => layout._size[k] - layout.margin[k]))"""
    )
    assert len(rooms) >= 4
    assert all(abs(more) < 0.5 for room in rooms for more in room), rooms


def test_a_click_narrows_the_page_and_the_back_button_widens_it(
    page: Page, server: Running
) -> None:
    troubles = opened(page, server, f"/apis/orders?{HOUR}")
    mine = [c for c in server.calls if c.api == "orders"]

    page.locator("[data-gl-set='route=%2Ford%2F%7Bid%7D']").click()
    narrowed = sum(1 for c in mine if c.route == "/ord/{id}")
    expect(page.locator("#api-requests")).to_have_attribute("data-value", str(narrowed))
    assert "route=" in page.url
    page.go_back()
    expect(page.locator("#api-requests")).to_have_attribute("data-value", str(len(mine)))
    assert troubles.seen == []


def test_apis_lists_every_api_and_its_links_keep_the_range(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/apis?{HOUR}")

    for api, count in Counter(c.api for c in server.calls).items():
        cell = page.locator(f'[data-field="requests"][data-row="{api}"]')
        expect(cell).to_have_attribute("data-value", str(count))
    assert exact_number(page, "apis-requests") == len(server.calls)
    page.get_by_role("link", name="orders").click()
    expect(page.locator("#api-requests")).to_be_visible()
    assert page.url.startswith(f"{server.url}/apis/orders?from=now-1h")
    assert troubles.seen == []


def test_telemetry_that_tries_to_run_a_script_is_shown_as_text(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/?{HOUR}")
    expect(page.get_by_role("link", name=HOSTILE_API)).to_be_visible()

    go(page, f"/apis/{quote(HOSTILE_API, safe='')}?{HOUR}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE_API)
    assert exact_number(page, "api-requests") == sum(c.api == HOSTILE_API for c in server.calls)
    assert page.locator("img[onerror]").count() == 0
    assert troubles.seen == []


def test_time_picker_writes_the_url_and_every_panel_follows(page: Page, server: Running) -> None:
    opened(page, server, f"/?{HOUR}")

    page.get_by_label("Time range").click()
    page.get_by_role("button", name="Last 24 hours").click()
    expect(page.locator("#range-label")).to_have_text("Last 24 hours")
    expect(page.locator("#home-sub")).to_contain_text("Last 24 hours")
    assert "from=now-24h" in page.url
    assert page.locator("#home-apis-link").get_attribute("href").startswith("/apis?from=now-24h")


def test_theme_is_kept_over_a_reload(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/?{HOUR}")

    page.get_by_label("Theme").click()
    page.get_by_role("button", name="Light").click()
    expect(page.locator("html")).to_have_attribute("data-scheme", "light")
    page.reload()
    wait_for_screen(page)
    expect(page.locator("html")).to_have_attribute("data-scheme", "light")
    assert exact_number(page, "home-requests") == len(server.calls)
    expect(page.locator(".js-plotly-plot .scatterlayer .trace").nth(3)).to_be_attached()
    assert troubles.seen == []


def test_unusable_link_shows_the_default_and_says_so(page: Page, server: Running) -> None:
    troubles = opened(page, server, "/?from=yesterdayish&to=%3Cscript%3E")

    expect(page.get_by_role("status")).to_contain_text("cannot be used")
    assert exact_number(page, "home-requests") == len(server.calls)
    assert troubles.seen == []


def test_consumers_page_counts_named_and_anonymous(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/consumers?{HOUR}")

    assert exact_number(page, "consumers-active") == len(
        {c.consumer for c in server.calls} - {None}
    )
    anonymous = sum(1 for c in server.calls if c.consumer is None)
    assert exact_number(page, "consumers-anonymous") == anonymous / len(server.calls)
    cell = page.locator('[data-field="requests"][data-row="app-1"]')
    mine = sum(1 for c in server.calls if c.consumer == "app-1")
    expect(cell).to_have_attribute("data-value", str(mine))
    assert troubles.seen == []


ENDLESS = "SELECT sum(a.i * b.i) FROM range(100000000) a(i), range(100000000) b(i)"


def test_sql_page_runs_a_statement_and_explains_a_refusal(page: Page, server: Running) -> None:
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.post_data or ""))
    troubles = opened(page, server, "/sql")
    # Nothing runs before somebody asks, so nothing says that it does.
    expect(page.locator("#sql-result")).to_have_text("Press Run to ask.")
    assert not [body for body in asked if "sql-result" in body]

    page.locator("#sql-text").fill("SELECT count(*) AS n FROM requests WHERE source = 'nginx'")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("gridcell", name=str(len(server.calls)))).to_be_visible()
    expect(page.locator("#sql-status")).to_contain_text("out of")
    page.locator("#sql-text").fill(ENDLESS)
    page.locator("#sql-run").click()
    expect(page.locator("#sql-running")).to_contain_text("Running for")
    page.locator("#sql-cancel").click()
    expect(page.locator("#sql-status")).to_contain_text("cancelled")
    page.locator(".gl-schema summary").first.click()
    expect(page.locator(".gl-schema")).to_contain_text("DOUBLE, ms")
    page.get_by_role("button", name="Example").first.click()
    expect(page.locator("#sql-text")).to_have_value(re.compile("FROM requests"))
    page.locator("#sql-text").fill("DROP TABLE requests")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#sql-status")).to_contain_text("Only SELECT is allowed")
    # On a crowded machine the page asks how far a statement is before it began or long after.
    assert [seen for seen in troubles.seen if "404" not in seen] == []


def test_a_statement_saved_by_name_is_found_again_and_can_be_deleted(
    page: Page, server: Running
) -> None:
    troubles = opened(page, server, "/sql")
    page.locator("#sql-text").fill("SELECT 17")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_label("Name of the statement").fill("seventeen")
    page.get_by_label("Everybody who may ask in SQL finds it").check()
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.locator("#gl-toast")).to_contain_text("Saved as seventeen.")

    opened(page, server, "/sql")
    page.get_by_role("button", name="Saved and history").click()
    page.get_by_role("button", name="seventeen shared").click()
    expect(page.locator("#sql-text")).to_have_value("SELECT 17")
    page.get_by_role("button", name="Saved and history").click()
    page.get_by_role("button", name="Delete seventeen").click()
    expect(page.locator("#gl-toast")).to_contain_text("seventeen is deleted.")
    page.get_by_role("button", name="Saved and history").click()
    expect(page.get_by_role("dialog")).to_contain_text("Save keeps a statement by name")
    assert troubles.seen == []


def test_empty_installation_says_how_to_get_data_in(page: Page, empty_server: Running) -> None:
    troubles = opened(page, empty_server, "/")

    expect(page.locator("#empty-installation")).to_contain_text("OTEL_EXPORTER_OTLP_ENDPOINT")
    assert exact_number(page, "home-requests") == 0
    for path in (
        "/apis",
        "/alerts",
        "/apis/nothing",
        "/consumers",
        "/consumers/nobody",
        "/products",
        "/requests",
        "/traces",
        "/traces/abc",
        "/services",
        "/logs",
        "/explorer",
        "/sql",
        "/operate",
        "/dashboards",
        "/dashboards/t-api-product-health",
        "/reports",
        "/alerts/rules",
        "/alerts/rules/new",
        "/alerts/delivery",
        "/admin",
    ):
        go(page, path)
        assert page.get_by_role("alert").count() == 0, path
        text = page.locator("#page").inner_text()
        assert "NaN" not in text and "None" not in text, path
        if path in ("/traces", "/services", "/logs", "/explorer"):
            assert "OTEL_EXPORTER_OTLP_ENDPOINT" in text, path
            assert page.locator(".gl-stat-value").count() == 6, path
    assert troubles.seen == []
