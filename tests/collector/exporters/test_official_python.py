"""OpenTelemetry Python's own exporters against a real collector process."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as GrpcMetrics,
)
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
    OTLPMetricExporter as HttpMetrics,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from collector import fault_points
from collector.errors import WalUnavailable
from tests.collector.core.doors import eventually, open_collector, query
from tests.collector.core.process import CollectorProcess, free_port
from tests.collector.exporters.scenario import (
    BOUNDS,
    DURATIONS,
    LINK,
    SIZES,
    SPAN_ATTRIBUTES,
    Stored,
    check_stored,
)

SCOPE = ("compat", "1.2.3")


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    process = CollectorProcess(tmp_path_factory.mktemp("official"), grpc_port=free_port())
    process.start()
    yield process
    process.terminate()


class Watched:
    """Keeps what an exporter reports to its SDK."""

    def __init__(self) -> None:
        self.results: list[str] = []

    def __call__(self, exporter: Any) -> Any:
        real = exporter.export

        def export(*args: Any, **kwargs: Any) -> Any:
            result = real(*args, **kwargs)
            self.results.append(result.name)
            return result

        exporter.export = export
        return exporter


def exporters(collector: CollectorProcess, protocol: str, *, gzip: bool) -> tuple[Any, Any, Any]:
    """The official span, log and metric exporters."""
    if protocol == "grpc":
        target = f"127.0.0.1:{collector.settings.grpc_port}"
        compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
        return tuple(
            cls(endpoint=target, insecure=True, compression=compression)
            for cls in (GrpcSpans, GrpcLogs, GrpcMetrics)
        )  # type: ignore[return-value]
    url = f"http://127.0.0.1:{collector.port}/v1"
    http_compression = Compression.Gzip if gzip else Compression.NoCompression
    return (
        HttpSpans(f"{url}/traces", compression=http_compression),
        HttpLogs(f"{url}/logs", compression=http_compression),
        HttpMetrics(f"{url}/metrics", compression=http_compression),
    )


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_what_the_official_exporters_send_is_what_is_stored(
    collector: CollectorProcess, caplog: pytest.LogCaptureFixture, protocol: str, gzip: bool
) -> None:
    service = f"python-{protocol}-{gzip}"
    watched = Watched()
    spans, logs, metrics = exporters(collector, protocol, gzip=gzip)
    resource = Resource({"service.name": service, "host.cpus": 4})
    with caplog.at_level(logging.WARNING):
        inside = send_spans(watched(spans), resource)
        send_logs(watched(logs), resource, inside)
        send_metrics(watched(metrics), resource)
    assert watched.results == ["SUCCESS"] * 3
    assert [record.getMessage() for record in caplog.records] == []
    stored = Stored(collector.data_dir, service)
    eventually(lambda: stored.complete)
    check_stored(stored)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_an_exporter_that_is_refused_for_now_waits_as_long_as_it_is_told(
    tmp_path: Path, protocol: str
) -> None:
    """Its own guess for a first wait is a second or so."""
    waits: list[float] = []
    with open_collector(tmp_path) as running:
        if protocol == "grpc":
            exporter: Any = GrpcSpans(endpoint=f"127.0.0.1:{running.grpc_port}", insecure=True)
            stopped = exporter._shutdown_in_progress
        else:
            exporter = HttpSpans(f"http://127.0.0.1:{running.http_port}/v1/traces")
            stopped = exporter._client._shutdown_event
        stopped.wait = lambda seconds: waits.append(seconds)
        watched = Watched()
        fault_points.arm("wal.write=enospc@1")
        send_spans(watched(exporter), Resource({"service.name": protocol}))
        assert watched.results == ["SUCCESS"]
        assert waits == [WalUnavailable.retry_after_s]
        eventually(lambda: query(tmp_path, "SELECT count(*) n FROM spans") == [{"n": 2}])


def send_spans(exporter: Any, resource: Resource) -> Context:
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer(*SCOPE)
    parent = tracer.start_span("parent", Context(), trace.SpanKind.SERVER)
    inside = trace.set_span_in_context(parent, Context())
    linked = trace.SpanContext(
        int(LINK[0], 16), int(LINK[1], 16), is_remote=False, trace_flags=trace.TraceFlags(1)
    )
    child = tracer.start_span(
        "child",
        inside,
        trace.SpanKind.CLIENT,
        SPAN_ATTRIBUTES,
        [trace.Link(linked, {"reason": "batch"})],
    )
    child.add_event("cache.miss", {"key": "k1", "tries": 2})
    child.add_event("retry")
    child.set_status(trace.Status(trace.StatusCode.ERROR, "it broke"))
    child.end()
    parent.end()
    provider.shutdown()
    return inside


def send_logs(exporter: Any, resource: Resource, inside: Context) -> None:
    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = provider.get_logger(*SCOPE)
    attributes: Mapping[str, Any] = {"disk": "sda", "percent": 97}
    logger.emit(
        context=inside,
        severity_number=SeverityNumber.WARN,
        severity_text="WARN",
        body="disk almost full",
        attributes=attributes,
    )
    logger.emit(
        context=Context(),
        severity_number=SeverityNumber.INFO,
        severity_text="INFO",
        body={"user": "u1", "tries": 3},
    )
    provider.shutdown()


def send_metrics(exporter: Any, resource: Resource) -> None:
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    exponential = View(
        instrument_name="compat.size", aggregation=ExponentialBucketHistogramAggregation()
    )
    provider = MeterProvider([reader], resource=resource, views=[exponential])
    meter = provider.get_meter(*SCOPE)
    requests = meter.create_counter("compat.requests", "{request}", "Requests.")
    requests.add(3, {"route": "/a"})
    requests.add(4, {"route": "/b"})
    active = meter.create_up_down_counter("compat.active")
    active.add(5)
    active.add(-2)
    meter.create_gauge("compat.temperature", "Cel").set(21.5)
    duration = meter.create_histogram(
        "compat.duration", "s", explicit_bucket_boundaries_advisory=BOUNDS
    )
    for value in DURATIONS:
        duration.record(value)
    size = meter.create_histogram("compat.size", "By")
    for number in SIZES:
        size.record(number)
    provider.shutdown()  # exports what was gathered
