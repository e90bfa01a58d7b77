"""What is refused, record by record or as a whole, and that both passes agree about it."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.errors import MalformedBody
from collector.otlp import OTLP_LOGS, OTLP_METRICS, OTLP_TRACES, OtlpFormat
from collector.otlp.limits import FUTURE_MAX_NANO, TIME_MIN_UNIX_NANO, OtlpLimits
from collector.otlp.machine import compiling_s
from collector.otlp.warm import warm_kernels
from tests.collector.otlp.compare import payload, rows_of
from tests.collector.otlp.messages import NOW, sized


def traces(*spans: dict[str, Any]) -> bytes:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add(spans=spans)
    return bytes(request.SerializeToString())


def reason(otlp: OtlpFormat, body: bytes) -> str | None:
    """Why the only record of `body` is refused; None if it is not."""
    offered = payload(otlp.name, body)
    admission, decoded = otlp.admit(offered), otlp.decode([offered])
    assert (admission.records, otlp.validate(offered)) == (1, 1)
    assert (decoded.accepted, decoded.rejected) == (1 - admission.rejected, admission.rejected)
    assert bool(admission.message) == bool(admission.rejected)
    rejects = rows_of(decoded.tables.get("rejects"))
    return rejects[0]["reason"] if rejects else None


LATEST = NOW + FUTURE_MAX_NANO
LATE, OK = "time_out_of_range", None
TIMES = [
    (0, OK), (1, LATE), (TIME_MIN_UNIX_NANO - 1, LATE), (TIME_MIN_UNIX_NANO, OK), (NOW, OK),
    (LATEST, OK), (LATEST + 1, LATE), (2**63 - 1, LATE), (2**63, LATE), (2**64 - 1, LATE),
]  # fmt: skip


@pytest.mark.parametrize(("time", "wanted"), TIMES)
def test_absurd_times_are_refused_and_absent_ones_replaced(time: int, wanted: str | None) -> None:
    assert reason(OTLP_TRACES, traces({"start_time_unix_nano": time})) == wanted
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=time)
    assert reason(OTLP_LOGS, logs.SerializeToString()) == wanted
    metrics = ExportMetricsServiceRequest()
    metrics.resource_metrics.add().scope_metrics.add().metrics.add(
        gauge={"data_points": [{"time_unix_nano": time}]}
    )
    assert reason(OTLP_METRICS, metrics.SerializeToString()) == wanted


@pytest.mark.parametrize(
    ("start", "end", "wanted", "duration"),
    [
        (NOW, NOW - 7, OK, -7),
        (NOW, 0, OK, None),
        (0, NOW, OK, None),
        (NOW, 1, OK, 1 - NOW),
        (NOW, 2**63 - 1, OK, 2**63 - 1 - NOW),
        (NOW, 2**63, LATE, None),
        (0, 2**64 - 1, LATE, None),
    ],
)
def test_duration_of_a_span_whose_times_disagree(
    start: int, end: int, wanted: str | None, duration: int | None
) -> None:
    body = traces({"start_time_unix_nano": start, "end_time_unix_nano": end})
    assert reason(OTLP_TRACES, body) == wanted
    if wanted is OK:
        (row,) = rows_of(OTLP_TRACES.decode([payload("otlp_traces", body)]).tables["spans"])
        assert row["duration_ns"] == duration


@pytest.mark.parametrize(
    ("field", "size"), [("trace_id", 16), ("span_id", 8), ("parent_span_id", 8)]
)
def test_ids_of_a_span_are_whole_or_absent(field: str, size: int) -> None:
    for length in (1, size - 1, size + 1):
        assert reason(OTLP_TRACES, traces({field: b"\1" * length})) == f"invalid_{field}"
    for absent in (b"", bytes(size)):
        body = traces({field: absent})
        assert reason(OTLP_TRACES, body) is None
        (row,) = rows_of(OTLP_TRACES.decode([payload("otlp_traces", body)]).tables["spans"])
        assert row[field] is None


def test_attributes_of_one_record_are_limited() -> None:
    limit = OtlpLimits().attributes_per_record_max
    pair = {"key": "k"}
    assert reason(OTLP_TRACES, traces({"attributes": [pair] * limit})) is None
    over = traces({"attributes": [pair] * (limit + 1), "trace_id": b"x"})
    assert reason(OTLP_TRACES, over) == "too_many_attributes"


def test_texts_of_any_length_and_look_are_kept_as_they_came() -> None:
    """What bounds them is the size of a body."""
    odd = "a\0b\u202e\U0001f600<b>"
    attributes = [
        {"key": "k" * 1_000_000, "value": {"string_value": odd}},
        {"key": odd, "value": {"string_value": "v" * 1_000_000}},
    ]
    body = traces({"name": "n" * 65_536, "attributes": attributes})
    (row,) = rows_of(OTLP_TRACES.decode([payload("otlp_traces", body)]).tables["spans"])
    assert row["name"] == "n" * 65_536
    assert dict(row["attributes"]) == {"k" * 1_000_000: odd, odd: "v" * 1_000_000}


def test_rejects_say_which_record_of_which_body_and_why() -> None:
    good = {"name": "good", "start_time_unix_nano": NOW}
    secret = {"key": "authorization", "value": {"string_value": "hunter2"}}
    bad = {"name": "bad", "trace_id": b"1", "attributes": [secret]}
    first = payload("otlp_traces", traces(good, bad, good), origin="192.0.2.1")
    second = payload("otlp_traces", traces(bad, good), origin="")
    decoded = OTLP_TRACES.decode([first, second])
    assert (decoded.accepted, decoded.rejected) == (3, 2)
    rejects = rows_of(decoded.tables["rejects"])
    assert [(row["origin"], row["position"]) for row in rejects] == [("192.0.2.1", 2), (None, 1)]
    assert {row["source"] for row in rejects} == {"otlp_span"}
    assert "trace_id is neither 16 bytes nor empty" in rejects[0]["detail"]
    assert '"name":"bad"' in rejects[0]["record"]
    assert "hunter2" not in rejects[0]["record"]
    assert "1 of 3 records were refused" in OTLP_TRACES.admit(first).message


def test_rejects_of_a_hostile_body_keep_their_number_but_not_their_content() -> None:
    decoded = OTLP_TRACES.decode([payload("otlp_traces", traces(*[{"trace_id": b"1"}] * 1000))])
    assert decoded.rejected == 1000
    assert decoded.tables["rejects"].column("record").null_count == 800
    assert "spans" not in decoded.tables


def with_limits(**changes: int) -> OtlpFormat:
    return replace(OTLP_TRACES, limits=replace(OtlpLimits(), **changes))


def test_records_of_one_body_are_limited() -> None:
    body = payload("otlp_traces", traces(*[{}] * 10))
    assert with_limits(records_max=10).validate(body) == 10
    with pytest.raises(MalformedBody, match="more than 9 records"):
        with_limits(records_max=9).validate(body)


def test_empty_messages_of_one_body_are_limited_before_they_cost_memory() -> None:
    body = payload("otlp_traces", b"\x0a\x00" * 1000)
    assert with_limits(items_max=1000).validate(body) == 0
    with pytest.raises(MalformedBody, match="more items than one body may hold"):
        with_limits(items_max=999).validate(body)


def test_a_large_resource_over_many_tiny_records_is_refused() -> None:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="k").value.string_value = "x" * 1000
    resource.scope_spans.add(spans=[{}] * 100)
    body = payload("otlp_traces", request.SerializeToString())
    size = resource.resource.ByteSize() * 100
    assert with_limits(shared_bytes_max=size).validate(body) == 100
    with pytest.raises(MalformedBody, match="too large for so many records"):
        with_limits(shared_bytes_max=size - 1).validate(body)


def test_a_long_description_over_many_tiny_points_is_refused() -> None:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.add(
        description="x" * 1000, gauge={"data_points": [{}] * 100}, metadata=[{"key": "y" * 96}]
    )
    body = payload("otlp_metrics", request.SerializeToString())
    limits = replace(OtlpLimits(), shared_bytes_max=(1000 + 98) * 100)
    assert replace(OTLP_METRICS, limits=limits).validate(body) == 100
    limits = replace(limits, shared_bytes_max=(1000 + 98) * 100 - 1)
    with pytest.raises(MalformedBody, match="too large for so many records"):
        replace(OTLP_METRICS, limits=limits).validate(body)


def test_a_malformed_body_is_refused_with_its_place() -> None:
    body = traces({"name": "x"}) + b"\x0a\x05ab"
    with pytest.raises(MalformedBody) as caught:
        OTLP_TRACES.validate(payload("otlp_traces", body))
    assert caught.value.reason == "message cut short"
    assert caught.value.offset == len(body) - 4


def test_bodies_are_joined_by_tenant_and_environment() -> None:
    body = traces({"start_time_unix_nano": NOW})
    resource = ExportTraceServiceRequest()
    resource.resource_spans.add(
        resource={"attributes": [{"key": "deployment.environment.name",
                                  "value": {"string_value": "said"}}]}
    ).scope_spans.add(spans=[{}])  # fmt: skip
    offered = [
        payload("otlp_traces", body, tenant="a", environment="e1"),
        payload("otlp_traces", body, tenant="b", environment=None),
        payload("otlp_traces", body, tenant="a", environment="e2"),
        payload("otlp_traces", resource.SerializeToString(), tenant="a", environment="e1"),
    ]
    rows = rows_of(OTLP_TRACES.decode(offered).tables["spans"])
    found = sorted((row["tenant"], row["environment"] or "") for row in rows)
    assert found == [("a", "e1"), ("a", "e2"), ("a", "said"), ("b", "")]


def test_joined_bodies_give_the_rows_of_each_on_its_own() -> None:
    many = [
        payload("otlp_traces", traces({"name": f"s{i}"}, {"name": "t", "trace_id": b"1" * (i % 2)}),
                received_unix_nano=NOW + i * 10**9)
        for i in range(20)
    ]  # fmt: skip
    joined = rows_of(OTLP_TRACES.decode(many).tables["spans"])
    alone = [row for one in many for row in rows_of(OTLP_TRACES.decode([one]).tables["spans"])]
    assert joined == alone
    assert len({row["time"] for row in joined}) == 20, "each has the time of its own reception"


def test_a_malformed_body_does_not_take_others_with_it() -> None:
    good, bad = traces({"start_time_unix_nano": NOW}), b"\x0a\x7f"
    offered = [payload("otlp_traces", body) for body in (good, bad, good)]
    offered.append(payload("otlp_traces", b"{", content="json"))
    decoded = OTLP_TRACES.decode(offered)
    assert (decoded.accepted, decoded.rejected) == (2, 2)
    assert {row["reason"] for row in rows_of(decoded.tables["rejects"])} == {"malformed_body"}


@pytest.mark.parametrize("otlp", [OTLP_TRACES, OTLP_LOGS, OTLP_METRICS])
@pytest.mark.parametrize("body", [b"", b"\x0a\x00", sized(1, sized(2, b""))])
def test_a_body_without_records_is_fine(otlp: OtlpFormat, body: bytes) -> None:
    offered = payload(otlp.name, body)
    assert otlp.validate(offered) == 0
    assert otlp.decode([offered]).tables == {}
    assert otlp.decode([]).tables == {}


def test_warm_kernels_says_how_long_the_kernels_took() -> None:
    assert len(compiling_s) >= 10
    assert sum(compiling_s) < warm_kernels() < sum(compiling_s) + 1.0


@pytest.mark.parametrize(
    "body",
    [
        sized(1, sized(2, b"\x12\0" * 20_000)),
        sized(1, sized(2, sized(2, b"\x4a\0" * 1900) * 20)),
        b"\x0a\0" * 40_000,
        traces(*[{"name": "n" * 300, "attributes": [{"key": "k" * 20}] * 9}] * 2000),
    ],
    ids=["empty spans", "empty attributes", "empty resources", "ordinary spans"],
)
def test_memory_of_a_decode_is_told_beforehand(body: bytes) -> None:
    offered = payload("otlp_traces", body)
    told = OTLP_TRACES.admit(offered).decoded_bytes
    OTLP_TRACES.decode([offered])  # what a process allocates once belongs to nobody's body
    tracemalloc.start()
    try:
        with ThreadPoolExecutor(1) as fresh_thread:
            fresh_thread.submit(OTLP_TRACES.decode, [offered]).result()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert told / 8 < peak < told


def test_bodies_beyond_the_joining_limit_are_scanned_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [
        payload("otlp_traces", traces({"name": f"s{i}"}, {"trace_id": b"x"})) for i in range(30)
    ]
    whole = OTLP_TRACES.decode(many)
    monkeypatch.setattr("collector.otlp.formats.JOIN_BYTES_MAX", 3 * len(many[0].body))
    apart = OTLP_TRACES.decode(many)
    assert (apart.accepted, apart.rejected) == (30, 30)
    for table in ("spans", "rejects"):
        assert rows_of(apart.tables[table]) == rows_of(whole.tables[table])


@pytest.mark.parametrize("count", [1, 3])
def test_rows_are_their_own_memory_and_outlive_the_next_decode(count: int) -> None:
    body = traces(*[{"name": "kept", "start_time_unix_nano": NOW, "kind": 2}] * count)
    batch = OTLP_TRACES.decode([payload("otlp_traces", body)]).tables["spans"]
    before = rows_of(batch)
    other = traces(*[{"name": "other", "span_id": b"\1" * 8, "end_time_unix_nano": NOW}] * 5)
    for _ in range(3):
        OTLP_TRACES.decode([payload("otlp_traces", other)])
        OTLP_TRACES.validate(payload("otlp_traces", other))
    assert rows_of(batch) == before


def test_threads_do_not_share_what_they_scan_into() -> None:
    bodies = [
        payload("otlp_traces", traces(*[{"name": f"n{i}", "start_time_unix_nano": NOW}] * (50 + i)))
        for i in range(8)
    ]

    def names(i: int) -> set[str]:
        batches = [OTLP_TRACES.decode([bodies[i]]).tables["spans"] for _ in range(20)]
        return {row["name"] for batch in batches for row in rows_of(batch)}

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(names, range(8))) == [{f"n{i}"} for i in range(8)]


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), max_size=5))
def test_no_time_of_64_bits_does_harm(times: list[tuple[int, int]]) -> None:
    spans = [{"start_time_unix_nano": a, "end_time_unix_nano": b} for a, b in times]
    decoded = OTLP_TRACES.decode([payload("otlp_traces", traces(*spans))])
    assert decoded.accepted + decoded.rejected == len(times)
    for row in rows_of(decoded.tables.get("spans")):
        assert 2000 <= row["time"].year <= 2036
