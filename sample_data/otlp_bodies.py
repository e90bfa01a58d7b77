"""Calls as OTLP export requests, made with the official protobuf classes: for committed files.

Small and plain on purpose; ids come from the call, so the same calls give the same bytes. Live
traffic goes through the SDK instead (`live_otlp.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.util.types import AttributeValue

from sample_data.call import Call
from sample_data.live_otlp import BOUNDS_S, DURATION
from sample_data.live_spans import gateway_attributes, service_attributes
from sample_data.log_rows import EXCEPTIONS, SEVERITIES, body_of, severity_of
from sample_data.rows import ENVIRONMENT
from sample_data.span_rows import GATEWAY_SCOPES, GATEWAY_SERVICES, SERVICE_SCOPE

CUMULATIVE = 2
"""AGGREGATION_TEMPORALITY_CUMULATIVE."""


def trace_body(calls: Sequence[Call]) -> bytes:
    """Gateway and service spans of the calls, one resource per service."""
    request = ExportTraceServiceRequest()
    for name, scope, members in _by_gateway(calls):
        spans = _scope_spans(request, name, "edge", scope)
        spans.extend(_gateway_span(call) for call in members)
    for name, members in _by_service(calls):
        spans = _scope_spans(request, name, "waypost", SERVICE_SCOPE)
        spans.extend(_service_span(call) for call in members)
    return bytes(request.SerializeToString(deterministic=True))


def log_body(calls: Sequence[Call]) -> bytes:
    """A log record for every call that reached a service."""
    request = ExportLogsServiceRequest()
    for name, members in _by_service(calls):
        block = request.resource_logs.add(resource=_resource(name, "waypost", SERVICE_SCOPE[1]))
        scope = block.scope_logs.add()
        scope.scope.name, scope.scope.version = SERVICE_SCOPE
        for call in members:
            number, text = SEVERITIES[severity_of(call.status)]
            record = scope.log_records.add(
                time_unix_nano=call.spans[2][1],
                observed_time_unix_nano=call.spans[2][1],
                severity_number=number,
                severity_text=text,
                body=AnyValue(string_value=body_of(call.operation, call.status)),
                trace_id=call.trace_id,
                span_id=call.span_ids[2],
                flags=1,
            )
            if call.status in EXCEPTIONS:
                kind, message = EXCEPTIONS[call.status]
                record.attributes.extend(
                    _attributes({"exception.type": kind, "exception.message": message})
                )
    return bytes(request.SerializeToString(deterministic=True))


def metric_body(calls: Sequence[Call]) -> bytes:
    """One duration histogram and one memory gauge per service."""
    request = ExportMetricsServiceRequest()
    for name, members in _by_service(calls):
        block = request.resource_metrics.add(resource=_resource(name, "waypost", SERVICE_SCOPE[1]))
        scope = block.scope_metrics.add()
        scope.scope.name, scope.scope.version = SERVICE_SCOPE
        start_ns, end_ns = members[0].spans[2][0], members[-1].spans[2][1]
        durations = [(call.spans[2][1] - call.spans[2][0]) / 1e9 for call in members]
        metric = scope.metrics.add(name=DURATION, unit="s")
        metric.histogram.aggregation_temporality = CUMULATIVE
        metric.histogram.data_points.add(
            start_time_unix_nano=start_ns,
            time_unix_nano=end_ns,
            count=len(durations),
            sum=sum(durations),
            min=min(durations),
            max=max(durations),
            explicit_bounds=BOUNDS_S,
            bucket_counts=_buckets(durations),
        )
        memory = scope.metrics.add(name="process.memory.usage", unit="By")
        memory.gauge.data_points.add(time_unix_nano=end_ns, as_int=180_000_000 + len(members))
    return bytes(request.SerializeToString(deterministic=True))


def _buckets(durations: Sequence[float]) -> list[int]:
    edges = (-1.0, *BOUNDS_S, float("inf"))
    return [
        sum(low < duration <= high for duration in durations)
        for low, high in zip(edges, edges[1:], strict=False)
    ]


def _by_gateway(calls: Sequence[Call]) -> list[tuple[str, tuple[str, str], list[Call]]]:
    return [
        (GATEWAY_SERVICES[kind], scope, members)
        for kind, scope in GATEWAY_SCOPES.items()
        if (members := [call for call in calls if call.operation.gateway == kind])
    ]


def _by_service(calls: Sequence[Call]) -> list[tuple[str, list[Call]]]:
    groups: dict[str, list[Call]] = {}
    for call in calls:
        if call.operation.api is not None and call.upstream_status is not None:
            groups.setdefault(call.operation.api.service, []).append(call)
    return sorted(groups.items())


def _scope_spans(
    request: ExportTraceServiceRequest, name: str, namespace: str, scope: tuple[str, str]
) -> list[Span]:
    """The repeated field to put the spans of a new resource into."""
    block = request.resource_spans.add(resource=_resource(name, namespace, scope[1]))
    spans = block.scope_spans.add()
    spans.scope.name, spans.scope.version = scope
    repeated: list[Span] = spans.spans
    return repeated


def _gateway_span(call: Call) -> Span:
    op = call.operation
    return Span(
        trace_id=call.trace_id,
        span_id=call.span_ids[0],
        name=f"{op.method} {op.template}" if op.template else op.method,
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=call.spans[0][0],
        end_time_unix_nano=call.spans[0][1],
        attributes=_attributes(gateway_attributes(call)),
        status=Status(code=Status.STATUS_CODE_ERROR) if call.status >= 500 else None,
        flags=0x101,
    )


def _service_span(call: Call) -> Span:
    op = call.operation
    return Span(
        trace_id=call.trace_id,
        span_id=call.span_ids[2],
        parent_span_id=call.span_ids[0],
        name=f"{op.method} {op.template}",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=call.spans[2][0],
        end_time_unix_nano=call.spans[2][1],
        attributes=_attributes(service_attributes(call)),
        status=Status(code=Status.STATUS_CODE_ERROR) if call.status >= 500 else None,
        flags=0x301,
    )


def _resource(name: str, namespace: str, version: str) -> Resource:
    return Resource(
        attributes=_attributes(
            {
                "service.name": name,
                "service.namespace": namespace,
                "service.version": version,
                "service.instance.id": f"{name}-1",
                "deployment.environment.name": ENVIRONMENT,
            }
        )
    )


def _attributes(attributes: dict[str, AttributeValue]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_any(value)) for key, value in attributes.items()]


def _any(value: AttributeValue) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    assert isinstance(value, str), "calls have no attribute of another kind"
    return AnyValue(string_value=value)
