"""Links that lead from an alert to what was seen."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

import dashboards
from alerting.links import URL_WORDS, evidence_links
from alerting.rules import parse_rules
from alerting.store import AlertStore
from dashboards.view import FILTERS, parse_view
from tests.alerting.world import START, make_world, outbox_rows

BASE = "https://gatelens.example/"
RULE = """
rules:
  - {name: errors, measure: error_rate, group_by: [route], filters: {api: [orders]},
     condition: "> 5%"}
"""


def links(text=RULE, series=(("route", "/orders/{id}"),)):
    (rule,) = parse_rules(text)
    return evidence_links(rule, series, START, 60.0, BASE)


def test_words_of_links_are_the_words_of_the_screens():
    assert dict(URL_WORDS) == {dimension: word for word, dimension in FILTERS.items()}


def test_chart_link_is_read_by_the_screen_it_leads_to():
    url = urlsplit(links()["chart_url"])
    view = parse_view(url.query, now=datetime.fromtimestamp(START + 9_999, UTC))
    assert (url.scheme, url.netloc, url.path) == ("https", "gatelens.example", "/apis/orders")
    assert view.filters == {"api": ("orders",), "route": ("/orders/{id}",)}
    assert view.start.timestamp() < START - 60 <= START < view.end.timestamp()
    assert view.notes == ()


def test_link_to_raw_requests_asks_for_the_failed_ones_of_the_window():
    found = links()
    query = parse_qs(urlsplit(found["requests_url"]).query)
    assert query["sql"] == [found["requests_sql"]]
    screen = Path(dashboards.__file__).parent / "assets" / "gatelens.js"
    assert 'get("sql")' in screen.read_text()  # the word the SQL screen reads
    assert "outcome = 'server_error'" in found["requests_sql"]
    assert "api IN ('orders') AND route IN ('/orders/{id}')" in found["requests_sql"]


def test_value_of_a_stranger_stays_a_value_in_the_sql():
    series = (("route", "x'; DROP TABLE requests; --"),)
    assert "route IN ('x''; DROP TABLE requests; --')" in links(series=series)["requests_sql"]


def test_unknown_value_is_asked_for_as_null():
    assert "route IS NULL" in links(series=(("route", "(none)"),))["requests_sql"]


@pytest.mark.parametrize(
    ("measure", "order"),
    [("p95_ms", "duration_ms DESC"), ("upstream_p99_ms", "upstream_ms DESC"),
     ("gateway_p50_ms", "gateway_ms DESC"), ("requests", "time DESC")],
)  # fmt: skip
def test_worst_requests_come_first(measure, order):
    text = f'rules:\n  - {{name: r, measure: {measure}, condition: "> 5"}}'
    assert f"ORDER BY {order}" in links(text, ())["requests_sql"]


def test_every_notice_and_the_history_carry_the_links(tmp_path):
    world = make_world(tmp_path, RULE)
    world.source.set("error_rate", 0.2, route="/orders")
    world.step()
    opened = outbox_rows(world.state)[0]["payload"]["alerts"][0]["annotations"]
    for _ in range(5):
        world.step(60.0)
    world.source.set("error_rate", 0.0, route="/orders")
    world.step()
    closed = outbox_rows(world.state)[-1]["payload"]["alerts"][0]["annotations"]
    assert opened["chart_url"] == closed["chart_url"]
    assert opened["requests_url"].startswith("http://127.0.0.1:8050/sql?")
    for entry in AlertStore(world.state).history():
        assert {"chart_url", "requests_url", "requests_sql"} <= entry.evidence.keys()
    assert json.dumps(opened)
