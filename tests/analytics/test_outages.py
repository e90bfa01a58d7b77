"""When no collector took data: the arithmetic against a naive count of minutes, and the store."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert

from analytics.outages import NOTHING_KNOWN, SHORTEST_S, CollectorTimes, Outages, outages_between
from analytics.query import Analytics, TimeRange
from analytics.report_content import _note
from storage.session import ReadSession
from storage.state_collectors import LATE_S, collector_stretches
from tests.analytics.hostile import NOON

MINUTE = timedelta(minutes=1)
stretches = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda s: (s[0], s[0] + s[1])), max_size=8
)


def at(minute: float) -> datetime:
    return NOON + minute * MINUTE


def hour(start: float = 0, end: float = 60) -> TimeRange:
    return TimeRange(at(start), at(end))


def keep(engine: Engine, *known: tuple[float, float], collector: str = "one") -> None:
    """Stretches by minutes after noon."""
    rows = [
        {"collector": collector, "since": at(a).timestamp(), "until": at(b).timestamp()}
        for a, b in known
    ]
    with engine.begin() as connection:
        connection.execute(insert(collector_stretches), rows)


def naive(known: list[tuple[int, int]], start: int, end: int, now: int) -> set[int]:
    """Minutes of [start, end) in which nobody listened: looks at each, after the first that is
    known."""
    first = min((a for a, _ in known), default=now)
    listened = {minute for a, b in known for minute in range(a, b)}
    return {m for m in range(max(start, first), min(end, now)) if m not in listened}


@settings(max_examples=100, deadline=None)
@given(stretches, st.integers(-5, 70), st.integers(1, 60), st.integers(75, 90))
def test_outages_are_the_minutes_in_which_nobody_listened(
    known: list[tuple[int, int]], start: int, length: int, now: int
) -> None:
    end = start + length
    seconds = [(a * 60.0, b * 60.0) for a, b in known]
    found = outages_between(seconds, start * 60, end * 60, now * 60)
    minutes = [m for a, b in found for m in range(int(a // 60), int(b // 60))]
    assert len(minutes) == len(set(minutes))
    assert set(minutes) == naive(known, start, end, now)
    assert all(b <= c for (_, b), (c, _) in pairwise(found))


@settings(max_examples=100, deadline=None)
@given(stretches, st.integers(0, 60), st.integers(1, 30))
def test_a_range_is_told_the_same_whatever_lies_around_it(
    known: list[tuple[int, int]], start: int, length: int
) -> None:
    """The store is asked for the range and its neighbours only."""
    end, now = start + length, 80
    seconds = [(a * 60.0, b * 60.0) for a, b in known]
    whole = outages_between(seconds, 0, now * 60, now * 60)
    cut = [(max(a, start * 60.0), min(b, end * 60.0)) for a, b in whole]
    around = [s for s in seconds if s[1] >= start * 60 and s[0] <= end * 60]
    before = [s for s in seconds if s[1] < start * 60]
    after = [s for s in seconds if s[0] > end * 60]
    edges = [max(s[1] for s in before)] if before else []
    edges += [min(s[0] for s in after)] if after else []
    asked = outages_between([*around, *((e, e) for e in edges)], start * 60, end * 60, now * 60)
    assert asked == [(a, b) for a, b in cut if a < b]


def test_the_store_tells_what_the_arithmetic_does(engine: Engine) -> None:
    times = CollectorTimes(engine)
    assert times.outages(hour(), at(60)) == NOTHING_KNOWN
    keep(engine, (-30, -10), (5, 20), (70, 90))
    keep(engine, (15, 25), (40, 41), collector="two")
    found = times.outages(hour(), at(90))
    assert found.known_from == at(-30)
    assert found.spans == ((at(0), at(5)), (at(25), at(40)), (at(41), at(60)))
    assert found.seconds == 39 * 60
    assert found.share_taken(hour(), at(90)) == 21 / 60
    assert times.outages(hour(-60, -40), at(90)).spans == ()  # before anything is known
    assert times.outages(hour(-60, -40), at(90)).share_taken(hour(-60, -40), at(90)) is None
    assert times.outages(hour(-60, 0), at(90)).spans == ((at(-10), at(0)),)
    assert times.outages(hour(71, 80), at(90)).spans == ()


def test_a_beat_that_is_still_to_come_is_no_outage(engine: Engine) -> None:
    keep(engine, (0, 30))
    times, ends = CollectorTimes(engine), at(30)
    waiting = ends + timedelta(seconds=LATE_S)
    assert times.outages(hour(), waiting) == Outages(at(0))
    missing = times.outages(hour(), waiting + timedelta(seconds=1))
    assert (missing.ongoing, missing.spans) == (
        True,
        ((ends, waiting + timedelta(seconds=1)),),
    )


def test_a_restart_within_the_record_s_own_error_is_no_outage(engine: Engine) -> None:
    keep(engine, (0, 10), (10 + SHORTEST_S / 60, 20), (20 + SHORTEST_S / 60 + 0.1, 60))
    (told,) = CollectorTimes(engine).outages(hour(), at(60)).spans
    assert told == (at(20), at(20 + SHORTEST_S / 60 + 0.1))


def test_what_a_clock_that_was_ahead_left_behind_hides_nothing(engine: Engine) -> None:
    keep(engine, (0, 30), (900, 950))
    found = CollectorTimes(engine).outages(hour(), at(40))
    assert (found.spans, found.ongoing) == (((at(30), at(40)),), True)


def test_of_very_many_outages_the_longest_are_told(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(engine, *((m, m + 1) for m in range(0, 40, 2)), (45, 60))
    monkeypatch.setattr("analytics.outages.OUTAGES_MAX", 3)
    found = CollectorTimes(engine).outages(hour(), at(60)).spans
    assert found == ((at(1), at(2)), (at(3), at(4)), (at(39), at(45)))


def test_completeness_and_reports_tell_them(session: ReadSession, engine: Engine) -> None:
    analytics = Analytics(session, clock=lambda: at(60), collectors=CollectorTimes(engine))
    assert analytics.completeness(hour()).outages == NOTHING_KNOWN
    keep(engine, (-10, 20), (26, 60))
    found = analytics.narrowed(None).completeness(hour())
    assert found.outages.spans == ((at(20), at(26)),)
    assert "No collector took data for 6 min of the period" in _note(found)
    assert Analytics(session).outages(hour()) == NOTHING_KNOWN
