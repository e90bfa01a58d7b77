"""Rows for the lake: the schema to the letter, and the same facts as the calls they come from."""

from __future__ import annotations

import uuid

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sample_data.access_logs import access_log_table
from sample_data.call import calls_of
from sample_data.columns import hex_text, map_column, pick
from sample_data.company import build_company
from sample_data.log_rows import logs_table
from sample_data.requests import Requests
from sample_data.rows import requests_table
from sample_data.scenario import SECOND_US, live_scenario
from sample_data.span_rows import spans_table
from sample_data.traffic import generate
from storage.schemas import LOGS, REQUESTS, SPANS

START_US = 1_795_176_000 * SECOND_US
COMPANY = build_company()


def _requests() -> Requests:
    return generate(COMPANY, live_scenario(START_US), START_US, START_US + 100 * SECOND_US)


def test_tables_have_exactly_the_schema_of_the_lake() -> None:
    requests = _requests()
    for build, spec in ((requests_table, REQUESTS), (spans_table, SPANS), (logs_table, LOGS)):
        table = build(COMPANY, requests)
        assert table.schema.equals(spec.arrow_schema)
        table.validate(full=True)
        empty = build(COMPANY, requests.take(slice(0, 0)))
        assert empty.num_rows == 0 and empty.schema.equals(spec.arrow_schema)


def test_rows_tell_what_the_calls_were() -> None:
    requests = _requests()
    rows = requests_table(COMPANY, requests).to_pylist()
    for row, call in zip(rows, calls_of(COMPANY, requests), strict=True):
        assert row["path"] == call.path
        assert row["status_code"] == call.status
        assert row["outcome"] == call.outcome
        assert row["consumer"] == (call.consumer.name if call.consumer else None)
        assert row["country"] == call.address.country
        if call.operation.gateway == "nginx":
            assert row["trace_id"] is None and row["duration_ms"] is None
        else:
            assert row["trace_id"] == call.trace_id.hex()
            assert row["span_id"] == call.span_ids[0].hex()
            assert row["upstream_ms"] == call.upstream_ms
            assert row["quota_remaining"] == call.quota_remaining


def test_total_time_is_gateway_plus_upstream() -> None:
    table = requests_table(COMPANY, _requests())
    table = table.filter(pc.is_valid(table["duration_ms"]))
    total = table["duration_ms"].to_numpy()
    parts = table["gateway_ms"].to_numpy() + np.nan_to_num(
        table["upstream_ms"].to_numpy(zero_copy_only=False)
    )
    np.testing.assert_allclose(total, parts, rtol=1e-5)


def test_paths_match_their_templates() -> None:
    import re

    for row in requests_table(COMPANY, _requests()).to_pylist():
        if row["route"] != "__unmatched__":
            pattern = re.sub(r"\\\{\w+\\\}", r"[^/]+", re.escape(row["route"]))
            assert re.fullmatch(pattern, row["path"]), row["path"]


def test_spans_form_trees_that_lie_inside_their_parents() -> None:
    spans = {row["span_id"]: row for row in spans_table(COMPANY, _requests()).to_pylist()}
    roots = [row for row in spans.values() if row["parent_span_id"] is None]
    assert len({row["trace_id"] for row in roots}) == len(roots)
    for row in spans.values():
        if row["parent_span_id"] is not None:
            parent = spans[row["parent_span_id"]]
            assert parent["trace_id"] == row["trace_id"]
            start, end = (
                row["start_time_unix_nano"],
                row["start_time_unix_nano"] + row["duration_ns"],
            )
            assert parent["start_time_unix_nano"] <= start
            assert end <= parent["start_time_unix_nano"] + parent["duration_ns"]


def test_spans_of_requests_carry_the_ids_of_the_rows() -> None:
    requests = _requests()
    rows = requests_table(COMPANY, requests)
    spans = spans_table(COMPANY, requests)
    gateway = spans.filter(pc.is_null(spans["parent_span_id"]))
    assert set(gateway["span_id"].to_pylist()) == set(rows["span_id"].drop_null().to_pylist())


def test_every_failed_call_that_reached_a_service_left_an_error_log() -> None:
    requests = _requests()
    logs = logs_table(COMPANY, requests)
    errors = logs.filter(pc.equal(logs["severity_text"], "ERROR"))
    failed = [
        call
        for call in calls_of(COMPANY, requests)
        if call.outcome == "server_error"
        and call.operation.gateway != "nginx"
        and call.upstream_status is not None
    ]
    assert sorted(errors["trace_id"].to_pylist()) == sorted(c.trace_id.hex() for c in failed)
    assert all(dict(a)["exception.type"] for a in errors["attributes"].to_pylist())


def test_hex_text_is_what_python_prints() -> None:
    numbers = np.array([[0, 1], [2**64 - 1, 0xABCDEF]], np.uint64)
    assert hex_text(numbers).to_pylist() == [f"{a:016x}{b:016x}" for a, b in numbers.tolist()]
    assert hex_text(np.zeros((0, 2), np.uint64)).to_pylist() == []


def test_pick_gives_null_for_a_negative_index() -> None:
    assert pick(["a", "b"], np.array([1, -1, 0])).to_pylist() == ["b", None, "a"]


def test_map_column_leaves_null_values_out() -> None:
    maps = map_column(("x", "y"), (pa.array(["1", None]), pa.array([None, None], pa.string())))
    assert maps.to_pylist() == [[("x", "1")], []]


def test_access_logs_know_milliseconds_a_request_id_and_few_traces() -> None:
    requests = _requests()
    traced = np.arange(len(requests)) % 5 == 0
    rows = access_log_table(COMPANY, requests, traced)
    assert rows.schema.equals(REQUESTS.arrow_schema)
    rows.validate(full=True)
    for row, was_traced in zip(rows.to_pylist(), traced, strict=True):
        assert row["time"].microsecond % 1000 == 0 and row["span_id"] is None
        if row["gateway"] == "nginx":
            assert row["request_id"] is None and row["trace_id"] is None
            continue
        assert (row["trace_id"] is not None) == was_traced
        assert row["duration_ms"] == row["gateway_ms"] + (row["upstream_ms"] or 0.0)
        if row["gateway"] == "envoy":
            assert uuid.UUID(row["request_id"]).version == 4
        else:
            assert len(bytes.fromhex(row["request_id"])) == 16
    ids = rows["request_id"].drop_null()
    assert len(ids.unique()) == len(ids) > 0
