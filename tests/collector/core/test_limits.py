"""Limits at the limit and one beyond it; sizes of bodies are in the tests of their doors."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector import limits
from collector.admission import ByteBudget
from collector.decompress import decompress
from collector.errors import BodyTooLarge, MalformedBody, MemoryFull
from collector.formats import FORMATS, inspect
from collector.service import Collector
from collector.wal import Append
from tests.collector.core.doors import eventually, knock, open_collector, query
from tests.collector.core.logs import open_log, read_log, record
from tests.collector.core.process import post, traces
from tests.collector.core.test_grpc import TRACES
from tests.collector.otlp.compare import payload

LINE = b"POST /v1/traces HTTP/1.1\r\n"
FIELDS = b"Host: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n"


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with open_collector(tmp_path_factory.mktemp("limits")) as found:
        yield found


def status_of(collector: Collector, data: bytes) -> int:
    return int(knock(collector.http_port, data)[9:12])


@pytest.mark.parametrize(("beyond", "status"), [(0, 200), (1, 431)])
def test_fields_of_a_head(collector: Collector, beyond: int, status: int) -> None:
    more = limits.HEADER_FIELDS_MAX - FIELDS.count(b"\r\n") + beyond
    assert status_of(collector, LINE + FIELDS + b"X: a\r\n" * more + b"\r\n") == status


@pytest.mark.parametrize(("beyond", "status"), [(0, 200), (1, 431)])
def test_bytes_of_a_head(collector: Collector, beyond: int, status: int) -> None:
    # Counted are the path, and name, value and four bytes of each field.
    counted = len("/v1/traces") + len(FIELDS) + len("X: \r\n")
    value = b"a" * (limits.HEADER_BYTES_MAX - counted + beyond)
    head = LINE + FIELDS + b"X: " + value + b"\r\n\r\n"
    assert status_of(collector, head) == status


def test_requests_in_a_pipeline(collector: Collector) -> None:
    one = LINE + FIELDS + b"\r\n"

    def answers(requests: int) -> int:
        with socket.create_connection(("127.0.0.1", collector.http_port), timeout=5) as sock:
            sock.sendall(one * requests)
            received = b""
            try:
                while received.count(b"HTTP/1.1 200") < requests and (part := sock.recv(65536)):
                    received += part
            except OSError:
                pass
            return received.count(b"HTTP/1.1 200")

    # One is being answered while the others wait.
    assert answers(limits.PIPELINE_DEPTH_MAX + 1) == limits.PIPELINE_DEPTH_MAX + 1
    assert answers(limits.PIPELINE_DEPTH_MAX + 2) < limits.PIPELINE_DEPTH_MAX + 2


def test_connections(tmp_path: Path) -> None:
    with open_collector(tmp_path, connections_max=3) as collector:
        idle = [socket.create_connection(("127.0.0.1", collector.http_port)) for _ in range(2)]
        eventually(lambda: post(collector.http_port, traces(1, 1))[0] == 200)
        idle.append(socket.create_connection(("127.0.0.1", collector.http_port)))
        eventually(lambda: knock(collector.http_port, b"").startswith(b"HTTP/1.1 503"))
        for sock in idle:
            sock.close()


def test_metadata_of_a_call(collector: Collector) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{collector.grpc_port}") as channel:
        call = channel.unary_unary(TRACES)
        half = "a" * (limits.GRPC_METADATA_BYTES_MAX // 2)
        assert call(b"", metadata=(("x", half),), timeout=10) == b""
        with pytest.raises(grpc.RpcError) as caught:
            call(b"", metadata=(("x", half * 2 + "a"),), timeout=10)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_bytes_in_flight() -> None:
    budget = ByteBudget(10_000)
    held = budget.reserve(10_000)
    with pytest.raises(MemoryFull):
        budget.reserve(0)
    held.release()
    with pytest.raises(MemoryFull):
        budget.reserve(10_001)
    assert budget.used == 0


def test_the_smallest_request_counts_too() -> None:
    budget = ByteBudget(2 * limits.RESERVATION_BYTES_MIN)
    held = [budget.reserve(0), budget.reserve(limits.RESERVATION_BYTES_MIN)]
    with pytest.raises(MemoryFull):
        budget.reserve(0)
    assert sum(r.size for r in held) == 2 * limits.RESERVATION_BYTES_MIN


def test_members_of_a_gzip_body() -> None:
    member = gzip.compress(b"x")
    most = decompress(member * limits.GZIP_MEMBERS_MAX, "gzip", bytes_max=1000)
    assert most == b"x" * limits.GZIP_MEMBERS_MAX
    with pytest.raises(MalformedBody):
        decompress(member * (limits.GZIP_MEMBERS_MAX + 1), "gzip", bytes_max=1000)


def test_expansion_of_a_body() -> None:
    plain = bytes(2 << 20)
    packed = gzip.compress(plain)
    ratio = -(-len(plain) // len(packed))
    assert decompress(packed, "gzip", bytes_max=4 << 20, ratio_max=ratio) == plain
    assert decompress(packed, "gzip", bytes_max=4 << 20, ratio_max=0) == plain
    with pytest.raises(BodyTooLarge):
        decompress(packed, "gzip", bytes_max=4 << 20, ratio_max=ratio - 2)


@pytest.mark.parametrize(("beyond", "status"), [(0, 200), (-1, 413)])
def test_memory_of_a_decoded_body(tmp_path: Path, beyond: int, status: int) -> None:
    body = traces(1, 50)
    needed = inspect(FORMATS["otlp_traces"], payload("otlp_traces", body)).decoded_bytes
    assert needed > 0
    with open_collector(tmp_path, decoded_bytes_max=needed + beyond) as collector:
        assert post(collector.http_port, body)[0] == status


def test_text_fields_of_the_log_are_cut_at_their_limit(tmp_path: Path) -> None:
    wal, outcomes = open_log(tmp_path)
    wal.start()
    for number, beyond in enumerate((0, 1), 1):
        origin = "o" * (limits.WAL_FIELD_BYTES_MAX + beyond)
        wal.append(Append(replace(record(b"body"), origin=origin)))
        outcomes.wait(number)
    wal.close()
    bodies, _ = read_log(tmp_path)
    assert bodies == [b"body", b"body"], "a long field does not spoil the record"


@pytest.mark.parametrize(("beyond", "status"), [(0, 200), (-1, 400)])
def test_records_of_a_body_by_setting(tmp_path: Path, beyond: int, status: int) -> None:
    with open_collector(tmp_path, otlp_records_max=50 + beyond) as collector:
        assert post(collector.http_port, traces(1, 50))[0] == status


@pytest.mark.parametrize(("beyond", "rows"), [(0, 2), (-1, 0)])
def test_attributes_of_a_record_by_setting(tmp_path: Path, beyond: int, rows: int) -> None:
    """Before the acknowledgement and when it is stored: what is refused is told and kept."""
    with open_collector(tmp_path, otlp_attributes_max=3 + beyond) as collector:
        status, _, answer = post(collector.http_port, traces(1, 2))  # of 3 attributes each
        assert status == 200
        told = ExportTraceServiceResponse.FromString(answer).partial_success
        assert told.rejected_spans == 2 - rows
    assert len(query(tmp_path, "SELECT 1 FROM spans") if rows else []) == rows
    assert len([] if rows else query(tmp_path, "SELECT 1 FROM rejects")) == 2 - rows
