"""Known traffic, and the independent count of it: what the tests compare the answers with.

Everything is drawn from a seed and kept as plain Python values; nothing of Gatelens is used.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as GrpcMetrics,
)
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
    OTLPMetricExporter as HttpMetrics,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

APIS = ("orders", "payments", "shipping")


@dataclass(frozen=True, slots=True)
class Call:
    """One API call as it was sent."""

    api: str
    route: str
    status: int
    start_ns: int
    duration_ms: float


@dataclass(slots=True)
class Sent:
    """What the senders handed out, counted here and nowhere else."""

    calls: list[Call] = field(default_factory=list)
    spans: int = 0
    logs: int = 0
    points: int = 0
    point_sum: float = 0.0

    def calls_of(self, api: str) -> list[Call]:
        return [call for call in self.calls if call.api == api]


def draw_calls(seed: int, count: int, *, until_ns: int, over_s: float = 240.0) -> list[Call]:
    """`count` calls in the last `over_s` seconds before `until_ns`, log-normal latencies."""
    rng = random.Random(seed)
    calls = []
    for _ in range(count):
        api = rng.choice(APIS)
        duration_ms = round(rng.lognormvariate(3.5, 0.9), 3)
        start_ns = until_ns - int(rng.uniform(1.0, over_s) * 1e9) - int(duration_ms * 1e6)
        status = rng.choices((200, 201, 404, 503), (80, 10, 6, 4))[0]
        calls.append(Call(api, f"/{api}/{{id}}", status, start_ns, duration_ms))
    return calls


def send_spans(exporter: SpanExporter, calls: list[Call], sent: Sent) -> None:
    """One SERVER span a call with the current conventions, and one INTERNAL child each."""
    providers = {
        api: TracerProvider(resource=Resource({"service.name": api, "service.version": "1.2.0"}))
        for api in APIS
    }
    processor = BatchSpanProcessor(exporter, max_queue_size=100_000, max_export_batch_size=512)
    for provider in providers.values():
        provider.add_span_processor(processor)
    for call in calls:
        tracer = providers[call.api].get_tracer("e2e", "1.0")
        span = tracer.start_span(
            f"GET {call.route}",
            kind=trace.SpanKind.SERVER,
            start_time=call.start_ns,
            attributes={
                "http.request.method": "GET",
                "http.route": call.route,
                "http.response.status_code": call.status,
                "url.path": call.route.replace("{id}", "4711"),
                "client.address": "203.0.113.9",
            },
        )
        child = tracer.start_span(
            "work", context=trace.set_span_in_context(span), start_time=call.start_ns
        )
        end_ns = call.start_ns + round(call.duration_ms * 1e6)
        child.end(end_ns)
        span.end(end_ns)
        sent.calls.append(call)
        sent.spans += 2
    assert processor.force_flush(30_000)
    processor.shutdown()


def send_logs(exporter: GrpcLogs | HttpLogs, count: int, sent: Sent) -> None:
    provider = LoggerProvider(resource=Resource({"service.name": "orders"}))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=100_000))
    logger = provider.get_logger("e2e")
    for number in range(count):
        logger.emit(
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            body=f"order {number} stored",
            attributes={"order.number": number},
        )
        sent.logs += 1
    assert provider.force_flush(30_000)
    provider.shutdown()


def send_metrics(exporter: GrpcMetrics | HttpMetrics, series: int, sent: Sent) -> None:
    """One gauge point for each of `series` attribute sets, exported once."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], resource=Resource({"service.name": "orders"}))
    gauge = provider.get_meter("e2e").create_gauge("queue.depth", unit="{item}")
    for number in range(series):
        gauge.set(number * 1.5, {"queue": f"q{number}"})
        sent.points += 1
        sent.point_sum += number * 1.5
    provider.shutdown()  # exports what was gathered


def send_everything(
    http_url: str, grpc_target: str, *, seed: int, calls: int, logs: int, points: int
) -> Sent:
    """Half over OTLP/HTTP, half over OTLP/gRPC, by the official exporters."""
    sent = Sent()
    drawn = draw_calls(seed, calls, until_ns=time.time_ns())
    half = calls // 2
    send_spans(HttpSpans(f"{http_url}/v1/traces"), drawn[:half], sent)
    send_spans(GrpcSpans(grpc_target, insecure=True), drawn[half:], sent)
    send_logs(HttpLogs(f"{http_url}/v1/logs"), logs // 2, sent)
    send_logs(GrpcLogs(grpc_target, insecure=True), logs - logs // 2, sent)
    send_metrics(HttpMetrics(f"{http_url}/v1/metrics"), points // 2, sent)
    send_metrics(GrpcMetrics(grpc_target, insecure=True), points - points // 2, sent)
    return sent


def nginx_line(rng: random.Random, at_s: float) -> tuple[str, int, int]:
    """One combined line, its status and its body bytes."""
    status = rng.choices((200, 304, 404, 500), (85, 5, 7, 3))[0]
    size = rng.randint(0, 50_000)
    when = datetime.fromtimestamp(at_s, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    path = f"/files/{rng.randint(1, 10_000_000)}/download?token=hush"
    line = (
        f"198.51.100.{rng.randint(1, 250)} - partner{rng.randint(1, 9)} [{when}] "
        f'"GET {path} HTTP/1.1" {status} {size} "-" "curl/8.5.0"'
    )
    return line, status, size
