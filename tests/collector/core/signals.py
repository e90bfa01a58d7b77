"""One request of each signal, in both encodings, with as many good and bad records as asked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

FAR_FUTURE = 2**63
"""A time that no record may have."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Where it goes, and how partial success is said in its response."""

    path: str
    method: str
    format: str
    table: str
    response: Any
    rejected: str
    rejected_json: str

    def body(self, service: str, bad: list[bool], *, json: bool = False) -> bytes:
        """A request with one record per entry of `bad`; a bad one's time is absurd."""
        times = [FAR_FUTURE if is_bad else time.time_ns() for is_bad in bad]
        return (_json if json else _protobuf)(self.format, service, times)

    def rejected_of(self, answer: bytes, *, json: bool = False) -> tuple[int, str]:
        """(records refused, message) of a response."""
        if json:
            partial = orjson.loads(answer).get("partialSuccess", {})
            return int(partial.get(self.rejected_json, 0)), partial.get("errorMessage", "")
        found = self.response.FromString(answer).partial_success
        return getattr(found, self.rejected), found.error_message


_SERVICE = "/opentelemetry.proto.collector.{}.v1.{}Service/Export"
TRACES = Signal(
    "/v1/traces", _SERVICE.format("trace", "Trace"), "otlp_traces", "spans",
    ExportTraceServiceResponse, "rejected_spans", "rejectedSpans",
)  # fmt: skip
LOGS = Signal(
    "/v1/logs", _SERVICE.format("logs", "Logs"), "otlp_logs", "logs",
    ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords",
)  # fmt: skip
METRICS = Signal(
    "/v1/metrics", _SERVICE.format("metrics", "Metrics"), "otlp_metrics", "metrics",
    ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints",
)  # fmt: skip
SIGNALS = (TRACES, LOGS, METRICS)


def _protobuf(format: str, service: str, times: list[int]) -> bytes:
    resource = {"attributes": [{"key": "service.name", "value": {"string_value": service}}]}
    request: Any
    if format == "otlp_traces":
        request = ExportTraceServiceRequest()
        scope = request.resource_spans.add(resource=resource).scope_spans.add()
        for number, at in enumerate(times, 1):
            ids = {"trace_id": number.to_bytes(16, "big"), "span_id": number.to_bytes(8, "big")}
            scope.spans.add(name="s", start_time_unix_nano=at, end_time_unix_nano=at, **ids)
    elif format == "otlp_logs":
        request = ExportLogsServiceRequest()
        scope = request.resource_logs.add(resource=resource).scope_logs.add()
        for at in times:
            scope.log_records.add(time_unix_nano=at, body={"string_value": "hello"})
    else:
        request = ExportMetricsServiceRequest()
        scope = request.resource_metrics.add(resource=resource).scope_metrics.add()
        points = [{"time_unix_nano": at, "as_int": 1} for at in times]
        scope.metrics.add(name="m", gauge={"data_points": points})
    return bytes(request.SerializeToString())


def _json(format: str, service: str, times: list[int]) -> bytes:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    if format == "otlp_traces":
        spans = [
            {"traceId": f"{n:032x}", "spanId": f"{n:016x}", "name": "s",
             "startTimeUnixNano": str(at), "endTimeUnixNano": str(at)}
            for n, at in enumerate(times, 1)
        ]  # fmt: skip
        body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}
    elif format == "otlp_logs":
        records = [{"timeUnixNano": str(at), "body": {"stringValue": "hello"}} for at in times]
        body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}
    else:
        points = [{"timeUnixNano": str(at), "asInt": "1"} for at in times]
        metrics = [{"name": "m", "gauge": {"dataPoints": points}}]
        body = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}
    return orjson.dumps(body)
