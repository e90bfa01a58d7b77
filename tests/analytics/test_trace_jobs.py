from __future__ import annotations

import random
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from analytics.hourly import touched_hours
from analytics.jobs import JOBS
from analytics.query import TimeRange
from analytics.runner import RollupRunner
from analytics.settings import AnalyticsSettings
from analytics.traces import Traces
from storage.lake import Lake
from storage.log import FileEntry
from storage.schemas import TABLES
from storage.session import ReadSession
from tests.analytics.hostile import NOON, request_table
from tests.analytics.test_traces import NAMES, span

WHOLE = TimeRange(NOON - timedelta(hours=4), NOON + timedelta(hours=4))
RAGGED = TimeRange(NOON - timedelta(hours=1, minutes=17), NOON + timedelta(minutes=43))
TRACE_JOBS = ("traces", "attribute_keys", "service_edges")


def random_spans(rng: random.Random, traces: int) -> list[Any]:
    spans = []
    for trace in range(traces):
        begun = NOON + timedelta(seconds=rng.uniform(-2.4, 2.4) * 3600)
        for number in range(rng.randint(1, 6)):
            parent = rng.choice([None, rng.randrange(number + 1)]) if number else None
            spans.append(
                span(
                    trace, number, rng.choice(["a", "b", "支払い", None]), parent,
                    time=begun + timedelta(seconds=rng.uniform(0, 1200)),
                    duration_ns=rng.choice([0, -5, rng.randint(1, 10**10)]),
                    status=rng.choice(["OK", "ERROR", None]),
                    attributes=[(k, "x") for k in rng.sample(["a", "b", "é"], rng.randint(0, 3))],
                )
            )  # fmt: skip
    rng.shuffle(spans)
    return spans


def store(lake: Lake, spans: list[Any], version: int) -> None:
    schema = TABLES["spans"].arrow_schema
    names = (*NAMES, "attributes")
    table = pa.Table.from_pylist(spans, schema=pa.schema([schema.field(n) for n in names]))
    lake.table("spans").append(table, app_id="test", app_version=version)


def test_any_batches_with_jobs_at_any_moment_give_the_same_answers(lake: Lake) -> None:
    rng = random.Random(31)
    spans = random_spans(rng, 120)
    runner = RollupRunner(lake, AnalyticsSettings(duckdb_threads=1))
    cuts = [0, *sorted(rng.sample(range(1, len(spans)), 5)), len(spans)]
    for version, (low, high) in enumerate(zip(cuts, cuts[1:], strict=False), start=1):
        store(lake, spans[low:high], version)
        for job in rng.sample(TRACE_JOBS, rng.randint(0, 3)):
            runner.step(JOBS[job])
        with ReadSession(lake, threads=1) as session:
            check(Traces(session), spans[:high])
    for job in TRACE_JOBS:
        runner.catch_up(JOBS[job])
    with ReadSession(lake, threads=1) as session:
        check(Traces(session), spans)
        kept = session.query("SELECT count(*) AS n FROM service_edges")["n"][0].as_py()
    assert kept > 0


def check(traces: Traces, spans: list[Any]) -> None:
    for time_range in (WHOLE, RAGGED):
        found = traces.edges(time_range)
        edges = {(r["source"], r["target"]): r["calls"] for r in found.to_dicts()}
        assert edges == edges_of(spans, time_range)
    members = defaultdict(list)
    for one in spans:
        members[one["trace_id"]].append(one)
    rows = traces.list(WHOLE, limit=1000).to_dicts()
    assert {r["trace_id"] for r in rows} == set(members)
    assert [r["time"] for r in rows] == sorted((r["time"] for r in rows), reverse=True)
    for row in rows:
        group = members[row["trace_id"]]
        root = min(
            group,
            key=lambda s: (
                s["parent_span_id"] is not None,
                s["start_time_unix_nano"],
                s["span_id"],
            ),
        )
        end = max(s["start_time_unix_nano"] + max(0, s["duration_ns"]) for s in group)
        begun = min(s["start_time_unix_nano"] for s in group)
        assert (row["root_service"], row["root_name"]) == (root["service_name"], root["name"])
        assert row["spans"] == len(group)
        assert row["errors"] == sum(s["status"] == "ERROR" for s in group)
        assert row["services"] == len({s["service_name"] for s in group} - {None})
        assert row["duration_ms"] == pytest.approx((end - begun) / 1e6)
    keys = Counter(key for s in spans for key, _ in s["attributes"])
    assert {r["key"]: r["records"] for r in traces.attributes(WHOLE).to_dicts()} == keys


def edges_of(spans: list[Any], time_range: TimeRange) -> dict[tuple[str, str], int]:
    by_id = {(s["trace_id"], s["span_id"]): s for s in spans}
    calls: Counter[tuple[str, str]] = Counter()
    for child in spans:
        parent = by_id.get((child["trace_id"], child["parent_span_id"]))
        if parent is None or not time_range.start <= child["time"] < time_range.end:
            continue
        after = child["time"] - parent["time"]
        names = (parent["service_name"], child["service_name"])
        near = timedelta(minutes=-1) < after <= timedelta(hours=1)
        if near and None not in names and names[0] != names[1]:
            calls[names] += 1
    return dict(calls)


def test_late_caller_adds_its_calls_to_the_hour_of_the_called(
    lake: Lake, session: ReadSession
) -> None:
    runner = RollupRunner(lake)
    early = NOON - timedelta(minutes=10)
    store(lake, [span(1, 1, "orders", 0, attributes=[])], 1)
    runner.catch_up_all()
    assert Traces(session).edges(WHOLE).height == 0
    store(lake, [span(1, 0, "gateway", None, time=early, attributes=[])], 2)
    runner.catch_up_all()
    assert session.query("SELECT time, calls FROM service_edges").to_pylist() == [
        {"time": NOON, "calls": 1}
    ]
    store(lake, [span(9, 0, "x", None, attributes=[])], 3)
    runner.catch_up_all()
    assert session.query("SELECT sum(calls) AS n FROM service_edges")["n"][0].as_py() == 1


def test_pages_of_traces_are_stable_while_new_ones_arrive(lake: Lake, session: ReadSession) -> None:
    rng = random.Random(5)
    store(lake, random_spans(rng, 30), 1)
    traces = Traces(session)
    whole = traces.list(WHOLE, limit=1000)["trace_id"].to_list()
    seen: list[str] = []
    after = None
    for version in range(2, 100):
        page = traces.list(WHOLE, limit=7, after=after)
        if not page.height:
            break
        seen += page["trace_id"].to_list()
        after = (page["time"][-1], page["trace_id"][-1])
        newer = span(1000 + version, 0, "new", None, time=NOON + timedelta(hours=3), attributes=[])
        store(lake, [newer], version)
    assert seen == whole


def test_traces_are_narrowed_by_service_length_and_errors(lake: Lake, session: ReadSession) -> None:
    store(
        lake,
        [
            span(1, 0, "a", None, duration_ns=900_000_000, attributes=[]),
            span(1, 1, "b", 0, status="ERROR", attributes=[]),
            span(2, 0, "a", None, attributes=[]),
        ],
        1,
    )
    traces = Traces(session)
    first = [f"{1:032x}"]
    assert traces.list(WHOLE, service="b")["trace_id"].to_list() == first
    assert traces.list(WHOLE, min_ms=500)["trace_id"].to_list() == first
    assert traces.list(WHOLE, errors_only=True)["trace_id"].to_list() == first
    assert traces.list(WHOLE, service="nobody").height == 0


def test_values_of_an_attribute_are_counted(lake: Lake, session: ReadSession) -> None:
    values = ["x", "x", "y", None]
    store(
        lake,
        [
            span(1, n, "a", None, attributes=[] if v is None else [("k", v)])
            for n, v in enumerate(values)
        ],
        1,
    )
    found = Traces(session).attribute_values(WHOLE, "k").select("value", "spans").rows()
    assert found == [("x", 2), (None, 1), ("y", 1)] or found == [("x", 2), ("y", 1), (None, 1)]


def test_span_across_the_hour_touches_both_hours() -> None:
    def entry(first: datetime, last: datetime) -> FileEntry:
        times = {"time_min": first, "time_max": last}
        us = {name: int(t.timestamp() * 1e6) for name, t in times.items()}
        return FileEntry(
            path="x", tenant="default", day="2026-11-20", hour=12, size=1, rows=1,
            modified_ms=0, **us,
        )  # fmt: skip

    hours = touched_hours([entry(NOON + timedelta(seconds=30), NOON + timedelta(minutes=5))])
    assert [h.hour for h in hours] == [11, 12, 13]


def test_runner_that_saw_more_does_not_count_again_what_a_slower_one_committed(
    lake: Lake,
) -> None:
    rows = [{"time": NOON, "tenant": "default"}]
    for version in (1, 2, 3):
        lake.table("requests").append(request_table(rows), app_id="t", app_version=version)
    short = RollupRunner(lake, AnalyticsSettings(step_rows_max=1))
    job = JOBS["usage_minute"]

    def slower_commits_first() -> None:
        step = short.step(job)
        assert step is not None
        assert step.committed

    result = RollupRunner(lake).step(job, before_commit=slower_commits_first)
    assert result is not None
    assert not result.committed
    RollupRunner(lake).catch_up_all()
    with ReadSession(lake) as session:
        assert session.query("SELECT sum(requests) AS n FROM usage_day")["n"][0].as_py() == 3
