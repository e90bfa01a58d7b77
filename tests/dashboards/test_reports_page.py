"""The reports screen: whom a link shows, what the list of schedules says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from analytics.report_schedules import ReportDelivery, ReportSchedule
from analytics.timerange import TimeRange
from dashboards import identity
from dashboards.custom.html_text import to_html
from dashboards.pages.reports import choice, in_sight
from dashboards.panels.report_panels import schedule_table
from storage.catalog import Api, Catalog, Consumer
from storage.row_scope import RowScope

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
CATALOG = Catalog(
    apis=(Api(name="orders", owner="checkout"), Api(name="rates", owner="pricing")),
    consumers=(Consumer(name="acme: europe"),),
)


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ({}, ("owner", "checkout", "week")),
        ({"report": "owner:pricing", "period": "day"}, ("owner", "pricing", "day")),
        ({"report": "consumer:acme: europe"}, ("consumer", "acme: europe", "week")),
        ({"report": "owner:<script>", "period": "century"}, ("owner", "checkout", "week")),
        ({"report": "consumer:checkout"}, ("owner", "checkout", "week")),
    ],
)
def test_the_address_says_whose_report(asked: dict[str, str], chosen: tuple[str, str, str]) -> None:
    assert choice(CATALOG, asked) == chosen


def test_an_empty_catalog_has_nobody_to_report_to() -> None:
    assert choice(Catalog(), {"report": "owner:checkout"}) is None


def test_people_of_some_apis_are_shown_the_reports_of_their_owners() -> None:
    scope = RowScope(apis=("rates",))
    with identity.acting_as(replace(identity.LOCAL, scope=scope)):
        assert choice(in_sight(CATALOG), {}) == ("owner", "pricing", "week")
    assert choice(in_sight(CATALOG), {}) == ("owner", "checkout", "week")


SCHEDULE = ReportSchedule(
    "owner", "checkout <b>", "week", recipients=("a@x.example",), id=1, created_at=NOW
)
PERIOD = TimeRange(NOW - timedelta(days=9), NOW - timedelta(days=2))
SENT = ReportDelivery(
    1, "k", 1, PERIOD, 1, NOW - timedelta(hours=3), NOW - timedelta(hours=2), None, None, None
)


def shown(sent: list[ReportDelivery], may: bool = True) -> str:
    return to_html(schedule_table([SCHEDULE], sent, NOW, may, "nobody"))


def test_a_schedule_says_when_next_and_what_became_of_the_last() -> None:
    html = shown([SENT, replace(SENT, id=0, delivered_at=None, dead_at=NOW, error="old")])
    assert "30 Nov 07:00 UTC" in html
    assert "delivered" in html
    assert "old" not in html
    assert "checkout &lt;b&gt;" in html
    assert "Send now" in html
    dead = shown([replace(SENT, delivered_at=None, dead_at=NOW, error="550 no <such> box")])
    assert "failed" in dead
    assert "550 no &lt;such&gt; box" in dead
    assert "none yet" in shown([])


def test_whoever_may_not_change_schedules_sees_no_buttons() -> None:
    assert "Send now" not in shown([], may=False)
    assert (
        to_html(schedule_table([], [], NOW, True, "nobody")) == '<div class="gl-none">nobody</div>'
    )
