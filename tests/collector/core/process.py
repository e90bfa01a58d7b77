"""Real collector processes, started quickly: a server imports once, each collector is a fork."""

from __future__ import annotations

import http.client
import multiprocessing
import os
import signal
import socket
import time
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector import fault_points
from collector.main import run
from collector.settings import CollectorSettings
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings

SETTINGS = CollectorSettings(commit_interval_s=0.05, grpc_port=-1)

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.collector.core.process"])


def _serve(settings: CollectorSettings, data_dir: str, faults: str) -> None:
    fault_points.arm(faults)
    run(settings, StorageSettings(data_dir=Path(data_dir)), None)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class CollectorProcess:
    """One collector in a process of its own, on a port that stays the same over restarts."""

    def __init__(self, data_dir: Path, **changes: object) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.settings = replace(SETTINGS, http_port=self.port, **changes)  # type: ignore[arg-type]
        self.process: BaseProcess | None = None

    def start(self, faults: str = "", *, wait: bool = True) -> None:
        self.process = _context.Process(
            target=_serve, args=(self.settings, str(self.data_dir), faults), daemon=True
        )
        self.process.start()
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout_s: float = 100) -> bool:
        """True once it takes data; False when it died first."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.process is None or not self.process.is_alive():
                return False
            try:
                if self.get("/readyz")[0] == 200:
                    return True
            except OSError:
                time.sleep(0.02)
        raise AssertionError("the collector did not get ready")

    def get(self, path: str) -> tuple[int, bytes]:
        return self.get_from(self.port, path)

    @staticmethod
    def get_from(port: int, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def kill(self) -> None:
        assert self.process is not None and self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join(10)

    def terminate(self) -> float:
        """Stop gracefully; seconds it took. The exit code must be 0."""
        assert self.process is not None
        started = time.monotonic()
        self.process.terminate()
        self.process.join(10)
        assert self.process.exitcode == 0, self.process.exitcode
        return time.monotonic() - started


def traces(first: int, count: int, *, server: bool = True) -> bytes:
    """A request with spans whose ids are first, first + 1, ..."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    attribute = resource.resource.attributes.add(key="service.name")
    attribute.value.string_value = "shop"
    now = time.time_ns()
    spans = resource.scope_spans.add().spans
    for number in range(first, first + count):
        span = spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            name="GET /things/{id}",
            kind=2 if server else 3,
            start_time_unix_nano=now,
            end_time_unix_nano=now + 5_000_000,
        )
        method = span.attributes.add(key="http.request.method")
        method.value.string_value = "GET"
        path = span.attributes.add(key="url.path")
        path.value.string_value = f"/things/{number}"
        status = span.attributes.add(key="http.response.status_code")
        status.value.int_value = 200
    return bytes(request.SerializeToString())


def post(
    port: int, body: bytes, path: str = "/v1/traces", *, timeout_s: float = 10, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """One POST on a connection of its own: status, headers in lower case, body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        sent = {"Content-Type": "application/x-protobuf"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, body, sent)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return response.status, found, response.read()
    finally:
        connection.close()


def counts(data_dir: Path) -> dict[str, tuple[int, int]]:
    """(rows, different span ids) of spans and of the requests made from them."""
    session = ReadSession(Lake(StorageSettings(data_dir=data_dir)))
    found = {}
    for table in ("spans", "requests"):
        rows = session.query(f"SELECT count(*) n, count(DISTINCT span_id) d FROM {table}")
        found[table] = (rows["n"][0].as_py(), rows["d"][0].as_py())
    return found
