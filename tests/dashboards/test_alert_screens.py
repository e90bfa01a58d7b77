"""Rules made, tried and saved in a browser; channels tried; the pure parts on hostile text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from alerting.backtest import Backtest
from alerting.backtest import Page as WouldPage
from alerting.rules import parse_rules
from alerting.settings import AlertingSettings
from dashboards import identity
from dashboards.errors import Forbidden
from dashboards.figures.tried_rule import POINTS_MAX, tried_rule
from dashboards.pages.alert_delivery import layout as delivery_layout
from dashboards.pages.alert_rule import limit_of
from dashboards.panels.rule_form import asked_fields, draft_of
from dashboards.panels.rule_result import unit_formatter
from dashboards.panels.silence_panel import silence_form
from storage.audit import read_audit
from storage.settings import StorageSettings
from tests.alerting.world import running_sink
from tests.browser import Troubles, go, wait_for_screen
from tests.dashboards.conftest import Running, serving

HOUR = 3600.0
START = 1_790_000_000.0 - 1_790_000_000.0 % 3600


@pytest.fixture(scope="module")
def desk(
    tmp_path_factory: pytest.TempPathFactory, storage: StorageSettings
) -> Iterator[tuple[Running, list[dict]]]:
    """A server with one channel, over the known lake; and what the channel received."""
    channels = tmp_path_factory.mktemp("desk") / "channels.yaml"
    with running_sink() as sink:
        channels.write_text(
            f"channels:\n  - {{name: hook, type: webhook, url: '{sink.url}', "
            "allow_networks: [127.0.0.0/8]}\n  - {name: gone, type: slack, url: 'env:NOT_SET'}\n"
            "rotations:\n  - {name: duty, channels: [hook], starts: '2026-09-14 09:00'}\n"
        )
        settings = AlertingSettings(channels_path=channels)
        with serving(storage, settings) as (url, data):
            yield Running(url, data, []), sink.received


@pytest.mark.browser
def test_rule_is_tried_saved_listed_and_deleted(page: Page, desk) -> None:
    server, _ = desk
    troubles = Troubles(page)
    page.goto(f"{server.url}/apis/payments?from=now-1h&refresh=off")
    wait_for_screen(page)
    # from a chart of the API's page to a rule about it
    page.evaluate("() => window.gatelens.createAlert('error_rate')")
    text = page.locator("#rule-text")
    expect(text).to_have_value(re.compile(r"api: \[payments\]"))
    expect(page.locator("#rule-mistakes")).to_contain_text("error rate > 5.0 %")

    page.locator("#rule-try").click()
    expect(page.locator("#rule-tried-said")).to_contain_text("looked 288 times")
    # one in twenty of the known calls fails, all of them to `orders` and `payments`
    expect(page.locator("#rule-tried-chart .scatterlayer .trace")).to_have_count(1)

    text.fill(text.input_value().replace("> 5%", "> 5 percent"))
    expect(page.locator("#rule-mistakes")).to_contain_text("is no condition")
    page.locator("#rule-save").click()
    expect(page.locator("#rule-said")).to_contain_text("Not saved")

    # gone without saving, and back: the text is still there
    page.evaluate("() => gatelens.go('/alerts/rules')")
    expect(page.locator("#gl-toast")).to_contain_text("its text is kept in this tab")
    page.get_by_role("button", name="Back to it").click()
    page.get_by_role("button", name="Take it up again").click()
    expect(text).to_have_value(re.compile("> 5 percent"))

    text.fill(text.input_value().replace("> 5 percent", "> 1%"))
    expect(page.locator("#rule-mistakes")).to_contain_text("> 1.0 %")
    page.locator("#rule-save").click()
    expect(page.locator("#rule-said")).to_contain_text("Saved as version 1")
    assert page.evaluate("() => sessionStorage.length") == 0

    go(page, "/alerts/rules")
    page.get_by_role("link", name="payments-error-rate").click()
    expect(page.locator("h1")).to_have_text("payments-error-rate")
    # a rule may be silenced before it fires
    page.get_by_role("link", name="Silence…").click()
    expect(page.locator("#silence-matchers")).to_have_value("alertname=payments-error-rate")
    page.go_back()
    page.locator("#rule-delete").click()
    expect(page.locator("#rule-said")).to_contain_text("Deleted")
    assert troubles.seen == []
    with identity.acting_as(identity.LOCAL):
        versions = server.data.desk.store.versions("payments-error-rate")
    assert [version.source is None for version in versions] == [True, False]


@pytest.mark.browser
def test_channels_can_be_tried_and_say_what_is_wrong(page: Page, desk) -> None:
    server, received = desk
    troubles = Troubles(page)
    page.goto(f"{server.url}/alerts/delivery")
    wait_for_screen(page)
    buttons = page.get_by_role("button", name="Send a test")
    buttons.nth(0).click()
    expect(page.locator(".gl-said").nth(0)).to_have_text("It was taken.")
    assert len(received) == 1
    buttons.nth(1).click()
    expect(page.locator(".gl-said").nth(1)).to_contain_text("env:NOT_SET")
    assert troubles.seen == []


@pytest.mark.browser
def test_maintenance_is_planned_and_somebody_stands_in(page: Page, desk) -> None:
    server, _ = desk
    troubles = Troubles(page)
    page.goto(f"{server.url}/alerts/delivery?tz=Asia/Tokyo")
    wait_for_screen(page)
    page.get_by_text("Plan maintenance").click()
    page.fill("#maintenance-name", "upgrade")
    page.fill("#maintenance-matchers", "gateway=kong, env=~prod|stage")
    page.fill("#maintenance-author", "ana")
    page.fill("#maintenance-from", "2030-01-05 08:00")
    page.fill("#maintenance-until", "4h")
    page.click("#maintenance-create")
    said = page.locator("#maintenance-said")
    expect(said).to_contain_text("needs a name, an author and a reason")
    page.fill("#maintenance-reason", "new disks")
    page.click("#maintenance-create")
    expect(said).to_contain_text("Planned")
    row = page.locator("#delivery-maintenance tbody tr")
    expect(row).to_contain_text("gateway=kong, env=~prod|stage")
    # typed and shown in the reader's zone, kept in UTC
    expect(row).to_contain_text("5 Jan 08:00:00 to 5 Jan 12:00:00")
    with identity.acting_as(identity.LOCAL):
        (window,) = server.data.alerts.maintenance()
    assert window.starts_at == datetime(2030, 1, 4, 23, tzinfo=UTC).timestamp()
    row.get_by_role("button", name="End now").click()
    expect(said).to_contain_text("has ended")
    expect(page.locator("#delivery-maintenance")).to_contain_text("No maintenance")

    page.get_by_text("Somebody stands in").click()
    page.locator("#stand-in-channel").click()
    page.get_by_role("option", name="gone").click()
    page.fill("#stand-in-author", "ana")
    page.fill("#stand-in-until", "tomorrowish")
    page.click("#stand-in-create")
    expect(page.locator("#stand-in-said")).to_contain_text("'tomorrowish' is no time")
    page.fill("#stand-in-until", "2h")
    page.click("#stand-in-create")
    expect(page.locator("#stand-in-said")).to_contain_text("gone stands in until")
    expect(page.locator("#delivery-on-call .gl-badge.accent").first).to_have_text("gone")
    assert troubles.seen == []
    assert [(e.action, e.target) for e in read_audit(server.data.state, limit=3)] == [
        ("on-call.stand-in", "duty"),
        ("maintenance.end", str(window.id)),
        ("maintenance.create", "upgrade"),
    ]


@pytest.mark.parametrize(
    ("who", "manages"),
    [
        ({"permissions": frozenset({"alerts"})}, False),
        ({"permissions": frozenset({"alerts", "alerts.manage"})}, True),
        ({"permissions": frozenset({"alerts", "alerts.manage"}), "tenant": "other"}, False),
    ],
)
def test_forms_are_only_for_those_who_manage_alerts(desk, who, manages) -> None:
    server, _ = desk
    fields = {"id": "7", "name": "v", "kind": "user", "tenant": "default", **who}
    with identity.acting_as(identity.Principal(**fields)):
        assert identity.manages_alerts() is manages
        if fields["tenant"] == "default":
            form = str(delivery_layout(server.data))
            assert ("duty" in form) is manages


@pytest.mark.parametrize("kind", ["user", "local"])
def test_whose_deed_it_is_is_asked_only_where_nobody_signs_in(kind) -> None:
    who = replace(identity.LOCAL, kind=kind)
    with identity.acting_as(who):
        form = silence_form(hidden=False).to_plotly_json()
        fields = {label.children[1].id: label for label in form["props"]["children"][:4]}
        assert fields["silence-author"].hidden is (kind == "user")
        assert identity.author(who, "typed") == ("typed" if kind == "local" else who.name)


@pytest.mark.parametrize("permission", ["alerts", "read"])
def test_only_those_who_may_reach_the_desk(server: Running, permission: str) -> None:
    who = identity.Principal("7", "v", "user", "default", frozenset({permission}))
    with identity.acting_as(who):
        if permission == "alerts":
            assert server.data.desk.rules()
            with pytest.raises(Forbidden):
                identity.require("alerts.manage")
        else:
            with pytest.raises(Forbidden):
                server.data.desk.rules()
    elsewhere = identity.Principal("8", "w", "user", "other", frozenset({"alerts"}))
    with identity.acting_as(elsewhere), pytest.raises(Forbidden):
        server.data.desk.rules()


def tried(curve, pages=()):
    return Backtest(
        "r", START, START + HOUR, 60.0, len(curve), tuple(pages), {(("api", "a"),): curve}
    )


def test_chart_has_the_series_the_limit_and_when_it_would_have_fired():
    curve = tuple((START + 60.0 * i, None if i == 3 else 0.01 * i) for i in range(10))
    page = WouldPage((("api", "a"),), START + 360, None, 0.09, at_night=False)
    figure = tried_rule(
        tried(curve, [page]), limit=0.05, formatter=str, colour=lambda _: "#123456", mode="dark"
    )
    (line,) = figure.data
    assert line["y"][3] is None
    assert len(line["x"]) == 10
    fired, limit = figure.layout["shapes"]
    assert (fired["type"], limit["y0"], limit["y1"]) == ("rect", 0.05, 0.05)
    assert fired["x1"].timestamp() == START + HOUR  # it still fires


def test_long_chart_is_thinned_and_keeps_its_peak_and_its_gap():
    values = [0.0] * 20_000
    values[777] = 5.0
    curve = tuple((START + i, v) for i, v in enumerate(values))
    hole = tuple((at, None if 9_000 <= at - START < 9_100 else v) for at, v in curve)
    figure = tried_rule(
        tried(hole), limit=None, formatter=str, colour=lambda _: "#123456", mode="light"
    )
    (line,) = figure.data
    assert len(line["x"]) <= POINTS_MAX + 1
    assert 5.0 in line["y"]
    assert None in line["y"]


def test_unmeasured_time_is_said_not_drawn():
    figure = tried_rule(tried(((START, None),)), limit=1.0, formatter=str, colour=str, mode="dark")
    assert "Nothing was measured" in figure.layout["annotations"][0]["text"]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("?measure=p95_ms&api=orders", {"measure": "p95_ms", "condition": "> 800ms",
                                        "filters": "api=orders"}),
        ("?consumer=acme&api=a&api=b", {"filters": "api=a, api=b, consumer=acme",
                                        "group_by": ["consumer"]}),
        ("?kind=quota&measure=drop%20table", {"kind": "quota"}),
        ("?kind=<script>&filters=x&name=y", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_link_fills_the_form_with_known_words_only(search, expected):
    assert asked_fields(search) == expected


def test_form_of_anything_becomes_a_draft():
    draft = draft_of({"filters": "api=a, =x, plan = gold,,", "group_by": None, "measure": None})
    assert draft.filters == {"api": ["a"], "plan": ["gold"]}
    assert (draft.group_by, draft.measure) == ([], "")


def test_values_are_said_as_in_notices():
    error, change, quota = parse_rules(
        "rules:\n  - {name: a, measure: error_rate, condition: '> 5%'}\n"
        "  - {name: b, kind: change, measure: requests, window: 5m, condition: '> 50%'}\n"
        "  - {name: c, kind: quota, runs_out_before_end: 1d}\n"
    )
    assert unit_formatter(error)(0.051) == "5.1 %"
    assert unit_formatter(change)(-0.5) == "-50 %"
    assert unit_formatter(quota)(90_000) == "1 d 1 h"
    assert [limit_of(rule) for rule in (error, change, quota)] == [0.05, 0.5, None]
