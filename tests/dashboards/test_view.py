from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.limits import POINTS_PER_SERIES_TARGET, RANGE_DAYS_MAX
from dashboards.view import View, interval_s, parse_view

NOW = datetime(2026, 11, 21, 12, 0, 7, tzinfo=UTC)


def read(search: str) -> View:
    return parse_view(search, now=NOW)


def test_no_parameters_show_the_last_hour() -> None:
    view = read("")
    assert (view.end - view.start) == timedelta(hours=1)
    assert view.end == datetime(2026, 11, 21, 12, 0, 5, tzinfo=UTC)
    assert view.label == "Last 1 hour"
    assert view.notes == ()


def test_absolute_times_without_a_zone_are_utc() -> None:
    view = read("?from=2026-11-20T10:00&to=2026-11-20T12:30")
    assert view.start == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert view.seconds == 9000


@pytest.mark.parametrize(
    "search",
    [
        "?from=tomorrowish", "?from=now&to=now-1h", "?from=2026-13-45", "?from=now-999999w",
        "?from=99999999999999999999", "?to=" + "9" * 400, "?" + "a=1&" * 2000,
    ],
)  # fmt: skip
def test_unusable_ranges_show_the_default_and_say_so(search: str) -> None:
    view = read(search)
    assert view.seconds == 3600
    assert len(view.notes) == 1


def test_ranges_longer_than_kept_are_cut_at_their_start() -> None:
    view = read("?from=2001-01-01&to=2026-11-21")
    assert view.seconds == RANGE_DAYS_MAX * 86_400
    assert "cut" in view.notes[0]


def test_filters_become_those_of_the_analytics() -> None:
    view = read("?api=orders&api=a%26b&env=production&status=5xx&nonsense=1")
    assert view.analytics_filters.api == ("orders", "a&b")
    assert view.analytics_filters.environment == ("production",)
    assert view.analytics_filters.status_code == ("5xx",)
    assert view.extra == {"nonsense": "1"}


def test_links_keep_range_and_filters_and_change_what_is_asked() -> None:
    view = read("?from=now-6h&to=now&api=a%20b%26c&refresh=30s")
    again = parse_qs(view.query(env="staging").lstrip("?"))
    assert again == {
        "from": ["now-6h"], "to": ["now"], "api": ["a b&c"], "refresh": ["30s"], "env": ["staging"],
    }  # fmt: skip


@given(st.text(max_size=200))
def test_no_text_makes_reading_a_url_fail(text: str) -> None:
    view = read(text)
    assert view.start < view.end


@given(st.floats(min_value=1, max_value=RANGE_DAYS_MAX * 86_400))
def test_charts_get_a_bounded_number_of_points(seconds: float) -> None:
    step = interval_s(seconds)
    assert seconds / step <= max(POINTS_PER_SERIES_TARGET, RANGE_DAYS_MAX / 7 + 1)
    assert step >= 60 or seconds <= 1200
