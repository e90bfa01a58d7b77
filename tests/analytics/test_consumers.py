from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics.consumers import (
    active_by_calendar,
    active_consumers,
    cohorts,
    consumer_changes,
)
from analytics.errors import QueryRefused
from analytics.jobs import JOBS
from analytics.query import Analytics, TimeRange
from analytics.runner import RollupRunner
from storage.lake import Lake
from storage.session import ReadSession
from tests.analytics.hostile import random_rows
from tests.analytics.oracle import Row

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
WEEK = TimeRange(MONDAY - timedelta(days=7), MONDAY)


def seen(consumer: str | None, days_before: float) -> Row:
    moment = MONDAY - timedelta(days=days_before)
    return {"time": moment, "tenant": "default", "consumer": consumer}


@pytest.fixture
def history(store: Callable[[list[Row]], None]) -> None:
    store(
        [seen("stays", 1), seen("stays", 8), seen("new", 2), seen("back", 3), seen("back", 30)]
        + [seen("gone", 9), seen(None, 1), seen("long ago", 100)]
    )


def test_consumers_are_told_apart_by_when_they_were_seen(
    history: None, analytics: Analytics
) -> None:
    found = consumer_changes(analytics, WEEK)
    assert found.active == ("back", "new", "stays")
    assert (found.new, found.returning) == (("new",), ("back",))
    assert (found.retained, found.lost) == (("stays",), ("gone",))
    assert found.retention == 0.5


def test_retention_of_nobody_is_unknown(analytics: Analytics) -> None:
    assert consumer_changes(analytics, WEEK).retention is None


def test_active_consumers_are_counted_per_day(history: None, analytics: Analytics) -> None:
    found = active_consumers(analytics, WEEK)
    per_day = {f"{row['time']:%d}": row["consumers"] for row in found.iter_rows(named=True)}
    assert per_day == {"13": 1, "14": 1, "15": 1}


def test_cohorts_start_whole_and_shrink(history: None, analytics: Analytics) -> None:
    found = cohorts(analytics, TimeRange(MONDAY - timedelta(days=14), MONDAY))
    rows = [(f"{r['cohort']:%m-%d}", r["week"], r["consumers"], r["share"]) for r in
            found.iter_rows(named=True)]  # fmt: skip
    assert rows == [("11-02", 0, 2, 1.0), ("11-02", 1, 1, 0.5), ("11-09", 0, 2, 1.0)]


def local_window(kind: str, day: date) -> date:
    if kind == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if kind == "month" else day


@pytest.mark.parametrize(
    "around",
    [
        datetime(2026, 3, 29, 12, tzinfo=UTC),  # 23 hours in Berlin
        datetime(2026, 10, 25, 12, tzinfo=UTC),  # 25 hours
        datetime(2028, 2, 29, 12, tzinfo=UTC),  # leap day
        datetime(2026, 12, 31, 22, tzinfo=UTC),  # the year ends
    ],
)
def test_active_consumers_per_calendar_window_equal_the_oracle(
    store: Callable[[list[Row]], None],
    lake: Lake,
    session: ReadSession,
    around: datetime,
) -> None:
    zone = ZoneInfo("Europe/Berlin")
    rows = random_rows(9, 300, around=around, spread_s=40 * 3600, every_h=5)
    store(rows[:150])
    for tier in ("minute", "hour", "day"):
        RollupRunner(lake).catch_up(JOBS[f"usage_{tier}"])
    store(rows[150:])  # not rolled up yet
    now = around + timedelta(days=3)
    analytics = Analytics(session, clock=lambda: now)
    span = TimeRange(around - timedelta(hours=40), around + timedelta(hours=41))
    for kind in ("day", "week", "month"):
        found = active_by_calendar(analytics, span, kind=kind, zone=zone)
        expected: dict[date, set[str]] = {}
        for row in rows:
            day = local_window(kind, row["time"].astimezone(zone).date())
            expected.setdefault(day, set()).update({row["consumer"]} - {None})
        assert {time.astimezone(zone).date(): n for time, n in found.iter_rows()} == {
            day: len(names) for day, names in expected.items()
        }


def test_too_many_calendar_windows_are_refused(analytics: Analytics) -> None:
    with pytest.raises(QueryRefused):
        active_by_calendar(
            analytics, TimeRange(MONDAY - timedelta(days=800), MONDAY), kind="day", zone=UTC
        )
