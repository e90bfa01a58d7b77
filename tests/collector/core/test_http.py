"""The HTTP door: statuses, encodings, hostile and clumsy clients."""

from __future__ import annotations

import gzip
import os
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from backports import zstd
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.service import Collector
from tests.collector.core.doors import complete, eventually, knock, metric, open_collector, query
from tests.collector.core.process import post, traces

PROTOBUF, JSON = "application/x-protobuf", "application/json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("http")


@pytest.fixture(scope="module")
def collector(folder: Path) -> Iterator[Collector]:
    with open_collector(folder, header_timeout_s=0.4, body_timeout_s=0.6) as found:
        yield found


IDENTITY = lambda data: data  # noqa: E731
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "identity": IDENTITY,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
}
_ids = iter(range(1, 10**9, 1000))


@pytest.mark.parametrize("encoding", list(ENCODINGS))
def test_spans_arrive_in_every_encoding(collector: Collector, encoding: str) -> None:
    body = ENCODINGS[encoding](traces(next(_ids), 10))
    stored = metric(collector, "records_stored_total", format="otlp_traces")
    status, headers, answer = post(collector.http_port, body, Content_Encoding=encoding)
    assert (status, answer, headers["content-type"]) == (200, b"", PROTOBUF)
    eventually(
        lambda: metric(collector, "records_stored_total", format="otlp_traces") >= stored + 10
    )


def test_json_is_answered_in_json(collector: Collector, folder: Path) -> None:
    span = {
        "traceId": "0AF7651916CD43DD8448EB211C80319C",
        "spanId": "b7ad6b7169203331",
        "name": "from json",
        "kind": 2,
        "startTimeUnixNano": str(time.time_ns()),
        "endTimeUnixNano": str(time.time_ns()),
    }
    body = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    status, headers, answer = post(
        collector.http_port, body, Content_Type="application/json; charset=utf-8"
    )
    assert (status, answer, headers["content-type"]) == (200, b"{}", JSON)
    eventually(lambda: query(folder, "SELECT 1 FROM spans WHERE name = 'from json'"))


def test_an_empty_request_is_a_success_and_stores_nothing(collector: Collector) -> None:
    accepted = metric(collector, "records_accepted_total", format="otlp_traces")
    assert post(collector.http_port, b"")[0] == 200
    assert metric(collector, "records_accepted_total", format="otlp_traces") == accepted


def test_lines_arrive_and_equal_ones_are_all_counted(collector: Collector, folder: Path) -> None:
    now = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
    line = f'192.0.2.1 - - [{now}] "GET /lines HTTP/1.1" 200 5 "-" "test/1"\n'.encode()
    for _ in range(2):
        body = line * 3 + b"broken\n"
        status, _, answer = post(
            collector.http_port, body, "/ingest/nginx", Content_Type="text/plain"
        )
        assert (status, answer) == (200, b"{}")
    eventually(
        lambda: query(folder, "SELECT count(*) n FROM requests WHERE path = '/lines'")[0]["n"] == 6
    )
    eventually(
        lambda: query(folder, "SELECT count(*) n FROM rejects WHERE source = 'nginx'")[0]["n"] == 2
    )


def test_refused_records_are_told_with_their_number(collector: Collector) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest.FromString(traces(next(_ids), 5))
    for span in request.resource_spans[0].scope_spans[0].spans[:2]:
        span.trace_id = b"short"
    body = request.SerializeToString()
    status, _, answer = post(collector.http_port, body)
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    assert (status, partial.rejected_spans) == (200, 2)
    assert partial.error_message


CASES = [
    # path, content type, content encoding, body, status, gRPC code
    ("/v1/traces", PROTOBUF, "", b"\xff\xff", 400, 3),
    ("/v1/traces", PROTOBUF, "", traces(1, 3)[:-1], 400, 3),
    ("/v1/traces", PROTOBUF, "", traces(1, 1).replace(b"GET", b"G\xffT"), 400, 3),
    ("/v1/logs", JSON, "", b'{"resourceLogs": [{"schemaUrl": "\xff"}]}', 400, 3),
    ("/v1/logs", JSON, "", b'{"', 400, 3),
    ("/v1/logs", JSON, "", b"[" * 100_000, 400, 3),
    ("/v1/traces", PROTOBUF, "gzip", b"no gzip", 400, 3),
    ("/v1/traces", "text/plain", "", b"x", 415, 3),
    ("/v1/traces", "", "", b"x", 415, 3),
    ("/v1/traces", PROTOBUF, "br", b"x", 415, 12),
    ("/v1/traces", PROTOBUF, "gzip, gzip", gzip.compress(gzip.compress(b"")), 415, 12),
    ("/v1/traces", PROTOBUF, "", bytes((1 << 20) + 1), 413, 8),
    ("/v1/traces", PROTOBUF, "gzip", gzip.compress(bytes((1 << 20) + 1)), 413, 8),
    ("/v1/traces", JSON, "zstd", zstd.compress(bytes(1 << 28)), 413, 8),
    ("/v1/trace", PROTOBUF, "", b"", 404, 12),
    ("/v1/traces/", JSON, "", b"", 404, 12),
    ("//v1/traces", PROTOBUF, "", b"", 404, 12),
    ("/ingest/unknown", JSON, "", b"", 404, 12),
    ("/ingest/otlp_traces", PROTOBUF, "", b"", 404, 12),
    ("/healthz", JSON, "", b"", 404, 12),
]


@pytest.mark.parametrize(
    ("path", "type_", "encoding", "body", "status", "code"),
    CASES,
    ids=[f"{status} {path} {n}" for n, (path, *_, status, _) in enumerate(CASES)],
)
def test_refusals_are_a_status_in_the_encoding_of_the_request(
    collector: Collector, path: str, type_: str, encoding: str, body: bytes, status: int, code: int
) -> None:
    found, headers, answer = post(
        collector.http_port, body, path, Content_Type=type_, Content_Encoding=encoding
    )
    assert found == status
    assert "retry-after" not in headers, "sending it again cannot help"
    if type_ == PROTOBUF:
        assert headers["content-type"] == PROTOBUF
        told = Status.FromString(answer)
        assert (told.code, bool(told.message)) == (code, True)
        assert not any(d.Is(RetryInfo.DESCRIPTOR) for d in told.details)
        assert bool(told.details) == (status == 400)
        assert all(d.Is(BadRequest.DESCRIPTOR) for d in told.details)
    else:
        assert headers["content-type"] == JSON
        assert orjson.loads(answer)["code"] == code


def test_the_largest_body_allowed_is_read_whole(collector: Collector) -> None:
    status, _, _ = post(collector.http_port, bytes(1 << 20))
    assert status == 400, "read, and found malformed: not refused for its size"


def test_a_small_body_of_countless_empty_records_is_too_large(tmp_path: Path) -> None:
    spans = b"\x12\x00" * 100_000  # ScopeSpans.spans, empty
    scope = b"\x12" + _varint(len(spans)) + spans
    body = b"\x0a" + _varint(len(scope)) + scope
    with open_collector(tmp_path, decoded_bytes_max=1 << 20) as collector:
        status, _, answer = post(collector.http_port, body)
    assert status == 413
    assert "decoded" in Status.FromString(answer).message


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


def test_the_connection_is_good_for_more_after_a_refusal(collector: Collector) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", collector.http_port, timeout=5)
    started = time.monotonic()
    for path, type_, expected in [
        ("/v1/traces", "text/x", 415),
        ("/nope", JSON, 404),
        ("/v1/traces", PROTOBUF, 200),
        ("/v1/logs", PROTOBUF, 200),
    ]:
        connection.request("POST", path, b"", {"Content-Type": type_})
        response = connection.getresponse()
        response.read()
        assert response.status == expected
    connection.request("GET", "/v1/traces")
    response = connection.getresponse()
    assert (response.status, response.headers["Allow"]) == (405, "POST")
    connection.close()
    assert time.monotonic() - started < 1


def request(body: bytes, extra: bytes = b"", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return (
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
        + extra
        + b"Content-Length: %d\r\n\r\n" % size
        + body
    )


def chunked(body: bytes) -> bytes:
    head = request(b"", b"Transfer-Encoding: chunked\r\n")
    return head.replace(b"Content-Length: 0\r\n", b"") + body


def test_pipelined_requests_are_answered_in_order(collector: Collector) -> None:
    bad = b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    data = request(traces(next(_ids), 1)) + bad + request(traces(next(_ids), 1))
    with socket.create_connection(("127.0.0.1", collector.http_port), timeout=5) as sock:
        sock.sendall(data)
        received = b""
        while received.count(b"HTTP/1.1 ") < 3:
            received += sock.recv(65536)
    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200"]


def test_a_body_in_many_small_chunks_is_one_body(collector: Collector) -> None:
    body = traces(next(_ids), 3)
    chunks = b"".join(b"5\r\n" + body[i : i + 5] + b"\r\n" for i in range(0, len(body) - 5, 5))
    rest = body[(len(body) - 1) // 5 * 5 :] if len(body) % 5 else body[-5:]
    done = b"%x\r\n" % len(rest) + rest + b"\r\n0\r\n\r\n"
    assert knock(collector.http_port, chunked(chunks + done)).startswith(b"HTTP/1.1 200")


HOSTILE = {
    "both lengths": (request(b"x", b"Transfer-Encoding: chunked\r\n"), b"400"),
    "two lengths": (request(b"x", b"Content-Length: 3\r\n"), b"400"),
    "bad chunk size": (
        request(b"zz\r\n", b"Transfer-Encoding: chunked\r\n").replace(
            b"Content-Length: 4\r\n", b""
        ),
        b"400",
    ),
    "no host": (request(b"").replace(b"Host: x\r\n", b""), b"400"),
    "two hosts": (request(b"", b"Host: y\r\n"), b"400"),
    "folded header": (request(b"", b"X: a\r\n b\r\n"), b"400"),
    "space before colon": (request(b"", b"X : a\r\n"), b"400"),
    "NUL in a header": (request(b"", b"X: a\0b\r\n"), b"400"),
    "bare line feeds": (request(b"").replace(b"\r\n", b"\n"), b"400"),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
    "huge header": (request(b"", b"X: " + b"a" * 200_000 + b"\r\n"), b"431"),
    "endless header": (b"POST /v1/traces HTTP/1.1\r\nX: " + b"a" * 50_000_000, b"431"),
    "many headers": (request(b"", b"X: a\r\n" * 200_000), b"431"),
    "huge chunk extension": (chunked(b"1;" + b"e" * 5_000_000), b"400"),
    "huge chunk extensions": (chunked((b"1;" + b"e" * 60_000 + b"\r\nx\r\n") * 80), b"400"),
    "endless chunks": (chunked((b"ffff\r\n" + bytes(0xFFFF) + b"\r\n") * 80), b"413"),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_broken_http_is_refused(collector: Collector, name: str) -> None:
    data, status = HOSTILE[name]
    answer = knock(collector.http_port, data)
    # A reset may swallow the answer when the client is still sending; it is refused either way.
    assert answer[9:12] == status or (not answer and len(data) > 100_000), answer[:200]
    assert b"200 OK" not in answer


def test_a_head_that_trickles_in_is_cut_off(collector: Collector) -> None:
    with socket.create_connection(("127.0.0.1", collector.http_port), timeout=5) as sock:
        sock.sendall(b"POST /v1/traces HT")
        started = time.monotonic()
        assert sock.recv(100) == b""
        assert time.monotonic() - started < 2


def test_a_connection_that_says_nothing_is_closed(collector: Collector) -> None:
    with socket.create_connection(("127.0.0.1", collector.http_port), timeout=5) as sock:
        assert sock.recv(100) == b""


def test_a_body_that_stalls_is_given_up_and_its_memory_given_back(collector: Collector) -> None:
    with socket.create_connection(("127.0.0.1", collector.http_port), timeout=5) as sock:
        sock.sendall(request(b"x" * 10, length=500_000))
        eventually(lambda: collector.intake.budget.used >= 500_000)
        answer = b""
        while not complete(answer):
            answer += sock.recv(65536)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after" in answer
    eventually(lambda: collector.intake.budget.used == 0)


def test_a_client_that_leaves_mid_body_costs_nothing(collector: Collector) -> None:
    with socket.create_connection(("127.0.0.1", collector.http_port), timeout=5) as sock:
        sock.sendall(request(b"x" * 10, length=500_000))
        eventually(lambda: collector.intake.budget.used >= 500_000)
    eventually(lambda: collector.intake.budget.used == 0)


def test_more_in_flight_than_the_budget_is_refused_for_now(tmp_path: Path) -> None:
    changes = {"inflight_bytes_max": 1 << 20, "body_timeout_s": 5.0}
    with open_collector(tmp_path, **changes) as collector:
        with socket.create_connection(("127.0.0.1", collector.http_port), timeout=5) as sock:
            sock.sendall(request(b"x", length=1 << 20))
            eventually(lambda: collector.intake.budget.used == 1 << 20)
            status, headers, answer = post(collector.http_port, traces(1, 1))
            assert (status, headers["retry-after"]) == (503, "1")
            (detail,) = Status.FromString(answer).details
            assert detail.Is(RetryInfo.DESCRIPTOR)
        eventually(lambda: post(collector.http_port, traces(1, 1))[0] == 200)


def test_a_compressed_body_without_room_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    changes = {"inflight_bytes_max": 1 << 20, "body_timeout_s": 5.0}
    packed = gzip.compress(os.urandom(100_000))
    labels = {"format": "otlp_traces", "transport": "http"}
    with open_collector(tmp_path, **changes) as collector:
        with socket.create_connection(("127.0.0.1", collector.http_port), timeout=5) as sock:
            sock.sendall(request(b"x", length=500_000))
            eventually(lambda: collector.intake.budget.used == 500_000)
            status, headers, _ = post(collector.http_port, packed, Content_Encoding="gzip")
            assert (status, headers["retry-after"]) == (503, "1")
            assert metric(collector, "decompressed_bytes_total", **labels) == 0
        eventually(lambda: collector.intake.budget.used == 0)
        status, _, _ = post(collector.http_port, packed, Content_Encoding="gzip")
        assert status == 400, "with room it is read, and found malformed"


def test_connections_beyond_the_cap_are_turned_away(tmp_path: Path) -> None:
    with open_collector(tmp_path, connections_max=3) as collector:
        idle = [socket.create_connection(("127.0.0.1", collector.http_port)) for _ in range(3)]
        eventually(lambda: knock(collector.http_port, b"").startswith(b"HTTP/1.1 503"))
        for sock in idle:
            sock.close()
        eventually(lambda: post(collector.http_port, traces(1, 1))[0] == 200)


def test_health_and_metrics(collector: Collector) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        answer = knock(collector.http_port, b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        assert answer.startswith(b"HTTP/1.1 200"), path
    assert b"gatelens_collector_wal_bytes" in answer
