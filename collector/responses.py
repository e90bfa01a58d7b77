"""What senders read: export responses and google.rpc.Status, in protobuf and in JSON.

OTLP 1.11, "OTLP/HTTP Response": the response is encoded like the request, and every 4xx and 5xx
body is a Status. Full success leaves `partial_success` unset, so its protobuf form has no bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import orjson
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.errors import CollectorError, MalformedBody, answer_for, retry_after_s
from collector.limits import STATUS_MESSAGE_CHARS_MAX

Encoding = Literal["protobuf", "json"]

CONTENT_TYPES: dict[Encoding, bytes] = {
    "protobuf": b"application/x-protobuf",
    "json": b"application/json",
}

_PARTIAL: dict[str, tuple[Any, str, str]] = {
    "otlp_traces": (ExportTraceServiceResponse, "rejected_spans", "rejectedSpans"),
    "otlp_logs": (ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
    "otlp_metrics": (ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An error, ready for either transport."""

    http: int
    status: Status
    retry_after_s: int | None
    """None = the sender must not try again."""

    def encode(self, encoding: Encoding) -> bytes:
        return self.status.SerializeToString() if encoding == "protobuf" else _json(self.status)


def failure_of(error: BaseException) -> Failure:
    """How `error` is answered. The text of a foreign exception is ours alone and not sent."""
    answer = answer_for(error)
    message = str(error) if isinstance(error, CollectorError) else "Internal error; try again."
    status = Status(code=answer.grpc.value[0], message=message[:STATUS_MESSAGE_CHARS_MAX])
    wait_s: int | None = None
    if answer.retry:
        wait_s = retry_after_s(error)
        status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=wait_s)))
    elif isinstance(error, MalformedBody):
        violation = BadRequest.FieldViolation(field="body", description=status.message)
        status.details.add().Pack(BadRequest(field_violations=[violation]))
    return Failure(answer.http, status, wait_s)


def success_body(format: str, encoding: Encoding, rejected: int, message: str) -> bytes:
    """Body of a 200, or the message of an OK. Formats other than OTLP answer as if in JSON."""
    if not rejected and not message:
        return b"" if encoding == "protobuf" else b"{}"
    message = message[:STATUS_MESSAGE_CHARS_MAX]
    if format not in _PARTIAL:
        return orjson.dumps({"rejected": rejected, "errorMessage": message})
    response_class, field, json_field = _PARTIAL[format]
    if encoding == "json":
        # 64-bit integers are strings in the JSON mapping.
        partial = {json_field: str(rejected), "errorMessage": message}
        return orjson.dumps({"partialSuccess": partial})
    response = response_class()
    setattr(response.partial_success, field, rejected)
    response.partial_success.error_message = message
    return bytes(response.SerializeToString())


def _json(status: Status) -> bytes:
    """Written by hand: json_format is slow, and has had holes."""
    details: list[dict[str, object]] = []
    for packed in status.details:
        if packed.Is(RetryInfo.DESCRIPTOR):
            retry = RetryInfo()
            packed.Unpack(retry)
            details.append(
                {"@type": packed.type_url, "retryDelay": f"{retry.retry_delay.seconds}s"}
            )
        elif packed.Is(BadRequest.DESCRIPTOR):
            bad = BadRequest()
            packed.Unpack(bad)
            violations = [
                {"field": v.field, "description": v.description} for v in bad.field_violations
            ]
            details.append({"@type": packed.type_url, "fieldViolations": violations})
    body: dict[str, object] = {"code": status.code, "message": status.message}
    if details:
        body["details"] = details
    return orjson.dumps(body)
