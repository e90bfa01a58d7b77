"""Screens for spans and logs with rows in them, and what people do on them, in a real browser."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from alerting.rules import parse_rules
from alerting.stored_rules import as_file
from dashboards.format import THIN
from tests.browser import exact_number, go, wait_for_screen
from tests.dashboards.conftest import Running
from tests.dashboards.telemetry import SLOW, TRACES, trace_id
from tests.dashboards.test_browser import HOUR, opened

pytestmark = pytest.mark.browser


def test_traces_are_listed_searched_and_opened(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/traces?{HOUR}&errors=1")

    expect(page.locator("#traces-sub")).to_contain_text(f"{SLOW} traces")
    page.locator("#traces-grid a.gl-name").first.click()
    expect(page.locator("#trace-sub")).to_contain_text("2 spans · 2 services · 2")
    expect(page.locator("#trace-grid")).to_contain_text("list orders")
    page.locator("#trace-grid").get_by_role("button", name="list orders").click()
    span = page.get_by_role("complementary", name="Span list orders")
    expect(span).to_contain_text("orders-service")
    expect(span.get_by_role("link", name="north")).to_have_attribute(
        "href", re.compile(r"/traces\?from=now-1h.*q=carrier%3Dnorth")
    )
    span.get_by_role("button", name="Close").click()
    expect(span).to_have_count(0)
    page.get_by_role("link", name="Its logs").click()
    expect(page.locator("#logs-sub")).to_contain_text("1 records")
    expect(page.locator("#logs-grid")).to_contain_text("failed")
    page.locator("#logs-grid .gl-message").first.click()
    record = page.get_by_role("complementary", name="Log record of orders-service")
    expect(record).to_contain_text(f"order {TRACES - 1} failed")
    expect(record).to_contain_text(trace_id(TRACES - 1))
    assert troubles.seen == []


def test_a_box_on_the_heat_map_names_what_is_different_in_it(page: Page, server: Running) -> None:
    now = server.data.clock()
    start, end = now - timedelta(minutes=20), now + timedelta(minutes=1)
    box = f"{start:%Y-%m-%dT%H:%M:%S},{end:%Y-%m-%dT%H:%M:%S},25,60"
    troubles = opened(page, server, f"/traces?{HOUR}&box={box}")

    facts = page.locator("#traces-different tbody tr")
    expect(facts.filter(has_text="carrier north")).to_contain_text("100")
    assert facts.filter(has_text="carrier south").count() == 0
    assert troubles.seen == []


def test_services_show_who_calls_whom(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/services?{HOUR}")

    expect(page.locator("#services-sub")).to_contain_text("2 services")
    row = page.locator("#services-red tbody tr").filter(has_text="orders-service")
    expect(row).to_contain_text(f"{SLOW / TRACES * 100:.0f}")
    service_map = page.locator("#services-map")
    expect(service_map).to_contain_text("orders-service")
    expect(service_map).to_contain_text("/s")  # how often it is called stands on the line
    page.locator("#services-by").get_by_role("button", name="Host").click()
    expect(page.locator("#services-red thead")).to_contain_text("Host")
    expect(row).to_have_count(1)
    # a click on a service leads to its traces
    page.evaluate(
        """() => document.querySelector('#services-map .js-plotly-plot').emit('plotly_click', {
            points: [{customdata: 'orders-service', curveNumber: 0, pointNumber: 0}]})"""
    )
    expect(page).to_have_url(re.compile("/traces.*service=orders-service"))
    assert troubles.seen == []


def test_logs_count_services_and_patterns(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/logs?{HOUR}")

    expect(page.locator("#logs-sub")).to_contain_text(f"{TRACES} records")
    pattern = page.locator("#logs-patterns tbody tr").filter(has_text="order # failed")
    expect(pattern.locator(".gl-num").first).to_have_attribute("data-value", str(SLOW))
    page.get_by_role("button", name="Errors only").click()
    expect(page.locator("#logs-sub")).to_contain_text(f"{SLOW} records")
    link = page.locator("#logs-grid a").first
    expect(link).to_have_attribute(
        "href", f"/traces/{trace_id(TRACES - 1)}?from=now-1h&to=now&refresh=off"
    )
    assert troubles.seen == []


def test_live_tail_follows_the_newest_records_by_itself(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/logs?{HOUR}")

    page.get_by_role("button", name="Live tail").click()
    expect(page.locator("#logs-sub")).to_contain_text("Last 5 minutes")
    shown = parse_qs(urlsplit(page.url).query)
    assert (shown["from"], shown["refresh"]) == (["now-5m"], ["5s"])
    wait_for_screen(page)
    with page.expect_response(
        lambda answer: (
            "/_dash-update-component" in answer.url
            and "logs-grid" in (answer.request.post_data or "")
        ),
        timeout=20_000,
    ):
        pass  # asked anew, and nobody touched the page
    assert troubles.seen == []


DRAWN = """() => document.querySelector('[id*=metrics-chart].js-plotly-plot, [id*=metrics-chart] '
    + '.js-plotly-plot').data.filter((t) => t.mode !== 'markers').map((t) => [t.name,
      [...new Set(t.customdata.filter((v) => v !== '–'))].join()])"""


def test_a_metric_is_drawn_by_an_attribute_in_its_unit_and_leads_to_a_rule(
    page: Page, server: Running
) -> None:
    troubles = opened(page, server, f"/explorer?{HOUR}&metric=queue.size")

    assert page.evaluate(DRAWN) == [["orders-service", f"2{THIN}kB"]]
    page.locator("#metrics-by").get_by_role("button", name="queue", exact=True).click()
    expect(page.locator("#metrics-told")).to_contain_text("one line per queue")
    wait_for_screen(page)
    assert sorted(page.evaluate(DRAWN)) == [["fast", f"1{THIN}kB"], ["slow", f"3{THIN}kB"]]
    page.get_by_label("Actions of Over time").click()
    page.locator(".gl-pop[open]").get_by_role("button", name="Create alert").click()
    text = page.locator("#rule-text")
    expect(text).to_have_value(re.compile("name = 'queue.size'"))
    parse_rules(as_file(text.input_value()))
    assert troubles.seen == []


def test_filters_are_chips_and_values_come_from_the_data(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/?{HOUR}")
    mine = sum(1 for c in server.calls if c.consumer == "app-1")

    page.get_by_text("+ Filter").click()
    page.locator("#filter-bar").get_by_role("button", name="consumer").click()
    page.get_by_placeholder("Find consumer").fill("app-1")
    page.locator(".gl-pop-values").get_by_role("button", name="app-1").first.click()
    expect(page.locator("#home-requests")).to_have_attribute("data-value", str(mine))
    page.get_by_role("button", name="Remove filter consumer app-1").click()
    expect(page.locator("#home-requests")).to_have_attribute("data-value", str(len(server.calls)))
    assert troubles.seen == []


def test_palette_leads_to_a_consumer_and_its_numbers(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/?{HOUR}")
    mine = [c for c in server.calls if c.consumer == "app-2"]

    page.keyboard.press("Control+k")
    page.get_by_label("Search", exact=True).fill("app-2")
    page.get_by_role("option", name="app-2").click()
    expect(page.locator("#consumer-requests")).to_have_attribute("data-value", str(len(mine)))
    wait_for_screen(page)
    failed = sum(c.status_code >= 500 for c in mine)
    assert exact_number(page, "consumer-error-rate") == failed / len(mine)
    assert troubles.seen == []


def test_a_chart_leads_to_its_raw_requests_and_to_a_rule_that_loads(
    page: Page, server: Running
) -> None:
    troubles = opened(page, server, f"/apis/orders?{HOUR}&show=latency")
    page.get_by_label("Actions of Latency", exact=True).click()
    page.locator(".gl-pop[open]").get_by_role("button", name="Create alert").click()
    text = page.locator("#rule-text")
    expect(text).to_have_value(re.compile("orders-p95-ms"))
    (rule,) = parse_rules(as_file(text.input_value()))
    assert dict(rule.filters.active()) == {"api": ("orders",)}
    page.go_back()
    wait_for_screen(page)

    page.get_by_label("Actions of Answers by status").click()
    page.locator(".gl-pop[open]").get_by_role("button", name="Raw requests").click()
    expect(page.locator("#requests-sub")).to_contain_text(
        str(sum(c.api == "orders" for c in server.calls))
    )
    assert exact_number(page, "requests-requests") == sum(c.api == "orders" for c in server.calls)
    assert "api=orders" in page.url
    assert troubles.seen == []


def test_a_silence_is_made_listed_and_ended(page: Page, server: Running) -> None:
    troubles = opened(page, server, "/alerts?refresh=off")

    page.get_by_role("button", name="Silence", exact=True).click()
    expect(page.locator("#silence-said")).to_contain_text("author")
    page.locator("#silence-matchers").fill("api=orders")
    page.locator("#silence-reason").fill("moving house")
    page.locator("#silence-author").fill("Ada")
    page.get_by_role("button", name="Silence", exact=True).click()
    row = page.locator("#alerts-silences tbody tr")
    expect(row).to_contain_text("api=orders")
    (made,) = server.data.alerts.silences()
    assert (made.author, made.reason) == ("Ada", "moving house")
    expect(row).to_contain_text("silent now")
    row.get_by_role("button", name="End now").click()
    expect(page.locator("#alerts-silences")).to_contain_text("Nothing is silenced")

    page.locator("#silence-from").fill("4h")
    page.get_by_role("button", name="Silence", exact=True).click()
    expect(page.locator("#silence-said")).to_contain_text("It will be silent from")
    expect(row).to_contain_text("in 3")
    row.get_by_role("button", name="End now").click()
    expect(page.locator("#alerts-silences")).to_contain_text("Nothing is silenced")
    assert server.data.alerts.silences() == []
    assert troubles.seen == []


def test_on_call_screens_fit_a_phone(browser: Browser, server: Running) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    phone = context.new_page()
    troubles = opened(phone, server, f"/?{HOUR}")

    for path in ("/alerts", "/apis/orders", "/traces", "/"):
        go(phone, f"{path}?{HOUR}")
        assert phone.evaluate("() => document.documentElement.scrollWidth") <= 390, path
        assert phone.locator(".gl-stat, .gl-panel").first.is_visible(), path
    context.close()
    assert troubles.seen == []


def test_a_panel_that_fails_says_so_and_the_others_stay(
    page: Page, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise OSError("the state store is gone")

    monkeypatch.setattr(server.data.alerts, "active", broken)
    server.data.cache.forget("alerts")
    page.goto(f"{server.url}/?from=now-50m&refresh=off")

    expect(page.locator("#home-alerts").get_by_role("alert")).to_contain_text("request id")
    expect(page.locator("[id*=traffic] .trace").first).to_be_visible()


def test_a_server_that_is_gone_is_told_of(page: Page, server: Running) -> None:
    opened(page, server, f"/?{HOUR}")

    page.route("**/_dash-update-component*", lambda route: route.abort())
    page.get_by_label("Time range").click()
    page.get_by_role("button", name="Last 6 hours").click()
    expect(page.locator("#gl-offline")).to_be_visible()
    page.unroute("**/_dash-update-component*")
    page.keyboard.press("r")
    expect(page.locator("#gl-offline")).to_be_hidden()
