"""What people do once they look closer: choose numbers, compare, search, change the zone."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from analytics.report_schedules import ReportSchedule, ReportScheduleStore
from dashboards.custom.definition import Dashboard
from dashboards.custom.store import DashboardStore
from storage.audit import AuditEntry, write_audit
from storage.state import alert_history, alert_instances
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
    page.locator("button.gl-stat", has_text="Lost").click()
    expect(page.locator("#consumers-grid .ag-row")).to_have_count(0)
    page.locator("button.gl-stat", has_text="Active").click()
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


@pytest.fixture
def things(server: Running) -> Iterator[str]:
    """What people and rules made whose words are hostile, too; gives the id of the dashboard."""
    state, hostile = server.data.state, PAYLOADS[1]
    board = DashboardStore(state).create(Dashboard.model_validate(BOARD), author=hostile)
    schedule = ReportSchedule(audience="consumer", name=hostile, period="day", author=hostile)
    made = ReportScheduleStore(state).add(schedule, now=server.data.clock())
    silence = server.data.alerts.silence(
        [f"api={hostile}"], author=hostile, reason=hostile, duration_s=600
    )
    rule = server.data.desk.store.create(RULE, author=hostile)
    write_audit(state, AuditEntry("login", hostile, "failed", hostile, "user"))
    at = server.data.clock().timestamp()
    series = {
        "fingerprint": "e" * 64,
        "rule": hostile,
        "severity": "critical",
        "labels": json.dumps({"api": hostile, hostile: hostile}),
    }
    with state.begin() as writing:
        fired = {"state": "firing", "active_since": at, "fired_at": at, "updated_at": at}
        writing.execute(alert_instances.insert().values(**series, **fired))
        changed = {"from_state": "pending", "to_state": "firing", "at": at, "summary": hostile}
        writing.execute(alert_history.insert().values(**series, **changed))
    yield board.id
    with state.begin() as writing:
        for table in (alert_instances, alert_history):
            writing.execute(table.delete().where(table.c.fingerprint == "e" * 64))
    server.data.alerts.end_silence(silence)
    server.data.desk.store.delete(rule.name, author="test", seen=rule.version)
    ReportScheduleStore(state).remove(made.id)
    DashboardStore(state).delete(board.id)
    server.data.cache.forget("alerts")


BOARD = {
    "title": PAYLOADS[0],
    "description": PAYLOADS[2],
    "panels": [
        {"id": "text", "kind": "text", "title": PAYLOADS[1], "text": PAYLOADS[1] + PAYLOADS[5]},
        *(
            {
                "id": kind.replace("_", "-"),
                "kind": kind,
                "title": PAYLOADS[3],
                "source": {"measures": ["requests"], "by": ["api"]},
            }
            for kind in ("time_series", "bar", "table", "treemap")
        ),
    ],
}
RULE = f"""
name: hostile
measure: error_rate
group_by: [api]
window: 5m
condition: "> 0.99"
annotations: {{summary: {json.dumps(PAYLOADS[2])}}}
"""
ONE = quote(PAYLOADS[1], safe="")

SCREENS = (
    "/", "/apis", f"/apis/{ONE}", "/consumers", f"/consumers/{ONE}", "/products", "/requests",
    "/traces", f"/traces/{TRACE}", "/services", "/logs", "/explorer", "/alerts", "/operate",
    "/dashboards", "/dashboards/{board}", "/reports", "/alerts/rules", "/alerts/rules/hostile",
    f"/alerts/rules/new?measure=p95_ms&api={ONE}", "/alerts/delivery", "/admin",
)  # fmt: skip

TOLD = ("/dashboards/{board}", "/reports", "/alerts", "/admin")
"""Where what people and rules made is shown, word for word."""


NO_ALERT = """() => [...document.querySelectorAll("#page .js-plotly-plot")]
    .map((chart) => chart.closest(".gl-panel"))
    .filter((panel) => !panel.textContent.includes("Create alert"))
    .map((panel) => panel.innerText)"""
"""Panels with a chart that offer no rule about it; boards are what people make of them."""


def test_no_string_of_telemetry_or_of_people_becomes_more_than_text(
    page: Page, server: Running, things: str
) -> None:
    troubles = opened(page, server, f"/sql?{RANGE}")
    page.set_viewport_size({"width": 1280, "height": 900})

    for screen in SCREENS:
        path = screen.replace("{board}", things)
        span = HOUR if screen == "/admin" else RANGE  # the audit log has it now
        go(page, f"{path}{'&' if '?' in path else '?'}{span}")
        assert page.evaluate("() => window.canary") is None, path
        planted = "[onerror], [onload], [srcdoc*='script'], #page script, a[href^='javascript:']"
        assert page.locator(planted).count() == 0, path
        assert page.get_by_role("alert").count() == 0, path
        if "board" not in screen and not screen.startswith("/alerts/rules"):
            assert page.evaluate(NO_ALERT) == [], path
        if screen in TOLD:
            assert PAYLOADS[1] in page.locator("#page").inner_text(), path
        assert page.locator("div.gl-stat").count() == 0, f"{path}: a number that leads nowhere"
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 1280, path
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


def test_a_drag_across_a_chart_zooms_the_whole_screen_into_it(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/?{HOUR}&consumer=app-1")

    chart = page.locator("[id*='time-graph'] .nsewdrag").first
    chart.scroll_into_view_if_needed()
    place = chart.bounding_box()
    assert place is not None
    middle = place["y"] + place["height"] / 2
    page.mouse.move(place["x"] + place["width"] * 0.25, middle)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] * 0.75, middle, steps=8)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"from=20\d\d-"))
    wait_for_screen(page)
    ends = parse_qs(urlsplit(page.url).query)
    start, end = (datetime.fromisoformat(ends[name][0]) for name in ("from", "to"))
    assert timedelta(minutes=25) < end - start < timedelta(minutes=35)
    assert ends["consumer"] == ["app-1"], "filters stay"
    assert troubles.seen == []
