"""When reports are due: by the zone's own days, once each, over outages and clock jumps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from analytics.api import install
from analytics.errors import QueryRefused
from analytics.limits import REPORT_CATCH_UP_MAX
from analytics.query import Analytics
from analytics.report_schedules import ReportSchedule, ReportScheduleStore
from storage.catalog import Api, Catalog, Consumer
from storage.row_scope import RowScope
from tests.analytics.test_api import Client

BERLIN = ZoneInfo("Europe/Berlin")
DAILY = ReportSchedule("owner", "team", "day", zone="Europe/Berlin", send_at="02:30")
BASE = "/api/v1/analytics/reports"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "period_start", "hours", "due"),
    [
        ("2026-10-26T02:30", "2026-10-25T00:00", 25, "2026-10-26T02:30"),  # clocks went back
        ("2026-03-30T02:30", "2026-03-29T00:00", 23, "2026-03-30T02:30"),  # and forward
        ("2026-03-29T04:00", "2026-03-28T00:00", 24, "2026-03-29T02:30"),  # 02:30 is skipped
        ("2028-03-01T09:00", "2028-02-29T00:00", 24, "2028-03-01T02:30"),  # leap day
        ("2027-01-01T09:00", "2026-12-31T00:00", 24, "2027-01-01T02:30"),  # year's end
    ],
)
def test_a_daily_report_is_of_the_zones_own_day(
    now: str, period_start: str, hours: int, due: str
) -> None:
    period = DAILY.periods_due(at(now))[-1]
    assert period.start == at(period_start)
    assert period.seconds == hours * 3600
    assert DAILY.due_at(period) == at(due)
    assert DAILY.due_at(period) <= at(now) < DAILY.next_at(at(now))


@pytest.mark.parametrize("kind", ["day", "week", "month"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns"])
def test_over_two_years_every_period_is_due_once_in_order(kind: Any, zone: str) -> None:
    schedule = replace(DAILY, period=kind, zone=zone, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    seen, now = [], datetime(2026, 1, 1, tzinfo=UTC)
    while now < datetime(2028, 1, 1, tzinfo=UTC):
        seen += [p for p in schedule.periods_due(now) if not seen or p.start > seen[-1].start]
        now += timedelta(hours=23 if kind == "day" else 131)
    assert all(a.end == b.start for a, b in zip(seen, seen[1:], strict=False))
    # the schedule is older than the first due time by hours: 2 years of periods, give or take one
    assert len(seen) == pytest.approx({"day": 730, "week": 104, "month": 24}[kind], abs=1)


def test_a_period_is_enqueued_once_whoever_asks_and_when_the_clock_jumps(engine: Engine) -> None:
    store, other = ReportScheduleStore(engine), ReportScheduleStore(engine)
    created = at("2026-11-20T12:00")
    store.add(DAILY, now=created)
    assert store.enqueue_due(at("2026-11-21T02:29")) == 0
    assert store.enqueue_due(at("2026-11-21T02:30")) == 1
    assert other.enqueue_due(at("2026-11-21T02:30")) == 0
    assert store.enqueue_due(at("2026-11-20T12:00")) == 0  # a day back
    assert store.enqueue_due(at("2026-11-21T09:00")) == 0  # and forward again
    assert store.enqueue_due(at("2026-11-22T09:00")) == 1


def test_after_an_outage_the_last_periods_are_made_up_for_and_no_more(engine: Engine) -> None:
    store = ReportScheduleStore(engine)
    store.add(DAILY, now=at("2026-09-01T12:00"))
    assert store.enqueue_due(at("2026-11-20T12:00")) == REPORT_CATCH_UP_MAX
    days = [d.period.start for _, d in store.waiting(at("2026-11-20T12:00"))]
    assert days == sorted(days)
    assert days[-1] == at("2026-11-19T00:00")


def test_what_was_due_before_the_schedule_was_made_is_not_sent(engine: Engine) -> None:
    store = ReportScheduleStore(engine)
    store.add(DAILY, now=at("2026-11-20T02:31"))
    assert store.enqueue_due(at("2026-11-20T09:00")) == 0
    assert store.enqueue_due(at("2026-11-21T02:30")) == 1


def test_a_removed_schedule_sends_nothing_more(engine: Engine) -> None:
    store = ReportScheduleStore(engine)
    kept = store.add(DAILY, now=at("2026-11-20T12:00"))
    assert kept.id is not None
    store.enqueue_due(at("2026-11-21T09:00"))
    assert len(store.waiting(at("2026-11-21T09:00"))) == 1
    assert ReportScheduleStore(engine, tenant="other").remove(kept.id) is False
    assert store.remove(kept.id) is True
    assert list(store.waiting(at("2026-11-21T09:00"))) == []
    assert store.remove(kept.id) is False
    with pytest.raises(QueryRefused):
        store.run_now(kept.id, now=at("2026-11-21T09:00"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"audience": "everyone"},
        {"period": "year"},
        {"zone": "../../etc/passwd"},
        {"send_at": "24:00"},
        {"send_at": "7:00"},
        {"recipients": ("a@b.c\r\nBcc: x@y.z",)},
        {"recipients": ("no address",)},
        {"recipients": tuple(f"a{i}@example.com" for i in range(51))},
        {"formats": ("exe",)},
    ],
)
def test_nonsense_is_refused_with_a_sentence(engine: Engine, wrong: dict[str, Any]) -> None:
    with pytest.raises(QueryRefused):
        ReportScheduleStore(engine).add(replace(DAILY, **wrong), now=at("2026-11-20T12:00"))
    assert ReportScheduleStore(engine).list() == []


@pytest.fixture
def client(analytics: Analytics, engine: Engine) -> Client:
    app = FastAPI()
    catalog = Catalog(apis=(Api(name="orders", owner="team"),), consumers=(Consumer(name="acme"),))
    install(
        app,
        lambda request: analytics.narrowed(
            RowScope(apis=("orders",)) if request.headers.get("x-narrow") else None
        ),
        catalog,
        engine,
    )
    return Client(app)


def test_schedules_are_made_listed_run_and_removed_over_http(client: Client) -> None:
    assert client.get(BASE).json() == {"owners": ["team"], "consumers": ["acme"]}
    made = client.post(
        f"{BASE}/schedules",
        json={"audience": "owner", "name": "team", "period": "week", "zone": "Europe/Berlin",
              "recipients": ["pm@example.com"]},
    )  # fmt: skip
    assert made.status_code == 201
    assert made.json()["formats"] == ["pdf", "csv"]
    assert client.get(f"{BASE}/schedules").json() == [made.json()]
    number = made.json()["id"]
    assert client.post(f"{BASE}/schedules/{number}/run").status_code == 202
    (waiting,) = client.get(f"{BASE}/deliveries").json()
    assert (waiting["state"], waiting["schedule_id"]) == ("waiting", number)
    assert client.delete(f"{BASE}/schedules/{number}").status_code == 204
    assert client.delete(f"{BASE}/schedules/{number}").status_code == 404
    assert client.get(f"{BASE}/schedules").json() == []


@pytest.mark.parametrize(
    "body",
    [
        {"audience": "owner", "name": "nobody", "period": "week"},
        {"audience": "owner", "name": "team", "period": "week", "zone": "Mars/Base"},
        {"audience": "owner", "name": "team", "period": "week", "sent_at": "07:00"},
    ],
)
def test_a_wrong_schedule_is_refused_over_http(client: Client, body: dict[str, str]) -> None:
    assert client.post(f"{BASE}/schedules", json=body).status_code in (400, 422)
    assert client.get(f"{BASE}/schedules").json() == []


def test_somebody_who_sees_only_some_rows_sees_no_schedules(client: Client) -> None:
    narrow = {"x-narrow": "1"}
    assert client.get(f"{BASE}/schedules", headers=narrow).status_code == 403
    assert client.get(f"{BASE}/deliveries", headers=narrow).status_code == 403


def test_a_report_can_be_fetched_as_pdf(client: Client) -> None:
    found = client.get(f"{BASE}/owner", params={"name": "team", "format": "pdf"})
    assert found.headers["content-type"] == "application/pdf"
    assert found.content.startswith(b"%PDF-")
