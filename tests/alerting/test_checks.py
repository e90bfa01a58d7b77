from __future__ import annotations

from datetime import UTC, datetime

import pytest

from alerting.checks import look
from alerting.point import Point
from alerting.rules import parse_rules
from analytics.query import TimeRange
from analytics.quota import QuotaForecast, QuotaUsage
from tests.alerting.world import START, FakeSource

ORDERS = (("api", "orders"),)


def rule(text):
    (found,) = parse_rules("rules:\n  - {name: r, group_by: [api], " + text + "}")
    return found


def at_windows(table):
    """Source that answers by window length and how long ago the window ends."""

    def answer(name, start, end, filters, by):
        found = table.get((round(end - start), round(START - end)))
        return [] if found is None else [Point(ORDERS, *found)]

    return FakeSource(answer=answer)


def one(rule, source):
    (reading,) = look(rule, source, START)
    return reading


def test_change_compares_with_the_same_window_last_week():
    check = rule(
        "kind: change, measure: requests, window: 30m, condition: '< -80%', min_requests: 100"
    )
    week = 604_800
    reading = one(check, at_windows({(1800, 0): (100.0, 100), (1800, week): (1000.0, 1000)}))
    assert (reading.breached, reading.value) == (True, pytest.approx(-0.9))
    assert reading.evidence == "100 requests now, 1,000 requests then."
    reading = one(check, at_windows({(1800, 0): (900.0, 900), (1800, week): (1000.0, 1000)}))
    assert reading.breached is False


def test_traffic_that_vanished_wholly_is_a_change_of_minus_hundred_percent():
    check = rule("kind: change, measure: requests, window: 30m, condition: '< -80%'")
    assert one(check, at_windows({(1800, 604_800): (1000.0, 1000)})).value == -1.0


def test_change_without_enough_before_is_not_judged():
    check = rule(
        "kind: change, measure: requests, window: 30m, condition: '< -80%', min_requests: 100"
    )
    assert one(check, at_windows({(1800, 604_800): (99.0, 99)})).breached is False


def test_absence_misses_only_what_was_there():
    check = rule("kind: absence, window: 5m, seen_within: 6h, min_requests: 50")
    assert one(check, at_windows({(21600, 0): (60.0, 60)})).breached is True
    seen = {(21600, 0): (60.0, 60), (300, 0): (1.0, 1)}
    assert one(check, at_windows(seen)).breached is False
    assert look(check, at_windows({(21600, 0): (49.0, 49)}), START) == []


BURN = "kind: burn_rate, objective: 99.9%, windows: [{long: 1h, short: 5m, factor: 14.4}]"


def test_burn_rate_needs_both_windows():
    fast = {(3600, 0): (0.02, 9000), (300, 0): (0.02, 700), (30 * 86400, 0): (0.0005, 10**6)}
    reading = one(rule(BURN), at_windows(fast))
    assert (reading.breached, reading.value) == (True, pytest.approx(20.0))
    assert reading.evidence == "At this rate the month's budget is gone in 18 h; 50 % left."
    over = {**fast, (300, 0): (0.001, 700)}
    assert one(rule(BURN), at_windows(over)).breached is False
    assert one(rule(BURN), at_windows({(3600, 0): (0.02, 9000)})).breached is None


def test_used_up_budget_is_said_so():
    used = {(3600, 0): (0.02, 9000), (300, 0): (0.02, 700), (30 * 86400, 0): (0.002, 10**6)}
    assert one(rule(BURN), at_windows(used)).evidence == "The month's budget is gone."


NOVEMBER = TimeRange(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


def usage(used, *, limit=1000, out=None, earliest=None, latest=None):
    """A month's usage whose forecast runs out on those days of November (None = not in it)."""
    at, first, last = (
        day and datetime(2026, 11, day, tzinfo=UTC) for day in (out, earliest, latest)
    )
    ahead = QuotaForecast(at, first, last, used_at_end=2000.0, error=0.1)
    return QuotaUsage("acme", None, "p", None, "month", NOVEMBER, limit, used, 0, ahead)


def test_quota_share_is_judged_and_says_what_is_to_come():
    (check,) = parse_rules("rules:\n  - {name: q, kind: quota, condition: '> 90%'}")
    source = FakeSource(usages=[usage(950, out=20, earliest=19, latest=22)])
    reading = one(check, source)
    assert reading.labels == (("consumer", "acme"),)
    assert (reading.breached, reading.value, reading.requests) == (True, 0.95, 950)
    assert reading.evidence == (
        "950 of 1,000 requests. It is expected to run out on 2026-11-20 00:00 UTC "
        "(80 %: 11-19 00:00 to 11-22 00:00)."
    )


@pytest.mark.parametrize(
    ("found", "breached"),
    [
        (usage(500, out=20, earliest=18, latest=26), True),
        (usage(500, out=20, earliest=18, latest=28), False),  # its late end is too near the end
        (usage(500, out=20, earliest=18), False),  # it may well last
        (usage(500, earliest=28), False),
        (usage(500), False),
        (usage(1000), True),  # gone already
        (usage(0, limit=0), True),
    ],
)
def test_quota_that_runs_out_early_is_judged_by_the_late_end_of_its_forecast(found, breached):
    (check,) = parse_rules("rules:\n  - {name: q, kind: quota, runs_out_before_end: 4d}")
    assert one(check, FakeSource(usages=[found])).breached is breached


def test_known_series_without_data_is_zero_for_counts_and_unmeasured_for_ratios():
    counted = rule("measure: requests, condition: '< 1'")
    ratio = rule("measure: error_rate, condition: '> 5%'")
    assert look(counted, FakeSource(), START, [ORDERS])[0].breached is True
    assert look(ratio, FakeSource(), START, [ORDERS])[0].breached is None
