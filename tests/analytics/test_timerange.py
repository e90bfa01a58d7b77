from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.errors import InvalidTimeRange
from analytics.timerange import TimeRange, fitting_interval, parse_range, parse_time

NOW = datetime(2026, 11, 21, 10, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("now-15m", NOW - timedelta(minutes=15)),
        ("now-7d", NOW - timedelta(days=7)),
        ("NOW-2w", NOW - timedelta(weeks=2)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T08:00:00Z", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2026-11-20T08:00:00+02:00", datetime(2026, 11, 20, 6, tzinfo=UTC)),
        ("1795082400", datetime.fromtimestamp(1795082400, UTC)),
    ],
)
def test_moments_are_read(text: str, expected: datetime) -> None:
    assert parse_time(text, now=NOW) == expected


@pytest.mark.parametrize(
    "text",
    ["", "yesterdayish", "now+1h", "now-1y", "now-9999999h", "12345678901234567890", "\x00", "٣"],
)
def test_unreadable_moments_say_what_would_be(text: str) -> None:
    with pytest.raises(InvalidTimeRange, match="now-1h"):
        parse_time(text, now=NOW)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("last 7 days", 604_800), ("Last hour", 3600), ("past 90 min", 5400), ("last 24h", 86_400)],
)
def test_relative_words_end_now(text: str, seconds: int) -> None:
    assert parse_range(text, now=NOW) == TimeRange(NOW - timedelta(seconds=seconds), NOW)


def test_days_by_name_are_utc_days() -> None:
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    assert parse_range("today", now=NOW) == TimeRange(midnight, NOW)
    assert parse_range("yesterday", now=NOW) == TimeRange(midnight - timedelta(days=1), midnight)


def test_missing_ends_have_defaults() -> None:
    assert parse_range(now=NOW) == TimeRange(NOW - timedelta(hours=1), NOW)
    assert parse_range(end="now-1d", now=NOW).end == NOW - timedelta(days=1)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (NOW, NOW),
        (NOW, NOW - timedelta(seconds=1)),
        (NOW - timedelta(days=9999), NOW),
        (datetime(2026, 1, 1), NOW),  # noqa: DTZ001 - a naive time is the case
    ],
)
def test_impossible_ranges_are_refused(start: datetime, end: datetime) -> None:
    with pytest.raises(InvalidTimeRange):
        TimeRange(start, end)


@pytest.mark.parametrize("text", ["last 0 days", "last 999999 weeks"])
def test_absurd_lengths_are_refused(text: str) -> None:
    with pytest.raises(InvalidTimeRange):
        parse_range(text, now=NOW)


def test_ranges_are_kept_in_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    found = TimeRange(datetime(2026, 11, 21, 9, tzinfo=tokyo), NOW)
    assert found.start.isoformat() == "2026-11-21T00:00:00+00:00"


def test_previous_range_touches_and_is_as_long() -> None:
    found = TimeRange(NOW - timedelta(hours=3), NOW)
    assert found.previous() == TimeRange(NOW - timedelta(hours=6), NOW - timedelta(hours=3))


@given(text=st.text(max_size=50))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        parse_range(text, now=NOW)
    except InvalidTimeRange as err:
        assert len(str(err)) < 300


def test_interval_follows_the_range() -> None:
    for length, expected in ((900, 10), (3600, 60), (86_400, 900), (30 * 86_400, 21_600)):
        found = TimeRange(NOW - timedelta(seconds=length), NOW)
        assert fitting_interval(found) == expected
