"""What is kept between questions never changes an answer: late rows, merges, cut hours, scopes."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from analytics.headroom import rate_headroom
from analytics.jobs import JOBS
from analytics.query import Analytics, Filters, Policy, TimeRange
from analytics.runner import RollupRunner
from analytics.settled import SettledSums
from storage.catalog import Catalog, Consumer, ExcludedEndpoint, Plan
from storage.lake import Lake
from storage.maintenance import compact
from storage.row_scope import RowScope
from storage.session import ReadSession
from tests.analytics import oracle
from tests.analytics.hostile import NOON, random_rows
from tests.analytics.oracle import Row

SEALED = NOON + timedelta(days=36_500)
"""Late enough that merging seals every hour, by the clock that wrote the files as well."""

POLICY = Policy(excluded=(ExcludedEndpoint(path="/orders/{id}", method="GET"),))

CATALOG = Catalog(
    plans=(Plan(name="p", rate_limit_per_minute=1),),
    consumers=tuple(Consumer(name=name, plan="p") for name in ("acme", "ACME", "nobody")),
)

BY_API = """
    SELECT epoch_us(time) // 3600000000 AS stored_hour, api, count(*) AS requests
    FROM requests
    WHERE time >= $start AND time < $end
    GROUP BY ALL
"""

QUESTIONS: dict[str, Callable[[Analytics, TimeRange], Any]] = {
    "usage": lambda a, r: a.usage(r, by=("api",)),
    "series": lambda a, r: a.usage(r, by=("method",), interval_s=1800),
    "consumers": lambda a, r: a.usage(r, Filters(api=("orders",)), by=("consumer",)),
    "latency": lambda a, r: a.latency(r, by=("api",)),
    "latency series": lambda a, r: a.latency(r, interval_s=900),
    "consumer latency": lambda a, r: a.latency(r, Filters(consumer=("acme",)), by=("api",)),
    "consumers side by side": lambda a, r: a.breakdown(r, by="consumer"),
    "seen": lambda a, r: a.seen(r, by="api"),
    "overview": lambda a, r: a.overview(r),
    "narrowed": lambda a, r: a.narrowed(RowScope(consumers=("acme",))).usage(r, by=("api",)),
    "completeness": lambda a, r: a.completeness(r),
    "headroom": lambda a, r: rate_headroom(a, CATALOG, r),
    "raw rows": lambda a, r: a.settled_rows("requests", BY_API, {}, r).group_by("api").sum(),
    "rings": lambda a, r: a.rings(
        "usage", [r.start, r.start + (r.end - r.start) / 3, r.end], by=("api",)
    ),
}


def later(minutes: float, hours: float = 5) -> TimeRange:
    start = NOON - timedelta(hours=3) + timedelta(minutes=minutes)
    return TimeRange(start, start + timedelta(hours=hours))


def comparable(answer: Any) -> Any:
    if not isinstance(answer, pl.DataFrame):
        return answer
    floats = pl.col(pl.Float64).round_sig_figs(9)  # sums in another order differ in the last digits
    return answer.with_columns(floats).sort(answer.columns).rows()


def now() -> datetime:
    return NOON + timedelta(hours=4)


def test_an_answer_from_memory_is_the_answer_of_the_lake(
    lake: Lake, store: Callable[[list[Row]], None], session: ReadSession, seed: int
) -> None:
    rng = random.Random(seed)
    settled = SettledSums()
    asked = Analytics(session, clock=now, policy=POLICY, settled=settled)
    for step in range(3):
        store(random_rows(step, 120))  # into hours that were settled before, too
        runner = RollupRunner(lake)
        for job in JOBS.values() if step % 2 else rng.sample(list(JOBS.values()), 4):
            runner.catch_up(job)
        if step == 1:
            for job in JOBS.values():
                compact(lake, job.target, SEALED)
            compact(lake, "requests", SEALED)
        fresh = Analytics(session, clock=now, policy=POLICY, settled=SettledSums(0))
        for minutes in (0, rng.choice((1, 7.5, 61))):
            for name, ask in QUESTIONS.items():
                expected = comparable(ask(fresh, later(minutes)))
                for _ in range(2):
                    assert comparable(ask(asked, later(minutes))) == expected, (name, minutes, step)
    assert settled.hits > settled.misses


def test_a_moved_range_reads_only_what_is_not_settled(
    lake: Lake,
    store: Callable[[list[Row]], None],
    session: ReadSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = random_rows(1, 300)
    store(rows)
    RollupRunner(lake).catch_up_all()
    for job in JOBS.values():
        compact(lake, job.target, SEALED)
    analytics = Analytics(session, clock=now)
    analytics.usage(later(0), by=("api",))
    reads: list[str] = []
    query = session.query

    def noted(sql: str, *more: Any, **how: Any) -> Any:
        reads.append(sql)
        return query(sql, *more, **how)

    monkeypatch.setattr(session, "query", noted)
    moved = later(3)
    found = analytics.usage(moved, by=("api",))
    assert reads == []
    assert found["requests"].sum() == len(oracle.select(rows, moved.start, moved.end))


def test_room_is_bounded_and_the_least_used_goes_first() -> None:
    frame = pl.DataFrame({"requests": range(1000)})
    settled = SettledSums(bytes_max=3 * 8_600)
    for key in "abc":
        settled.put(key, frame)
    assert settled.get("a") is not None
    settled.put("d", frame)
    assert [key for key in "abcd" if settled.get(key) is not None] == ["a", "c", "d"]
    settled.put("e", pl.DataFrame({"requests": range(100_000)}))
    assert settled.get("e") is None
