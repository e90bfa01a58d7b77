"""Times and days as people type them into forms."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from alerting.maintenance import MaintenanceWindow
from alerting.matchers import parse_matcher
from alerting.time_intervals import TimeInterval
from dashboards import format as fmt
from dashboards.panels.alert_panels import matcher_words
from dashboards.panels.maintenance_panel import interval_words, window_times
from dashboards.planned_times import TimeUnread, read_interval, read_moment

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("typed", "zone", "expected"),
    [
        ("4h", "UTC", "2026-11-27T16:00+00:00"),
        ("1h30m", "UTC", "2026-11-27T13:30+00:00"),
        ("18:30", "UTC", "2026-11-27T18:30+00:00"),
        ("11:00", "UTC", "2026-11-28T11:00+00:00"),  # the next one
        ("2026-12-05 08:00", "Europe/Berlin", "2026-12-05T07:00+00:00"),
        ("2026-12-05T08:00", "UTC", "2026-12-05T08:00+00:00"),
        (" 2026-12-05  08:00+05:30 ", "Europe/Berlin", "2026-12-05T02:30+00:00"),
        ("2026-12-05", "UTC", "2026-12-05T00:00+00:00"),
    ],
)
def test_a_moment_is_read_in_the_readers_zone(typed: str, zone: str, expected: str) -> None:
    fmt.use_zone(zone)
    assert read_moment(typed, after=NOON) == datetime.fromisoformat(expected).timestamp()


@pytest.mark.parametrize("typed", ["", "  ", "now"])
def test_nothing_is_now(typed: str) -> None:
    assert read_moment(typed, after=NOON) is None


@pytest.mark.parametrize(
    "typed", ["25:00", "tomorrow", "2026-13-01", "<script>", "9999999999d", ":"]
)
def test_what_is_no_time_is_told(typed: str) -> None:
    with pytest.raises(TimeUnread, match="is no time"):
        read_moment(typed, after=NOON)


def test_days_and_hours_make_an_interval_that_is_said_in_words() -> None:
    fmt.use_zone("Europe/Berlin")
    nights = read_interval("n", "saturday, monday:tuesday", "22:00-06:00")
    assert (nights.weekdays, nights.minutes) == ({0, 1, 5}, ((1320, 360),))
    assert interval_words(nights) == "monday, tuesday, saturday 22:00-06:00 Europe/Berlin"
    assert interval_words(TimeInterval("m", days_of_month=frozenset({1}))) == "day the 1. UTC"
    fmt.use_zone("UTC")
    window = MaintenanceWindow("n", (), NOON, None, nights)
    assert window_times(window).endswith("Europe/Berlin, from 27 Nov 12:00:00")


@pytest.mark.parametrize(("days", "hours"), [("caturday", ""), ("", "22-6"), ("", "22:00")])
def test_what_is_no_day_or_hour_is_told(days: str, hours: str) -> None:
    with pytest.raises(TimeUnread):
        read_interval("n", days, hours)


def test_matchers_are_said_as_typed() -> None:
    words = matcher_words([parse_matcher('api="a b"'), parse_matcher("env!~x|y")])
    assert words == "api=a b, env!~x|y"
