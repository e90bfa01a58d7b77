"""Uptime of endpoints equals what a loop over the rows says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from analytics.endpoint_uptime import endpoint_uptime
from analytics.policy import Policy
from analytics.query import Analytics, Filters, TimeRange
from analytics.runner import RollupRunner
from storage.catalog import ExpectedError
from storage.lake import Lake
from storage.session import ReadSession
from tests.analytics import oracle
from tests.analytics.hostile import NOON, random_rows
from tests.analytics.oracle import Row

SPAN = TimeRange(NOON - timedelta(minutes=90), NOON + timedelta(minutes=90))


def told(rows: list[Row], span: TimeRange, step_s: int) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """(steps with a request, of those with one that did not fail, start of the last failed one)."""
    steps: dict[tuple[Any, ...], dict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for row in oracle.select(rows, span.start, span.end):
        step = int(row["time"].timestamp() // step_s)
        endpoint = (row["api"], row["route"], row["method"])
        steps[endpoint][step].append(oracle.is_error(row))
    found = {}
    for endpoint, failed in steps.items():
        down = [step for step, errors in failed.items() if all(errors)]
        found[endpoint] = (
            len(failed), len(failed) - len(down), max(down) * step_s if down else None,
        )  # fmt: skip
    return found


def asked(analytics: Analytics, span: TimeRange) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    return {
        (r["api"], r["route"], r["method"]): (
            r["minutes_measured"],
            r["minutes_up"],
            None if r["last_down"] is None else int(r["last_down"].timestamp()),
        )
        for r in endpoint_uptime(analytics, span).iter_rows(named=True)
    }


@pytest.mark.parametrize("rolled_up", [False, True])
def test_uptime_is_what_a_loop_over_the_rows_says(
    rolled_up: bool, lake: Lake, store: Callable[[list[Row]], None], session: ReadSession
) -> None:
    rows = random_rows(11, 300, spread_s=5_000)
    store(rows[:200])
    if rolled_up:
        RollupRunner(lake).catch_up_all()
    store(rows[200:])  # late, and not counted yet
    soon = Analytics(session, clock=lambda: NOON + timedelta(hours=2))
    assert asked(soon, SPAN) == told(rows, SPAN, 60)
    assert asked(soon, SPAN) == told(rows, SPAN, 60)  # from memory
    # a month on, minutes are not kept: judged by the hour
    later = Analytics(session, clock=lambda: NOON + timedelta(days=30))
    hours = TimeRange(NOON - timedelta(hours=2), NOON + timedelta(hours=2))
    assert asked(later, hours) == told(rows, hours, 3600)


def test_nothing_measured_is_neither_up_nor_down(
    store: Callable[[list[Row]], None], session: ReadSession
) -> None:
    analytics = Analytics(session, clock=lambda: NOON + timedelta(hours=2))
    assert endpoint_uptime(analytics, SPAN).height == 0
    one = {"time": NOON, "tenant": "default", "api": "a", "route": "/x", "method": "GET"}
    store([{**one, "status_code": 503, "outcome": "server_error"}])
    [row] = endpoint_uptime(analytics, SPAN).to_dicts()
    assert (row["minutes_measured"], row["minutes_up"], row["uptime"]) == (1, 0, 0.0)
    assert (row["coverage"], row["last_down"]) == (pytest.approx(1 / 180), NOON)
    assert endpoint_uptime(analytics, SPAN, Filters(api=("b",))).height == 0
    rule = ExpectedError(status_codes=("503",), route="/x")
    expecting = Analytics(session, clock=analytics.now, policy=Policy(expected=(("a", rule),)))
    assert endpoint_uptime(expecting, SPAN)["uptime"].to_list() == [1.0]
