from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from analytics.consumers import active_consumers, cohorts, consumer_changes
from analytics.query import Analytics, TimeRange
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
