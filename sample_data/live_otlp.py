"""Calls as telemetry, made by the official OpenTelemetry SDK: spans, logs and metrics.

One `Pipeline` per gateway. Each service has a resource of its own; all of a pipeline share one
batch processor per signal. Spans: gateway (server), its client span, the service's server span, a
database span; the twin of `span_rows.py`. What they say is in `live_spans.py`.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from opentelemetry._logs import Logger as OtelLogger
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Histogram, Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, Tracer, set_span_in_context

from sample_data.call import Call
from sample_data.exporters import Exporters
from sample_data.live_spans import (
    client_span,
    database_span,
    gateway_span,
    log_record,
    metric_attributes,
    service_span,
)
from sample_data.log_rows import INFO_EVERY
from sample_data.rows import ENVIRONMENT
from sample_data.span_rows import GATEWAY_SCOPES, GATEWAY_SERVICES, SERVICE_SCOPE

SCHEDULE_MS = 500
"""Longest wait of a finished span before it is exported."""
QUEUE_RECORDS_MAX = 20_000
"""Spans or log records kept while the collector is down: about two minutes at 40 calls a second."""
BATCH_RECORDS_MAX = 1_000

DURATION = "http.server.request.duration"
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""As the semantic conventions recommend for this histogram."""


@dataclass(frozen=True, slots=True)
class _Service:
    """One resource: a service, or an instance of a gateway."""

    tracer: Tracer
    logger: OtelLogger
    meters: MeterProvider
    reader: InMemoryMetricReader
    durations: Histogram


class Pipeline:
    """Telemetry of one gateway and the services behind it. One thread may `emit`, another
    `export_metrics`."""

    def __init__(self, exporters: Exporters) -> None:
        self._exporters = exporters
        self._spans = BatchSpanProcessor(
            exporters.spans,
            max_queue_size=QUEUE_RECORDS_MAX,
            schedule_delay_millis=SCHEDULE_MS,
            max_export_batch_size=BATCH_RECORDS_MAX,
        )
        self._logs = BatchLogRecordProcessor(
            exporters.logs,
            schedule_delay_millis=SCHEDULE_MS,
            max_export_batch_size=BATCH_RECORDS_MAX,
            max_queue_size=QUEUE_RECORDS_MAX,
        )
        self._services: dict[str, _Service] = {}
        self._lock = threading.Lock()

    def emit(self, call: Call) -> None:
        """Make the call's spans, log record and measurements. Times are those of the call."""
        gateway = self._gateway(call)
        root = gateway_span(gateway.tracer, call)
        duration_s = (call.spans[0][1] - call.spans[0][0]) / 1e9
        gateway.durations.record(duration_s, metric_attributes(call, call.status))
        if call.upstream_ms is not None:
            client = client_span(gateway.tracer, call, set_span_in_context(root, Context()))
            if call.upstream_status is not None and call.operation.api is not None:
                self._serve(call, client)
            client.end(call.spans[1][1])
        root.end(call.spans[0][1])

    def export_metrics(self) -> bool:
        """Collect every service's metrics and send them as one request. False = not taken."""
        with self._lock:
            services = list(self._services.values())
        collected = [service.reader.get_metrics_data() for service in services]
        resources = [rm for data in collected if data is not None for rm in data.resource_metrics]
        if not resources:
            return True
        return self._exporters.send_metrics(MetricsData(resource_metrics=resources))

    def shutdown(self) -> None:
        """Send what is queued and stop. Blocks as long as the exporters do."""
        self._exporters.persistence.stopping.set()
        self._spans.shutdown()  # type: ignore[no-untyped-call]
        self._logs.shutdown()  # type: ignore[no-untyped-call]
        self.export_metrics()
        self._exporters.metrics.shutdown()

    def _serve(self, call: Call, client: Span) -> None:
        """What the service behind the gateway reports about the call."""
        service = self._service_of(call)
        context = set_span_in_context(client, Context())
        span = service_span(service.tracer, call, context)
        inner = set_span_in_context(span, Context())
        database_span(service.tracer, call, inner)
        if call.status >= 400 or call.dice % INFO_EVERY == 0:
            service.logger.emit(log_record(call, inner))
        span.end(call.spans[2][1])
        duration_s = (call.spans[2][1] - call.spans[2][0]) / 1e9
        service.durations.record(duration_s, metric_attributes(call, call.upstream_status or 0))

    def _gateway(self, call: Call) -> _Service:
        kind = call.operation.gateway
        name, version = GATEWAY_SCOPES[kind]
        return self._resource(GATEWAY_SERVICES[kind], "edge", call.instance, (name, version))

    def _service_of(self, call: Call) -> _Service:
        assert call.operation.api is not None, "only calls of an API reach a service"
        name = call.operation.api.service
        return self._resource(name, "waypost", f"{name}-7c9f-{call.dice % 2}", SERVICE_SCOPE)

    def _resource(
        self, name: str, namespace: str, instance: str, scope: tuple[str, str]
    ) -> _Service:
        if instance not in self._services:
            resource = Resource.create(
                {
                    "service.name": name,
                    "service.namespace": namespace,
                    "service.version": scope[1],
                    "service.instance.id": instance,
                    "deployment.environment.name": ENVIRONMENT,
                    "cloud.region": "eu-central-1",
                }
            )
            service = self._make_service(resource, scope, len(self._services))
            with self._lock:
                self._services[instance] = service
        return self._services[instance]

    def _make_service(self, resource: Resource, scope: tuple[str, str], number: int) -> _Service:
        tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        tracers.add_span_processor(self._spans)
        loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        loggers.add_log_record_processor(self._logs)
        reader = InMemoryMetricReader()
        meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        meter = meters.get_meter(*scope)
        durations = meter.create_histogram(
            DURATION,
            unit="s",
            description="Duration of HTTP server requests.",
            explicit_bucket_boundaries_advisory=BOUNDS_S,
        )
        process = _Process(number)
        meter.create_observable_gauge(
            "process.cpu.utilization",
            [process.cpu],
            unit="1",
            description="Share of one core the process uses.",
        )
        meter.create_observable_gauge(
            "process.memory.usage",
            [process.memory],
            unit="By",
            description="Physical memory in use.",
        )
        return _Service(
            tracers.get_tracer(*scope), loggers.get_logger(*scope), meters, reader, durations
        )


class _Process:
    """Made-up readings of a process: a slow wave, a different one for each service."""

    def __init__(self, number: int) -> None:
        self._number, self._readings = number, 0

    def _wave(self, period: int) -> float:
        return math.sin(2 * math.pi * (self._readings / period + self._number / 7))

    def cpu(self, _: CallbackOptions) -> list[Observation]:
        self._readings += 1
        return [Observation(0.18 + 0.02 * self._number + 0.08 * self._wave(60))]

    def memory(self, _: CallbackOptions) -> list[Observation]:
        return [Observation(int(180e6 + 9e6 * self._number + 20e6 * self._wave(240)))]
