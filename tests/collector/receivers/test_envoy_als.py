"""Envoy's access log service over a real gRPC connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from collector.payload import MalformedBody, Payload
from collector.receivers.envoy_als import ENVOY_ALS, identifier_of
from tests.collector.core.doors import eventually, metric, open_collector, query
from tests.collector.receivers.test_golden_cases import CASES, MESSAGES, payload_of

METHOD = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
OTLP = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def message(path: str, *, node: str = "") -> bytes:
    made = MESSAGES["envoy_als"]()
    if node:
        made.identifier.node.id = node
    entry = made.http_logs.entries.add()
    entry.common.start_time.seconds = int(time.time())
    entry.request.path = path
    entry.request.method = 1
    entry.response.code.value = 200
    return bytes(made.SerializeToString())


def test_the_node_of_the_first_message_is_known_to_all_of_its_stream(tmp_path: Path) -> None:
    with open_collector(tmp_path) as collector:
        with grpc.insecure_channel(f"127.0.0.1:{collector.grpc_port}") as channel:
            call = channel.stream_unary(METHOD)
            assert call(iter([message("/a", node="edge-7"), message("/b")]), timeout=10) == b""
        eventually(lambda: len(query(tmp_path, "SELECT * FROM requests")) == 2)
    rows = query(tmp_path, "SELECT path, gateway_instance FROM requests ORDER BY path")
    assert [(r["path"], r["gateway_instance"]) for r in rows] == [
        ("/a", "edge-7"),
        ("/b", "edge-7"),
    ]


def test_open_streams_take_no_thread_from_otlp_and_get_no_answer(tmp_path: Path) -> None:
    """More streams than the server has threads, all left open; then one export."""
    release = threading.Event()

    def endless(path: str) -> Iterator[bytes]:
        yield message(path, node="n")
        release.wait(20)

    with (
        open_collector(tmp_path, grpc_threads=2) as collector,
        grpc.insecure_channel(f"127.0.0.1:{collector.grpc_port}") as channel,
    ):
        calls = [channel.stream_unary(METHOD).future(endless(f"/s{n}")) for n in range(5)]
        eventually(
            lambda: metric(
                collector, "requests_accepted_total", format="envoy_als", transport="grpc"
            ) == 5
        )  # fmt: skip
        assert channel.unary_unary(OTLP)(b"", timeout=5) == b""
        assert not any(call.done() for call in calls)
        release.set()
        assert [call.result(timeout=5) for call in calls] == [b""] * 5


def test_garbage_ends_the_stream_with_invalid_argument(tmp_path: Path) -> None:
    with (
        open_collector(tmp_path) as collector,
        grpc.insecure_channel(f"127.0.0.1:{collector.grpc_port}") as channel,
    ):
        with pytest.raises(grpc.RpcError) as told:
            channel.stream_unary(METHOD)(iter([b"\xff\xff"]), timeout=5)
        assert told.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]


def test_a_message_cut_anywhere_is_refused_or_read() -> None:
    whole = payload_of(CASES / "envoy_als/unit_test_sample")
    for end in range(len(whole.body)):
        cut = Payload(whole.body[:end], "envoy_als", "protobuf", "default", None, 1, "")
        try:
            records = ENVOY_ALS.validate(cut)
        except MalformedBody:
            continue
        decoded = ENVOY_ALS.decode([cut])
        assert decoded.accepted + decoded.rejected == records


def test_identifier_is_the_message_without_its_logs() -> None:
    assert identifier_of(message("/x")) == b""
    alone = identifier_of(message("/x", node="n"))
    assert message("/x", node="n").startswith(alone)
