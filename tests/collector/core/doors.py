"""An in-process collector with both doors open, and raw ways to knock."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from collector.service import Collector, CollectorThread
from collector.settings import CollectorSettings
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings

SETTINGS = CollectorSettings(
    http_port=0,
    grpc_port=0,
    commit_interval_s=0.05,
    body_bytes_max=1 << 20,
    inflight_bytes_max=8 << 20,
    grpc_threads=8,
)


@contextmanager
def open_collector(
    folder: Path, *, storage: StorageSettings | None = None, **changes: object
) -> Iterator[Collector]:
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    collector = Collector(settings, storage or StorageSettings(data_dir=folder), None)
    with CollectorThread(collector):
        yield collector


def query(folder: Path, sql: str) -> list[dict[str, object]]:
    session = ReadSession(Lake(StorageSettings(data_dir=folder)))
    return session.query(sql).to_pylist()  # type: ignore[no-any-return]


def metric(collector: Collector, name: str, **labels: str) -> float:
    """A metric's value now; 0 where it was never touched."""
    registry = collector.telemetry.registry
    return registry.get_sample_value(f"gatelens_collector_{name}", labels) or 0.0


def knock(port: int, data: bytes, timeout_s: float = 5) -> bytes:
    """Send raw bytes, read until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as sock:
        sock.settimeout(timeout_s)
        # It may close before everything is sent; what it said can still be read then.
        with contextlib.suppress(OSError):
            sock.sendall(data)
        return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(OSError):
        while not complete(received) and (chunk := sock.recv(65536)):
            received += chunk
    return received


def complete(received: bytes) -> bool:
    """One whole response has come."""
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line[15:])
    return False


def eventually(check: object, timeout_s: float = 10) -> None:
    """Wait until `check()` is true: for what other threads do in their own time."""
    deadline = time.monotonic() + timeout_s
    while not check():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)
