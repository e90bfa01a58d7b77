from __future__ import annotations

import random
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from analytics.errors import QueryRefused
from analytics.jobs import JOBS
from analytics.query import TimeRange
from analytics.runner import RollupRunner
from analytics.settled import SettledSums
from analytics.traces import Traces
from storage.lake import Lake
from storage.maintenance import compact
from storage.schemas import TABLES
from storage.session import ReadSession
from tests.analytics.hostile import NOON
from tests.analytics.oracle import exact_quantile

RANGE = TimeRange(NOON - timedelta(minutes=30), NOON + timedelta(minutes=30))
NAMES = ("time", "tenant", "start_time_unix_nano", "duration_ns", "trace_id", "span_id",
         "parent_span_id", "name", "kind", "status", "service_name",
         "http_response_status_code", "events")  # fmt: skip


def span(trace: int, number: int, service: str | None, parent: int | None, **other: Any) -> Any:
    moment = other.pop("time", NOON) + timedelta(milliseconds=number)
    return {
        "time": moment,
        "tenant": "default",
        "start_time_unix_nano": int(moment.timestamp() * 1e6) * 1000,
        "duration_ns": 5_000_000,
        "trace_id": f"{trace:032x}",
        "span_id": f"{number + 1:016x}",
        "parent_span_id": None if parent is None else f"{parent + 1:016x}",
        "name": f"op{number}",
        "status": "OK",
        "service_name": service,
        **other,
    }


def store(lake: Lake, spans: list[Any], version: int = 1) -> None:
    schema = TABLES["spans"].arrow_schema
    table = pa.Table.from_pylist(spans, schema=pa.schema([schema.field(n) for n in NAMES]))
    lake.table("spans").append(table, app_id="test", app_version=version)


def test_trace_is_summed_up_from_its_spans(lake: Lake, session: ReadSession) -> None:
    store(
        lake,
        [
            span(1, 1, "orders", 0, status="ERROR"),
            span(1, 0, "gateway", None, duration_ns=90_000_000),
            span(1, 2, "db", 1, duration_ns=-7),
            span(2, 0, "cron", 99, time=NOON - timedelta(minutes=1)),
        ],
    )
    rows = Traces(session).list(RANGE).to_dicts()
    assert [r["trace_id"] for r in rows] == [f"{1:032x}", f"{2:032x}"]
    first = rows[0]
    assert (first["root_service"], first["root_name"]) == ("gateway", "op0")
    assert (first["spans"], first["errors"], first["services"]) == (3, 1, 3)
    assert first["duration_ms"] == pytest.approx(90)
    assert rows[1]["root_service"] == "cron"


def test_edges_equal_the_oracle(lake: Lake, session: ReadSession) -> None:
    rng = random.Random(4)
    spans = []
    for trace in range(60):
        for number in range(rng.randint(1, 8)):
            parent = rng.choice([None, rng.randrange(number + 1)]) if number else None
            spans.append(
                span(
                    trace, number, rng.choice(["a", "b", "支払い", None]), parent,
                    duration_ns=rng.choice([0, -5, rng.randint(1, 10**10)]),
                    status=rng.choice(["OK", "ERROR", None]),
                    http_response_status_code=rng.choice([None, 200, 503]),
                )
            )  # fmt: skip
    store(lake, spans)
    store(lake, spans[:1], version=2)  # the same span once more, as a parent
    by_id = {(s["trace_id"], s["span_id"]): s for s in spans}
    calls: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for child in [*spans, spans[0]]:
        parent = by_id.get((child["trace_id"], child["parent_span_id"]))
        names = (parent and parent["service_name"], child["service_name"])
        if None not in names and names[0] != names[1]:
            calls[names].append(child)
    found = Traces(session).edges(RANGE)
    assert found.height == len(calls)
    for row in found.iter_rows(named=True):
        group = calls[(row["source"], row["target"])]
        times = [max(0, c["duration_ns"]) / 1e6 for c in group]
        failed = [
            c for c in group if c["status"] == "ERROR" or c["http_response_status_code"] == 503
        ]
        assert (row["calls"], row["errors"]) == (len(group), len(failed))
        assert row["p95_ms"] == pytest.approx(exact_quantile(times, 0.95), rel=0.01)


def test_caller_that_began_before_the_range_is_found(lake: Lake, session: ReadSession) -> None:
    early = RANGE.start - timedelta(minutes=5)
    store(lake, [span(1, 0, "gateway", None, time=early), span(1, 1, "orders", 0)])
    assert Traces(session).edges(RANGE).select("source", "target").rows() == [("gateway", "orders")]


def test_hours_cut_between_minutes_are_told_from_memory_alike(
    lake: Lake, session: ReadSession
) -> None:
    rng = random.Random(4)
    spans = []
    for trace in range(200):
        at = RANGE.start + timedelta(seconds=rng.uniform(0, 7000))
        spans += [span(trace, 0, "gateway", None, time=at), span(trace, 1, "orders", 0, time=at)]
    store(lake, spans)
    compact(lake, "spans", RANGE.start + timedelta(days=36_500))
    RollupRunner(lake).catch_up(JOBS["service_edges"])
    settled = SettledSums()
    for minutes in (0, 7, 11, 11.5):
        start = RANGE.start + timedelta(minutes=minutes)
        cut = TimeRange(start, start + timedelta(minutes=110))
        children = [s for s in spans if s["parent_span_id"] is not None]
        called = sum(cut.start <= s["time"] < cut.end for s in children)
        found = Traces(session, settled=settled).edges(cut)
        assert found["calls"].to_list() == [called]
    assert settled.hits > 0


def test_exceptions_are_grouped_by_what_they_say(lake: Lake, session: ReadSession) -> None:
    def thrown(message: str | None) -> list[Any]:
        attributes = [("exception.type", "KeyError"), ("exception.message", message)]
        return [{"time_unix_nano": 1, "name": "exception", "attributes": attributes}]

    messages = ["order 17 not found", "order 99 not found", "key 'a\"b'", "key 'zz'", "", None]
    store(lake, [span(1, n, "orders", None, events=thrown(m)) for n, m in enumerate(messages)])
    found = Traces(session).exceptions(RANGE)
    counts = {row["message"]: row["occurrences"] for row in found.iter_rows(named=True)}
    assert counts == {"order # not found": 2, "key #": 2, "": 1, None: 1}


def test_spans_of_a_trace_come_in_order(lake: Lake, session: ReadSession) -> None:
    store(lake, [span(7, 2, "b", 0), span(7, 0, "a", None), span(8, 1, "c", None)])
    found = Traces(session).spans(f"{7:032X}", RANGE)
    assert found["name"].to_list() == ["op0", "op2"]


@pytest.mark.parametrize("trace_id", ["", "xyz", "' OR 1=1 --", "0" * 31])
def test_what_is_no_trace_id_is_refused(session: ReadSession, trace_id: str) -> None:
    with pytest.raises(QueryRefused):
        Traces(session).spans(trace_id)


def test_without_spans_there_is_nothing_and_no_error(session: ReadSession) -> None:
    traces = Traces(session)
    assert traces.list(RANGE).height == traces.edges(RANGE).height == 0
    assert traces.exceptions(RANGE).height == traces.spans("0" * 32).height == 0
