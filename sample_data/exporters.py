"""The official OTLP exporters for a destination, over gRPC or HTTP, made persistent."""

from __future__ import annotations

from dataclasses import dataclass

from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace.export import SpanExporter

from sample_data.persistent import Persistence, PersistentLogExporter, PersistentSpanExporter

TIMEOUT_S = 3.0
"""Of one try; short, because `Persistence` tries again."""

_CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)
"""gRPC waits up to two minutes by default, far too long for a collector that restarts."""


@dataclass(frozen=True, slots=True)
class Exporters:
    """One destination's exporters. Spans and logs are persistent, metrics are tried once."""

    spans: SpanExporter
    logs: LogRecordExporter
    metrics: MetricExporter
    persistence: Persistence

    def send_metrics(self, data: MetricsData) -> bool:
        """False = not taken; the next reading makes up for it (sums are cumulative)."""
        return self.metrics.export(data) is MetricExportResult.SUCCESS


def grpc_exporters(target: str) -> Exporters:
    """`target`: host:port of an OTLP/gRPC receiver without TLS."""
    persistence = Persistence(f"grpc://{target}")
    options = {"endpoint": target, "insecure": True, "timeout": TIMEOUT_S}
    return Exporters(
        PersistentSpanExporter(
            GrpcSpans(channel_options=_CHANNEL_OPTIONS, **options),  # type: ignore[arg-type]
            persistence,
        ),
        PersistentLogExporter(
            GrpcLogs(channel_options=_CHANNEL_OPTIONS, **options),  # type: ignore[arg-type]
            persistence,
        ),
        GrpcMetrics(channel_options=_CHANNEL_OPTIONS, **options),  # type: ignore[arg-type]
        persistence,
    )


def http_exporters(url: str) -> Exporters:
    """`url`: base URL of an OTLP/HTTP receiver, such as http://127.0.0.1:4318."""
    persistence = Persistence(url)
    base = url.rstrip("/")
    gzip = Compression.Gzip
    return Exporters(
        PersistentSpanExporter(
            HttpSpans(f"{base}/v1/traces", timeout=TIMEOUT_S, compression=gzip), persistence
        ),
        PersistentLogExporter(
            HttpLogs(f"{base}/v1/logs", timeout=TIMEOUT_S, compression=gzip), persistence
        ),
        HttpMetrics(f"{base}/v1/metrics", timeout=TIMEOUT_S, compression=gzip),
        persistence,
    )
