"""gRPC messages on their way in: what they may cost before anybody has looked at them."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from collector import grpc_calls, grpc_reads
from collector.service import Collector
from collector.tcp_arrivals import Arrivals, peer_address
from tests.collector.core.doors import eventually, metric, open_collector
from tests.collector.core.http2 import beginning, call, connection
from tests.collector.core.process import CollectorProcess, free_port, traces
from tests.collector.core.test_crashes import _check_books
from tests.collector.core.test_grpc import TRACES, export, refusal
from tests.collector.core.test_memory_attacks import MB, Cost
from tests.collector.otlp.messages import sized


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with open_collector(tmp_path, grpc_threads=2) as found:
        yield found
        eventually(lambda: found.intake.budget.used == 0)


def refused(collector: Collector, reason: str) -> float:
    labels = {"format": "otlp_traces", "transport": "grpc", "reason": reason}
    return metric(collector, "requests_refused_total", **labels)


def check_retryable(code: grpc.StatusCode, status: Status | None) -> None:
    assert code is grpc.StatusCode.UNAVAILABLE
    assert status is not None
    retry = RetryInfo()
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.seconds > 0


# -- memory -----------------------------------------------------------------------------------


ALONE = 3.3
"""What a message that is one long text costs at most, in its own sizes, with nobody beside it (199
MB for 63 MiB): gRPC's slices, joined, in the log, as a column, as a page. Two fit the budgets."""

ROOM_BYTES = 128 * MB
"""For what comes of the others before it is seen and they are refused. Unseen it would be all 16:
more than three gigabytes."""


def _flood(folder: Path, senders: int, size: int, **settings: object) -> tuple[Cost, set[str]]:
    """`senders` at once, each on a connection of its own, of messages that are one span's name.

    What it cost the collector, and how the calls ended.
    """
    collector = CollectorProcess(folder, grpc_port=free_port(), **settings)
    collector.start()
    address = f"127.0.0.1:{collector.settings.grpc_port}"
    options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    gate = threading.Barrier(senders)

    def send(number: int) -> str:
        body = sized(15, number.to_bytes(8, "big") + bytes(size - 20))
        with grpc.insecure_channel(address, options=options) as channel:
            grpc.channel_ready_future(channel).result(30)
            gate.wait(60)
            try:
                channel.unary_unary(TRACES)(body, timeout=100)
            except grpc.RpcError as err:
                if err.code() is grpc.StatusCode.UNAVAILABLE:
                    details = dict(err.trailing_metadata() or ())["grpc-status-details-bin"]
                    check_retryable(err.code(), Status.FromString(details))
                return str(err.code().name)
            return "OK"

    export(collector.settings.grpc_port, traces(1, 1000))
    with Cost(collector) as cost, ThreadPoolExecutor(senders) as pool:
        ends = set(pool.map(send, range(senders)))
    _check_books(collector)
    assert export(collector.settings.grpc_port, traces(5000, 1)) == b""
    collector.kill()
    return cost, ends


@pytest.mark.slow
def test_large_messages_at_once_share_the_budget(tmp_path: Path) -> None:
    cost, ends = _flood(
        tmp_path, 16, 16 * MB - 64, body_bytes_max=16 * MB, inflight_bytes_max=32 * MB
    )
    assert ends <= {"OK", "UNAVAILABLE"}
    sys.stdout.write(f"16 x 16 MiB: peak {cost.peak_bytes / MB:.0f} MB, {sorted(ends)}\n")
    assert cost.peak_bytes < 2 * 16 * MB * ALONE + ROOM_BYTES


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_largest_messages_at_once_share_the_default_budget(tmp_path: Path) -> None:
    cost, ends = _flood(tmp_path, 16, 63 * MB)
    sys.stdout.write(f"16 x 63 MiB: peak {cost.peak_bytes / MB:.0f} MB, {sorted(ends)}\n")
    assert ends <= {"OK", "UNAVAILABLE"}
    assert cost.peak_bytes < 2 * 63 * MB * ALONE + ROOM_BYTES


def test_without_room_a_call_is_refused_unread(collector: Collector) -> None:
    everything = collector.intake.budget.reserve(collector.settings.inflight_bytes_max)
    try:
        before = metric(collector, "received_bytes_total", format="otlp_traces", transport="grpc")
        check_retryable(*refusal(collector.grpc_port, traces(1, 2000)))
        now = metric(collector, "received_bytes_total", format="otlp_traces", transport="grpc")
    finally:
        everything.release()
    assert now == before
    assert refused(collector, "memory_full") == 1
    assert export(collector.grpc_port, traces(1, 2000)) == b""


def test_where_arrival_cannot_be_seen_a_slow_message_counts_as_the_largest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Arrivals, "count", lambda *_: None)
    with open_collector(tmp_path, inflight_bytes_max=3 << 19) as collector:  # one and a half
        slow = call(1, TRACES) + beginning(1, 1000, b"x")
        with connection(collector.grpc_port, slow), connection(collector.grpc_port, slow):
            eventually(lambda: refused(collector, "memory_full") == 1)
            eventually(lambda: collector.intake.budget.used >= collector.settings.body_bytes_max)


def test_a_message_counts_as_it_arrives(collector: Collector) -> None:
    with connection(collector.grpc_port, call(1, TRACES)) as sock:
        eventually(lambda: collector.intake.budget.used > 0)
        few = collector.intake.budget.used
        time.sleep(3 * grpc_reads.READ_UNWATCHED_S)
        sock.sendall(beginning(1, 60_000, bytes(16_000)))
        eventually(lambda: collector.intake.budget.used >= 16_000 > few)
    eventually(lambda: collector.intake.budget.used == 0)
    eventually(lambda: refused(collector, "disconnected") == 1)


def test_nothing_is_read_of_a_sender_without_a_good_token(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(f"tokens:\n  - {{name: shop, sha256: {'a' * 64}}}\n")
    # No message follows: an answer that waited for one would not come.
    opened = call(1, TRACES, authorization="Bearer no")
    with (
        open_collector(tmp_path / "data", tokens_file=tokens) as collector,
        connection(collector.grpc_port, opened),
    ):
        eventually(lambda: refused(collector, "unauthenticated") == 1)


# -- time -------------------------------------------------------------------------------------


def test_messages_that_stall_hinder_nobody(collector: Collector) -> None:
    """More of them than there are threads, on one connection and on several."""
    with contextlib.ExitStack() as held:
        for _ in range(3):
            data = b"".join(call(n, TRACES) + beginning(n, 1000, b"x") for n in (1, 3))
            held.enter_context(connection(collector.grpc_port, data))
        eventually(lambda: collector.intake.budget.used > 0)
        assert export(collector.grpc_port, traces(1, 10)) == b""
        eventually(lambda: refused(collector, "body_too_slow") >= 4)


def test_a_message_that_stalls_alone_is_given_up_in_the_end(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_reads, "BODY_RATE_GRACE_S", 0.2)
    with connection(collector.grpc_port, call(1, TRACES)):
        eventually(lambda: refused(collector, "body_too_slow") == 1)
    # What came counts until gRPC has let go of it, a moment after the refusal was counted.
    eventually(lambda: collector.intake.budget.used == 0)


def test_a_call_without_a_message_is_malformed(collector: Collector) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{collector.grpc_port}") as channel:
        stream = channel.stream_unary(TRACES)
        with pytest.raises(grpc.RpcError) as caught:
            stream(iter(()), timeout=20)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused(collector, "malformed") == 1


@pytest.mark.parametrize("moment", ["before", "a moment later", "never"])
def test_a_client_that_left_is_told_from_a_call_without_a_message(moment: str) -> None:
    """gRPC's core says first that nothing comes, then, perhaps much later, that the client left."""

    class Context:
        def add_callback(self, told: Callable[[], None]) -> bool:
            if moment == "a moment later":
                threading.Timer(0.02, told).start()
            return moment != "before"

    has_ended = grpc_reads._has_ended(cast("grpc.ServicerContext", Context()))
    assert has_ended is (moment != "never")


# -- numbers ----------------------------------------------------------------------------------


def test_calls_beyond_the_cap_are_turned_away_and_may_come_again(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_calls, "GRPC_CALLS_MAX", 3)
    monkeypatch.setattr(grpc_reads, "GRPC_CROWDED_STALL_S", 60)
    with connection(collector.grpc_port, b"".join(call(n, TRACES) for n in (1, 3, 5))):
        eventually(lambda: _received(collector) == 2)  # the third waits for a thread
        eventually(lambda: _open(collector) == 3)
        check_retryable(*refusal(collector.grpc_port, traces(1, 1)))
    assert refused(collector, "calls") >= 1
    eventually(lambda: collector.intake.budget.used == 0)
    assert export(collector.grpc_port, traces(9, 1)) == b""


def _received(collector: Collector) -> float:
    return metric(collector, "requests_received_total", format="otlp_traces", transport="grpc")


def _open(collector: Collector) -> int:
    assert collector._grpc is not None
    return collector._grpc._calls._open


# -- the kernel's count -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "bound", "to"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "127.0.0.1"),
    ],
)
def test_the_kernel_tells_what_came_over_a_connection(family: int, bound: str, to: str) -> None:
    with socket.create_server((bound, 0), family=family, dualstack_ipv6=bound == "::") as server:
        port = server.getsockname()[1]
        arrivals = Arrivals(port)
        with socket.create_connection((to, port)) as client, server.accept()[0] as accepted:
            kind = "ipv4" if "." in to else "ipv6"
            host = to if "." in to else "%5B::1%5D"
            peer = peer_address(f"{kind}:{host}:{client.getsockname()[1]}")
            assert peer is not None
            assert arrivals.count(peer) == 0
            files = os.listdir("/proc/self/fd")
            client.sendall(bytes(70_000))
            eventually(lambda: arrivals.count(peer) == 70_000)
            assert len(os.listdir("/proc/self/fd")) == len(files), "nothing it looked at stays open"
            os.dup2(client.fileno(), accepted.fileno())  # the number is another file's now
            assert arrivals.count(peer) is None
        assert arrivals.count(peer) is None


@pytest.mark.parametrize("peer", ["unix:/tmp/x", "ipv4:", "ipv4:1.2.3.4:http", ""])
def test_what_is_no_tcp_peer_has_no_count(peer: str) -> None:
    assert peer_address(peer) is None
