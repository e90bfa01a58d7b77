"""Floods of connections and calls: others are served meanwhile, files and memory stay bounded."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from collector.limits import FILES_KEPT
from collector.open_files import within_open_files
from collector.settings import CollectorSettings
from tests.collector.core.doors import eventually, open_collector
from tests.collector.core.http2 import PREFACE, frame
from tests.collector.core.process import CollectorProcess, free_port, post, traces
from tests.collector.core.test_crashes import _check_books
from tests.collector.core.test_grpc import TRACES


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    started = CollectorProcess(
        tmp_path_factory.mktemp("flooded"), grpc_port=free_port(), keep_alive_s=60.0
    )
    started.start()
    yield started
    _check_books(started)
    started.kill()


def _open_files(collector: CollectorProcess) -> int:
    assert collector.process is not None
    return len(os.listdir(f"/proc/{collector.process.pid}/fd"))


def _memory(collector: CollectorProcess) -> int:
    assert collector.process is not None
    for line in Path(f"/proc/{collector.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError


@contextmanager
def _connected(port: int, count: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    sockets = []
    try:
        for _ in range(count):
            sockets.append(socket.create_connection(("127.0.0.1", port), timeout=10))
            if first:
                sockets[-1].sendall(first)
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


def _some_thousand() -> int:
    """As many connections as this process may have open, up to 5,000."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(5000, max(soft, hard) - 500)


def test_thousands_of_idle_connections_hinder_nobody(collector: CollectorProcess) -> None:
    before = _memory(collector)
    count = _some_thousand()
    with _connected(collector.port, count):
        eventually(lambda: _open_files(collector) >= count, 60)
        assert post(collector.port, traces(1, 1))[0] == 200
        assert collector.get("/healthz")[0] == 200
        assert _memory(collector) - before < count * 20_000, "20 kB each at most"
    eventually(lambda: _open_files(collector) < 200, 60)


def test_connections_that_are_reset_at_once_hinder_nobody(collector: CollectorProcess) -> None:
    before = _memory(collector)
    request = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx"
    for number in range(2000):
        with socket.create_connection(("127.0.0.1", collector.port), timeout=10) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if number % 2:
                sock.sendall(request)
    assert post(collector.port, traces(1, 1))[0] == 200
    eventually(lambda: _open_files(collector) < 200, 60)
    assert _memory(collector) - before < 32 << 20
    eventually(lambda: b"inflight_bytes 0.0" in collector.get("/metrics")[1])


def _said(sock: socket.socket) -> bytes:
    """What the server says until it closes or falls silent."""
    received = b""
    with contextlib.suppress(OSError):
        while b"too_many_pings" not in received and (chunk := sock.recv(65536)):
            received += chunk
    return received


@pytest.mark.parametrize("flood", ["pings", "resets", "settings", "endless headers"])
def test_a_hostile_http2_client_hinders_nobody(collector: CollectorProcess, flood: str) -> None:
    before = _memory(collector)
    # :method POST, :scheme http, :path /x as HPACK; RST_STREAM ends each stream at once.
    head = b"\x83\x86\x44\x02/x"
    frames = {
        "pings": lambda n: frame(6, 0, 0, bytes(8)),
        "resets": lambda n: frame(1, 4, 2 * n + 1, head) + frame(3, 0, 2 * n + 1, b"\0\0\0\x08"),
        "settings": lambda n: frame(4, 0, 0, b"\0\x04\0\0\xff\xff"),
        "endless headers": lambda n: frame(
            9 if n else 1, 0, 1, b"\x00\x01a\x7f\x80\x01" + b"a" * 255
        ),
    }[flood]
    data = b"".join(frames(n) for n in range(5_000))
    with _connected(collector.settings.grpc_port, 1, PREFACE) as (sock,):
        sock.settimeout(15 if flood == "pings" else 0.5)
        with contextlib.suppress(OSError):  # it may be cut off while it is sending
            sock.sendall(data)
        told = _said(sock)
        assert flood != "pings" or b"too_many_pings" in told
        with grpc.insecure_channel(f"127.0.0.1:{collector.settings.grpc_port}") as channel:
            assert channel.unary_unary(TRACES)(traces(1, 1), timeout=20) == b""
    assert post(collector.port, traces(11, 1))[0] == 200
    assert _memory(collector) - before < 64 << 20


def test_grpc_connections_beyond_the_cap_are_turned_away(tmp_path: Path) -> None:
    with open_collector(tmp_path, connections_max=3) as collector:
        with _connected(collector.grpc_port, 3, PREFACE):
            with (
                grpc.insecure_channel(f"127.0.0.1:{collector.grpc_port}") as channel,
                pytest.raises(grpc.RpcError) as caught,
            ):
                channel.unary_unary(TRACES)(b"", timeout=2)
            assert caught.value.code() in (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            )
        with grpc.insecure_channel(f"127.0.0.1:{collector.grpc_port}") as channel:
            call = channel.unary_unary(TRACES)
            assert call(b"", timeout=20, wait_for_ready=True) == b""


@pytest.mark.parametrize(
    ("soft", "hard", "raised_to", "connections"),
    [
        (1024, 1024, None, (1024 - FILES_KEPT) // 2),
        (1024, 4096, 2 * 1000 + FILES_KEPT, 1000),
        (1024, resource.RLIM_INFINITY, 2 * 1000 + FILES_KEPT, 1000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None, 1000),
        (4096, 4096, None, 1000),
        (256, 256, None, 1),
    ],
)
def test_connections_leave_files_for_the_log(
    monkeypatch: pytest.MonkeyPatch,
    soft: int,
    hard: int,
    raised_to: int | None,
    connections: int,
) -> None:
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: calls.append(limits))
    settings = within_open_files(CollectorSettings(connections_max=1000))
    assert settings.connections_max == connections
    assert calls == ([] if raised_to is None else [(raised_to, hard)])
