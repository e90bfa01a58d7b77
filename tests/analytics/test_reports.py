from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from analytics.errors import QueryRefused
from analytics.query import Analytics
from analytics.reports import last_period, owners, render_report
from storage.catalog import Api, Catalog, Consumer, Plan
from tests.analytics.hostile import NOON
from tests.analytics.oracle import Row

NOW = NOON + timedelta(hours=3)
EVIL = "<script>alert(1)</script>\r\nBcc: all@example.com"
CATALOG = Catalog(
    apis=(
        Api(name="orders", owner="team"),
        Api(name="carts", owner="team"),
        Api(name="x", owner=EVIL),
    ),
    plans=(Plan(name="gold", quota_per_month=100),),
    consumers=(Consumer(name="acme", plan="gold"), Consumer(name="=1+1")),
)


def call(days_ago: float, **fields: Any) -> Row:
    base = {"time": NOW - timedelta(days=days_ago), "tenant": "default", "outcome": "ok"}
    return {**base, "api": "orders", "consumer": "acme", "duration_ms": 20.0, **fields}


class Cells(HTMLParser):
    """Texts of all cells, and every tag that was seen."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_owner_gets_the_numbers_of_the_screens(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    store(
        [call(1)] * 6
        + [call(1, api="carts", outcome="server_error")] * 2
        + [call(1, api="other")] * 50
        + [call(2)] * 4
    )
    report = render_report(analytics, CATALOG, "owner", "team", "day", now=NOW)
    assert (report.period.start.day, report.empty) == (19, False)
    assert report.subject == "team: API report, 2026-11-19"
    cells = Cells(report.html).texts
    at = cells.index("Requests")
    assert cells[at : at + 3] == ["Requests", "8", "+100.0%"]
    assert "25.00%" in cells
    rows = pl.read_csv(io.StringIO(report.csv))
    assert dict(rows.select("api", "requests").iter_rows()) == {"orders": 6, "carts": 2}


def test_consumer_sees_its_own_calls_and_quota_alone(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    store([call(1)] * 3 + [call(1, consumer="rival", api="secret")] * 9)
    report = render_report(analytics, CATALOG, "consumer", "acme", "day", now=NOW)
    assert "rival" not in report.html + report.csv
    assert "secret" not in report.html + report.csv
    assert any("3 of 100 (3.0 %)" in text for text in Cells(report.html).texts)


def test_names_cannot_smuggle_markup_headers_or_formulas(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    store([call(1, api="x", consumer=EVIL, route="=HYPERLINK(1)")])
    report = render_report(analytics, CATALOG, "owner", EVIL, "day", now=NOW)
    assert "script" not in Cells(report.html).tags
    assert "\n" not in report.subject
    assert "\r" not in report.subject
    assert "'=HYPERLINK(1)" in report.csv


def test_report_of_a_silent_period_says_so(analytics: Analytics) -> None:
    report = render_report(analytics, CATALOG, "owner", "team", "month", now=NOW)
    assert report.empty
    assert "not measured" in report.html
    assert report.subject.endswith("2026-10")


@pytest.mark.parametrize("audience", ["owner", "consumer"])
def test_unknown_names_get_no_report(analytics: Analytics, audience: Any) -> None:
    with pytest.raises(QueryRefused):
        render_report(analytics, CATALOG, audience, "nobody", "day", now=NOW)


def test_last_day_is_the_zones_own_and_may_have_25_hours() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    day = last_period("day", datetime(2026, 10, 26, 0, 30, tzinfo=berlin), berlin)
    assert day.seconds == 25 * 3600
    assert last_period("week", NOW).start == datetime(2026, 11, 9, tzinfo=UTC)
    assert owners(CATALOG)[-1] == "team"
