"""What people do once they look closer: choose numbers, compare, search, change the zone."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, timedelta
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser import exact_number, go, wait_for_screen
from tests.dashboards.canaries import PAYLOADS, RANGE, TRACE
from tests.dashboards.conftest import Running
from tests.dashboards.telemetry import SLOW, TRACES, trace_id
from tests.dashboards.test_browser import HOUR, opened

pytestmark = pytest.mark.browser


def test_the_chosen_number_of_an_api_is_drawn_and_kept_in_the_url(
    page: Page, server: Running
) -> None:
    mine = [c for c in server.calls if c.api == "orders"]
    troubles = opened(page, server, f"/apis/orders?{HOUR}")

    expect(page.locator("#api-main-head h2")).to_have_text("Requests")
    page.locator("[data-gl-set='show=errors']").click()
    expect(page.locator("#api-main-head h2")).to_have_text("Error rate")
    expect(page.locator("[id*=api-main] .legendtext").first).to_contain_text("server errors")
    page.locator("[data-gl-set='failures=consumer']").click()
    row = page.locator("#api-failures tbody tr").filter(has_text="app-1")
    failed = sum(c.status_code >= 500 and c.consumer == "app-1" for c in mine)
    expect(row.locator(".gl-num").first).to_have_attribute("data-value", str(failed))
    assert "show=errors" in page.url
    assert "failures=consumer" in page.url

    within = sum(c.duration_ms <= 500 and c.status_code < 500 for c in mine)
    assert exact_number(page, "api-apdex") == pytest.approx(within / len(mine), abs=0.02)
    assert page.locator("[id='api-histogram'] .trace, [id='api-histogram'] .point").count() > 3
    assert troubles.seen == []


def test_a_click_on_a_chart_pins_the_moment_and_leads_to_its_requests(
    page: Page, server: Running
) -> None:
    troubles = opened(page, server, f"/?{HOUR}")
    chart = page.locator("[id*='time-graph'] .nsewdrag").first
    chart.scroll_into_view_if_needed()
    pin = page.locator(".gl-pin")

    chart.click()
    expect(pin).to_have_count(1)
    expect(pin.locator(".gl-pin-row").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(pin).to_have_count(0)

    chart.click()
    expect(page.locator("[id*='time-graph'] .hoverlayer > *")).to_have_count(0)
    moment = pin.locator(".gl-pin-head b").inner_text()
    page.evaluate("() => { window.gatelens.refreshNow = true; }")
    expect(pin.locator(".gl-pin-head b")).to_have_text(moment)
    pin.get_by_role("button", name="Raw requests").click()
    expect(page).to_have_url(re.compile("/requests\\?"))
    assert f"from={moment.replace(' ', 'T')}:00" in page.url.replace("%3A", ":")
    assert troubles.seen == []


def test_numbers_lead_on_and_keep_range_and_filters(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/?{HOUR}&consumer=app-1")

    page.locator("#home-error-rate-link").click()
    wait_for_screen(page)
    assert "/apis?from=now-1h" in page.url
    assert "consumer=app-1" in page.url
    expect(page.locator("#apis-grid .ag-header-cell[col-id='error_rate']")).to_have_attribute(
        "aria-sort", "descending"
    )
    assert troubles.seen == []


def test_consumers_are_seen_by_group_and_looked_at_beside_the_table(
    page: Page, server: Running
) -> None:
    troubles = opened(page, server, f"/consumers?{HOUR}")

    assert page.locator(".gl-tm-area").count() == len({c.consumer for c in server.calls} - {None})
    assert exact_number(page, "consumers-new") == len({c.consumer for c in server.calls} - {None})
    page.get_by_role("button", name="Look at app-2").click()
    drawer = page.get_by_role("complementary", name="Consumer app-2")
    expect(drawer).to_contain_text("No quota limits this consumer")
    failed = Counter(
        (c.status_code, c.route)
        for c in server.calls
        if c.consumer == "app-2" and c.status_code >= 400
    )
    (_, most), *_ = failed.most_common(1)
    expect(drawer.locator("tbody tr").first.locator(".gl-num")).to_have_attribute(
        "data-value", str(most)
    )
    drawer.get_by_role("button", name="Close").click()
    expect(drawer).to_have_count(0)
    page.locator(".gl-tm-area").first.click()
    expect(page.locator("#consumer-requests")).to_be_visible()
    assert troubles.seen == []


def test_traces_are_found_by_an_attribute_and_compared_with_a_typical_one(
    page: Page, server: Running
) -> None:
    troubles = opened(page, server, f"/traces?{HOUR}&q={quote('carrier=north duration_ms>=100')}")

    expect(page.locator("#traces-sub")).to_contain_text(f"{SLOW} traces")
    page.get_by_role("button", name="Errors", exact=True).click()
    expect(page.locator("#traces-heat .legendtext").first).to_have_text("failed")
    page.evaluate("path => window.gatelens.go(path)", f"/traces/{trace_id(TRACES - 1)}?{HOUR}")
    expect(page.locator("#trace-grid")).to_contain_text("100")
    page.get_by_role("button", name="A typical one of its kind").click()
    row = page.locator("#trace-compared tbody tr").first
    expect(row).to_contain_text("list orders")
    expect(row.locator(".gl-num.bad").first).to_have_attribute("data-value", "1980.0")
    assert troubles.seen == []


def test_a_log_record_is_seen_in_its_context_and_facets_narrow(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/logs?{HOUR}&q=failed")

    expect(page.locator("#logs-sub")).to_contain_text(f"{SLOW} records")
    page.locator("#logs-grid").get_by_role("link", name="context").first.click()
    expect(page.locator("#logs-sub")).to_contain_text("UTC")
    expect(page.locator("#logs-grid .ag-row.focus")).to_have_count(1)
    page.evaluate("path => window.gatelens.go(path)", f"/logs?{HOUR}")
    page.locator("#logs-facets").get_by_role("button", name="orders-service").click()
    expect(page.locator("#logs-sub")).to_contain_text(f"{TRACES} records")
    assert "service=orders-service" in page.url
    assert troubles.seen == []


def test_times_follow_the_chosen_zone_and_links_stay_in_utc(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/requests?{HOUR}&tz=Asia/Kolkata")

    newest = max(c.time for c in server.calls).astimezone(UTC) + timedelta(hours=5, minutes=30)
    expect(page.locator("#requests-grid .ag-cell[col-id='time']").first).to_contain_text(
        newest.strftime("%H:%M:%S")
    )
    expect(page.locator("#freshness")).to_contain_text("Asia/Kolkata")
    to_utc = "text => window.gatelens.toUtc(text)"
    assert page.evaluate(to_utc, "2026-11-21 05:30:00") == "2026-11-21T00:00:00"
    page.get_by_label("Time range").click()
    page.locator("#zone-choice").select_option("UTC")
    expect(page.locator("#freshness")).to_contain_text("UTC")
    assert "tz=UTC" in page.url
    assert troubles.seen == []


SCREENS = (
    "/", "/apis", f"/apis/{quote(PAYLOADS[1], safe='')}", "/consumers",
    f"/consumers/{quote(PAYLOADS[1], safe='')}", "/products", "/requests", "/traces",
    f"/traces/{TRACE}", "/services", "/logs", "/explorer", "/alerts", "/operate",
)  # fmt: skip


def test_no_string_of_telemetry_becomes_more_than_text(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/sql?{RANGE}")

    for path in SCREENS:
        go(page, f"{path}?{RANGE}")
        assert page.evaluate("() => window.canary") is None, path
        planted = "[onerror], [onload], [srcdoc], #page script, a[href^='javascript:']"
        assert page.locator(planted).count() == 0, path
        assert page.get_by_role("alert").count() == 0, path
    assert troubles.seen == []


def test_a_slow_question_is_said_to_be_slow_and_then_answered(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/alerts?{HOUR}")
    held: list[Route] = []

    page.clock.install()
    page.route("**/_dash-update-component*", lambda route: held.append(route))
    page.keyboard.press("r")
    page.clock.run_for(6_000)
    expect(page.locator("#gl-slow")).to_be_visible()
    page.unroute("**/_dash-update-component*")  # lets those that are held go on
    assert held
    page.clock.run_for(1_000)
    expect(page.locator("#gl-slow")).to_be_hidden()
    assert troubles.seen == []
