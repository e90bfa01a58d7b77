"""Two traces side by side: self times, counts and failures of each operation."""

from __future__ import annotations

from typing import Any

import polars as pl

from analytics.trace_compare import compare_traces

SCHEMA = {
    "service_name": pl.String, "name": pl.String, "span_id": pl.String,
    "parent_span_id": pl.String, "start_time_unix_nano": pl.Int64, "duration_ns": pl.Int64,
    "status": pl.String,
}  # fmt: skip


def trace(*spans: tuple[str | None, str, str, str | None, float, str]) -> pl.DataFrame:
    """(service, name, id, parent, milliseconds, status)."""
    rows = [(s, n, i, p, 0, round(ms * 1e6), status) for s, n, i, p, ms, status in spans]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def row(frame: pl.DataFrame, name: str) -> dict[str, Any]:
    return frame.filter(pl.col("name") == name).to_dicts()[0]


FAST = trace(("gw", "GET", "1", None, 10, "OK"), ("db", "select", "2", "1", 4, "OK"))
SLOW = trace(
    ("gw", "GET", "1", None, 100, "OK"),
    ("db", "select", "2", "1", 40, "OK"),
    ("db", "select", "3", "1", 50, "ERROR"),
)


def test_a_slow_leaf_does_not_blame_what_stands_above_it() -> None:
    found = compare_traces(SLOW, FAST)
    assert found["name"].to_list() == ["select", "GET"]
    assert row(found, "select")["diff_ms"] == 86  # 90 - 4
    assert row(found, "GET") == {
        "service_name": "gw", "name": "GET", "spans": 1, "self_ms": 10.0, "errors": 0,
        "spans_there": 1, "self_ms_there": 6.0, "errors_there": 0, "diff_ms": 4.0,
    }  # fmt: skip


def test_counts_and_failures_are_of_each_side() -> None:
    select = row(compare_traces(SLOW, FAST), "select")
    assert (select["spans"], select["errors"]) == (2, 1)
    assert (select["spans_there"], select["errors_there"]) == (1, 0)


def test_the_other_way_round_is_the_same_with_the_sign_turned() -> None:
    one, other = compare_traces(SLOW, FAST), compare_traces(FAST, SLOW)
    assert one["name"].to_list() == other["name"].to_list()
    assert one["diff_ms"].to_list() == [-d for d in other["diff_ms"].to_list()]


def test_an_operation_of_one_side_alone_counts_zero_on_the_other() -> None:
    extra = trace(("cache", "get", "9", None, 3, "OK"))
    here = row(compare_traces(pl.concat([FAST, extra]), FAST), "get")
    assert (here["spans_there"], here["self_ms_there"], here["diff_ms"]) == (0, 0.0, 3.0)
    there = row(compare_traces(FAST, pl.concat([FAST, extra])), "get")
    assert (there["service_name"], there["spans"], there["diff_ms"]) == ("cache", 0, -3.0)


def test_children_that_run_side_by_side_leave_no_negative_time() -> None:
    wide = trace(
        ("gw", "GET", "1", None, 10, "OK"),
        ("db", "select", "2", "1", 8, "OK"),
        ("db", "select", "3", "1", 8, "OK"),
    )
    assert row(compare_traces(wide, FAST), "GET")["self_ms"] == 0


def test_spans_without_a_service_meet_each_other() -> None:
    nameless = trace((None, "work", "1", None, 5, "OK"))
    found = compare_traces(nameless, nameless)
    assert found.height == 1
    assert found["diff_ms"].to_list() == [0.0]


def test_nothing_against_nothing_is_empty() -> None:
    assert compare_traces(trace(), trace()).is_empty()
