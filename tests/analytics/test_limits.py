"""What is refused, or left out, at its limit and one beyond."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from analytics import query, report_schedules
from analytics.errors import InvalidTimeRange, QueryRefused
from analytics.filters import Filters
from analytics.limits import (
    FILTER_VALUES_MAX,
    POINTS_PER_SERIES_MAX,
    RANGE_DAYS_MAX,
    REPORT_RECIPIENTS_MAX,
)
from analytics.query import Analytics
from analytics.report_schedules import ReportSchedule, ReportScheduleStore
from analytics.timerange import TimeRange
from tests.analytics.conftest import NOON
from tests.analytics.oracle import Row

DAILY = ReportSchedule("owner", "team", "day", zone="UTC", send_at="02:30")
OVER = pytest.mark.parametrize("over", [False, True], ids=["at", "beyond"])


def refused(over: bool, error: type[Exception] = QueryRefused) -> AbstractContextManager[object]:
    return pytest.raises(error) if over else nullcontext()


@OVER
def test_values_of_a_filter(over: bool) -> None:
    with refused(over):
        Filters(api=tuple(map(str, range(FILTER_VALUES_MAX + over))))


@OVER
def test_days_of_a_range(over: bool) -> None:
    with refused(over, InvalidTimeRange):
        TimeRange(NOON, NOON + timedelta(days=RANGE_DAYS_MAX, microseconds=over))


@OVER
def test_points_of_a_series(analytics: Analytics, over: bool) -> None:
    asked = TimeRange(NOON - timedelta(seconds=POINTS_PER_SERIES_MAX + over), NOON)
    with refused(over):
        analytics.usage(asked, interval_s=1)


@OVER
def test_addresses_of_a_schedule(over: bool) -> None:
    people = tuple(f"a{n}@example.com" for n in range(REPORT_RECIPIENTS_MAX + over))
    with refused(over):
        replace(DAILY, recipients=people).validate()


@OVER
def test_schedules_of_a_tenant(engine: Engine, monkeypatch: pytest.MonkeyPatch, over: bool) -> None:
    monkeypatch.setattr(report_schedules, "REPORT_SCHEDULES_MAX", 2)
    store = ReportScheduleStore(engine)
    for _ in range(1 + over):
        store.add(DAILY, now=NOON)
    with refused(over):
        store.add(DAILY, now=NOON)
    assert len(store.list()) == 2


@OVER
def test_raw_rows_behind_quantiles_that_no_rollup_keeps(
    analytics: Analytics,
    store: Callable[[list[Row]], None],
    monkeypatch: pytest.MonkeyPatch,
    over: bool,
) -> None:
    """Beyond, they are unknown, and the counts stay."""
    monkeypatch.setattr(query, "RAW_LATENCY_ROWS_MAX", 3 - over)
    store(
        [
            {"time": NOON, "tenant": "default", "country": "DE", "duration_ms": 10.0}
            for _ in range(3)
        ]
    )
    around = TimeRange(NOON - timedelta(minutes=1), NOON + timedelta(minutes=1))
    (row,) = analytics.breakdown(around, by="country").to_dicts()
    assert row["requests"] == 3
    assert (row["p95_ms"] is None) is over
