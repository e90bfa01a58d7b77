from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.plan import TIER_SECONDS, Kept, floor_time, plan_segments
from analytics.timerange import TimeRange

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def spans(start: datetime, end: datetime, **how: int) -> list[tuple[str, str, str]]:
    segments = plan_segments(TimeRange(start, end), now=NOW, **how)
    return [(s.tier, f"{s.start:%d %H:%M:%S}", f"{s.end:%d %H:%M:%S}") for s in segments]


def test_hour_on_the_hour_is_one_look_at_the_hour_tier() -> None:
    assert spans(NOW - timedelta(hours=1), NOW) == [("hour", "21 11:00:00", "21 12:00:00")]


def test_ragged_days_use_every_tier() -> None:
    start = datetime(2026, 11, 18, 22, 59, 30, tzinfo=UTC)
    assert spans(start, datetime(2026, 11, 21, 1, 1, 10, tzinfo=UTC)) == [
        ("raw", "18 22:59:30", "18 23:00:00"),
        ("hour", "18 23:00:00", "19 00:00:00"),
        ("day", "19 00:00:00", "21 00:00:00"),
        ("hour", "21 00:00:00", "21 01:00:00"),
        ("minute", "21 01:00:00", "21 01:01:00"),
        ("raw", "21 01:01:00", "21 01:01:10"),
    ]


@pytest.mark.parametrize(
    ("interval_s", "coarsest"), [(10, "raw"), (60, "minute"), (90, "raw"), (300, "minute"),
                                 (900, "quarter"), (3600, "hour"), (5400, "quarter"),
                                 (604_800, "day")]
)  # fmt: skip
def test_series_use_tiers_that_divide_the_interval(interval_s: int, coarsest: str) -> None:
    found = spans(NOW - timedelta(days=2), NOW, interval_s=interval_s)
    assert list(TIER_SECONDS).index(coarsest) == min(
        list(TIER_SECONDS).index(tier) for tier, _, _ in found
    )


def test_old_edges_are_widened_to_what_is_still_kept() -> None:
    assert spans(NOW - timedelta(days=30, seconds=5), NOW - timedelta(days=30))[0] == (
        "hour", "22 11:00:00", "22 12:00:00",
    )  # fmt: skip
    year = spans(NOW - timedelta(days=200), NOW - timedelta(days=199, hours=1))
    assert [tier for tier, _, _ in year] == ["day"]


def test_raw_answers_old_edges_while_it_is_kept() -> None:
    start, end = (
        NOW - timedelta(days=30, minutes=3),
        NOW - timedelta(days=30) + timedelta(minutes=5),
    )

    def found(raw_from: datetime) -> list[tuple[str, str, str]]:
        kept = Kept(raw=lambda moment: moment >= raw_from)
        segments = plan_segments(TimeRange(start, end), now=NOW, kept=kept)
        return [(s.tier, f"{s.start:%d %H:%M:%S}", f"{s.end:%d %H:%M:%S}") for s in segments]

    assert found(start - timedelta(days=1)) == [("raw", "22 11:57:00", "22 12:05:00")]
    assert found(NOW) == [("hour", "22 11:00:00", "22 13:00:00")]


def test_a_series_of_old_minutes_is_read_from_raw() -> None:
    start = NOW - timedelta(days=6, hours=1)
    kept = Kept(raw=lambda _moment: True)
    segments = plan_segments(
        TimeRange(start, start + timedelta(hours=3)), now=NOW, interval_s=60, kept=kept
    )
    assert [(s.tier, s.end - s.start) for s in segments] == [
        ("raw", timedelta(hours=1)), ("minute", timedelta(hours=2)),
    ]  # fmt: skip


@given(
    start=st.integers(0, 5 * 86_400_000),
    length=st.integers(1, 3 * 86_400_000),
    interval_s=st.sampled_from([None, 7, 60, 300, 3600, 86_400]),
)
def test_segments_cover_the_range_exactly_once(
    start: int, length: int, interval_s: int | None
) -> None:
    begin = NOW - timedelta(days=5) + timedelta(milliseconds=start)
    time_range = TimeRange(begin, begin + timedelta(milliseconds=length))
    segments = plan_segments(time_range, now=NOW, interval_s=interval_s)
    assert segments[0].start == time_range.start
    assert segments[-1].end == time_range.end
    for left, right in zip(segments, segments[1:], strict=False):
        assert left.end == right.start
    for segment in segments:
        step = TIER_SECONDS[segment.tier]
        if step:
            assert floor_time(segment.start, step) == segment.start
            assert floor_time(segment.end, step) == segment.end
        assert interval_s is None or step == 0 or interval_s % step == 0
