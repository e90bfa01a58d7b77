"""What OTLP 1.11 asks of a server, as one table: every transport, signal, encoding, failure."""

from __future__ import annotations

import inspect
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import orjson
import pytest
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import errors, fault_points, http_app
from collector.errors import CollectorError, CollectorStartError
from collector.limits import STATUS_MESSAGE_CHARS_MAX
from collector.responses import failure_of
from collector.service import Collector
from tests.collector.core.accounting import read_books
from tests.collector.core.doors import eventually, knock, metric, open_collector, query
from tests.collector.core.process import post, traces
from tests.collector.core.signals import SIGNALS, TRACES, Signal
from tests.collector.core.test_http import ENCODINGS, JSON, PROTOBUF, chunked, request

FOUR_MIB = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contract")


@pytest.fixture(scope="module")
def collector(folder: Path) -> Iterator[Collector]:
    with open_collector(folder) as found:
        yield found
        eventually(lambda: found.batcher.lag == 0 and found.intake.budget.used == 0)
        read_books(found._metrics().decode()).check()


@pytest.mark.parametrize("signal", SIGNALS, ids=[s.table for s in SIGNALS])
def test_a_signal_arrives_over_every_transport_and_encoding(
    collector: Collector, folder: Path, signal: Signal
) -> None:
    sent = {}
    for json in (False, True):
        for encoding, compress in ENCODINGS.items():
            service = f"http {encoding} {json}"
            body = compress(signal.body(service, [False] * 3, json=json))
            type_ = JSON if json else PROTOBUF
            status, headers, answer = post(
                collector.http_port, body, signal.path,
                Content_Type=type_, Content_Encoding=encoding,
            )  # fmt: skip
            assert (status, headers["content-type"]) == (200, type_), service
            # Full success leaves partial_success unset: no bytes at all in protobuf.
            assert answer == (b"{}" if json else b""), service
            sent[service] = 3
    with grpc.insecure_channel(f"127.0.0.1:{collector.grpc_port}") as channel:
        call = channel.unary_unary(signal.method)
        for compression in grpc.Compression:
            service = f"grpc {compression.name}"
            body = signal.body(service, [False] * 3)
            assert call(body, timeout=10, compression=compression) == b"", service
            sent[service] = 3
    sql = f"SELECT service_name s, count(*) n FROM {signal.table} GROUP BY s"
    eventually(lambda: sent.items() <= {row["s"]: row["n"] for row in query(folder, sql)}.items())


@pytest.mark.parametrize("signal", SIGNALS, ids=[s.table for s in SIGNALS])
@given(bad=st.lists(st.booleans(), min_size=1, max_size=40), json=st.booleans())
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_accepted_and_rejected_are_what_was_sent(
    collector: Collector, folder: Path, signal: Signal, bad: list[bool], json: bool
) -> None:
    # A name of its own: equal bodies count as one request, and refused ones have equal times.
    name = f"mixed-{time.time_ns()}"
    body = signal.body(name, bad, json=json)
    type_ = JSON if json else PROTOBUF
    status, _, answer = post(collector.http_port, body, signal.path, Content_Type=type_)
    assert status == 200, "partial success is a success: the client must not send it again"
    told, message = signal.rejected_of(answer, json=json)
    assert told == sum(bad)
    assert bool(message) == any(bad)
    sql = f"SELECT count(*) AS n FROM {signal.table} WHERE service_name = '{name}'"
    eventually(lambda: query(folder, sql) == [{"n": len(bad) - sum(bad)}])


def test_a_request_sent_again_is_told_the_same_partial_success(collector: Collector) -> None:
    for json in (False, True):
        body = TRACES.body("again", [True, False, True], json=json)
        type_ = JSON if json else PROTOBUF
        answers = [post(collector.http_port, body, Content_Type=type_) for _ in range(3)]
        assert [TRACES.rejected_of(a, json=json)[0] for _, _, a in answers] == [2, 2, 2]
        assert len({answer for _, _, answer in answers}) == 1


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_countless_refused_records_fit_into_a_small_answer(tmp_path: Path, count: int) -> None:
    with open_collector(
        tmp_path, body_bytes_max=32 << 20, inflight_bytes_max=64 << 20
    ) as collector:
        for json in (False, True):
            body = TRACES.body("many", [True], json=json)
            if json:
                head, tail = body[: body.index(b'"spans":[') + 9], b"]}]}]}"
                span = body.removeprefix(head).removesuffix(tail)
                body = head + b",".join([span] * count) + tail
            else:
                body *= count  # fields of equal number add up
            type_ = JSON if json else PROTOBUF
            status, _, answer = post(collector.http_port, body, timeout_s=60, Content_Type=type_)
            assert (status, TRACES.rejected_of(answer, json=json)[0]) == (200, count)
            assert len(answer) < STATUS_MESSAGE_CHARS_MAX + 200 < FOUR_MIB


# -- failures ------------------------------------------------------------------------------------

ERRORS = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, CollectorError) and cls is not CollectorStartError
]
RETRYABLE_HTTP = {429, 502, 503, 504}
RETRYABLE_GRPC = {1, 4, 10, 11, 14, 15}
"""CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS."""


NEED_NUMBER = {errors.BodyTooLarge, errors.MemoryFull, errors.WalFull}
NEED_NOTHING = {errors.UnknownPath, errors.WrongMethod, errors.ShuttingDown}


def _example(cls: type[CollectorError]) -> CollectorError:
    if cls is errors.UnsupportedContentType:
        return cls("text/x", "application/json")  # type: ignore[call-arg]
    return cls() if cls in NEED_NOTHING else cls(7 if cls in NEED_NUMBER else "words")


@pytest.mark.parametrize("error", [*map(_example, ERRORS), KeyError("ours")], ids=repr)
def test_every_error_says_the_same_to_both_transports(error: Exception) -> None:
    failure = failure_of(error)
    status = Status.FromString(failure.encode("protobuf"))
    retry_infos = [d for d in status.details if d.Is(RetryInfo.DESCRIPTOR)]
    final = failure.retry_after_s is None
    assert failure.http != 500, "clients drop what was answered with 500"
    assert (failure.http in RETRYABLE_HTTP) != final
    assert len(retry_infos) == (0 if final else 1)
    retryable = status.code in RETRYABLE_GRPC or (status.code == 8 and bool(retry_infos))
    assert retryable != final
    assert any(d.Is(BadRequest.DESCRIPTOR) for d in status.details) == isinstance(
        error, errors.MalformedBody
    )
    told = orjson.loads(failure.encode("json"))
    assert (told["code"], told["message"]) == (status.code, status.message)
    assert len(told.get("details", [])) == len(status.details)
    assert "ours" not in status.message, "texts of foreign exceptions stay here"


def test_messages_are_cut_at_their_limit() -> None:
    for length in (STATUS_MESSAGE_CHARS_MAX, STATUS_MESSAGE_CHARS_MAX + 1):
        message = failure_of(CollectorError("x" * length)).status.message
        assert len(message) == STATUS_MESSAGE_CHARS_MAX


GET = b"GET /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\n\r\n"
BROKEN = {
    # What the HTTP parser or its guards refuse, before or beside any route.
    405: lambda type_: GET % type_,
    400: lambda type_: chunked(b"zz\r\n").replace(PROTOBUF.encode(), type_),
    431: lambda type_: request(b"", b"X: a\r\n" * 200).replace(PROTOBUF.encode(), type_),
}


@pytest.mark.parametrize("status", BROKEN)
@pytest.mark.parametrize("type_", [PROTOBUF, JSON])
def test_what_the_framework_refuses_is_a_status_in_the_encoding_of_the_request(
    collector: Collector, status: int, type_: str
) -> None:
    answer = knock(collector.http_port, BROKEN[status](type_.encode()))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status), head
    assert f"content-type: {type_}".encode() in head.lower()
    code = Status.FromString(body).code if type_ == PROTOBUF else orjson.loads(body)["code"]
    assert code == {405: 12, 400: 3, 431: 8}[status]


@pytest.mark.parametrize(
    "data",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nExpect: 200-nothing\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["http/2", "connect", "websocket", "expect"],
)
def test_other_protocols_are_refused_with_a_status_or_closed(
    collector: Collector, data: bytes
) -> None:
    answer = knock(collector.http_port, data, timeout_s=2)
    if answer:
        assert answer.startswith(b"HTTP/1.1 4"), answer
        assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["code"]


@pytest.mark.parametrize("type_", [PROTOBUF, JSON])
def test_a_mistake_of_ours_is_503_never_500(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, type_: str
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(http_app, "find_api", broken)
    status, headers, answer = post(collector.http_port, b"", "/else", Content_Type=type_)
    assert (status, headers["retry-after"], headers["content-type"]) == (503, "1", type_)
    assert b"a bug" not in answer


@pytest.mark.parametrize("signal", SIGNALS, ids=[s.table for s in SIGNALS])
def test_a_fault_of_the_disk_is_retryable_in_both_encodings(
    collector: Collector, signal: Signal
) -> None:
    for json in (False, True):
        fault_points.arm("wal.write=enospc@1")
        body = signal.body("disk full", [False], json=json)
        type_ = JSON if json else PROTOBUF
        status, headers, answer = post(collector.http_port, body, signal.path, Content_Type=type_)
        assert (status, int(headers["retry-after"]) > 0) == (503, True)
        if json:
            (detail,) = orjson.loads(answer)["details"]
            assert detail["retryDelay"] == f"{headers['retry-after']}s"
        else:
            (packed,) = Status.FromString(answer).details
            retry = RetryInfo()
            assert packed.Unpack(retry)
            assert str(retry.retry_delay.seconds) == headers["retry-after"]
        assert post(collector.http_port, body, signal.path, Content_Type=type_)[0] == 200


def test_an_answer_that_got_lost_doubles_nothing(collector: Collector, folder: Path) -> None:
    body = TRACES.body("lost answer", [False] * 5)
    labels = {"format": "otlp_traces", "transport": "http"}

    def on_disk() -> float:
        kinds = ("accepted", "duplicated")
        return sum(metric(collector, f"requests_{kind}_total", **labels) for kind in kinds)

    for _ in range(3):
        before = on_disk()
        with socket.create_connection(("127.0.0.1", collector.http_port), timeout=5) as sock:
            sock.sendall(request(body))
            eventually(lambda before=before: on_disk() > before)
            # Gone without having read the answer.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    assert post(collector.http_port, body)[0] == 200
    sql = "SELECT count(*) n FROM spans WHERE service_name = 'lost answer'"
    eventually(lambda: query(folder, sql) == [{"n": 5}])


def test_many_connections_and_calls_at_once_are_served(collector: Collector) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{collector.grpc_port}") as channel:
        call = channel.unary_unary(TRACES.method)
        futures = [call.future(traces(10_000 + n, 1), timeout=10) for n in range(50)]
        statuses = [post(collector.http_port, traces(20_000 + n, 1))[0] for n in range(20)]
        assert [f.result() for f in futures] == [b""] * 50
    assert statuses == [200] * 20
