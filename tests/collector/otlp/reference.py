"""A plain and slow OTLP decoder on Google's protobuf: what the scanner is measured against.

One dict per row, written to be read. The rules are stated in the docstrings of collector/otlp.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Row = dict[str, Any]
TIME_MIN = 946_684_800 * 10**9
FUTURE_MAX = 10 * 366 * 86_400 * 10**9
ATTRIBUTES_MAX = 2_000

REQUESTS = {
    "otlp_traces": ExportTraceServiceRequest,
    "otlp_logs": ExportLogsServiceRequest,
    "otlp_metrics": ExportMetricsServiceRequest,
}


def double_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return orjson.dumps(value).decode()


def value_text(value: Any) -> str | None:
    """Text of an attribute value; None for an empty one."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return str(value.string_value)
    if kind == "double_value":
        return double_text(value.double_value)
    text = value_json(value)
    return None if text == "null" else text


def value_json(value: Any) -> str:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return orjson.dumps(value.string_value).decode()
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "int_value":
        return str(value.int_value)
    if kind == "double_value":
        text = double_text(value.double_value)
        return text if math.isfinite(value.double_value) else f'"{text}"'
    if kind == "bytes_value":
        return '"' + base64.b64encode(value.bytes_value).decode() + '"'
    if kind == "array_value":
        return "[" + ",".join(map(value_json, value.array_value.values)) + "]"
    if kind == "kvlist_value":
        items = (
            orjson.dumps(kv.key).decode() + ":" + value_json(kv.value)
            for kv in value.kvlist_value.values
        )
        return "{" + ",".join(items) + "}"
    return "null"


def attributes(pairs: Iterable[Any]) -> list[tuple[str, str | None]] | None:
    return [(kv.key, value_text(kv.value)) for kv in pairs] or None


def with_counts(
    pairs: Iterable[Any], counts: dict[str, int]
) -> list[tuple[str, str | None]] | None:
    said = [(key, str(count)) for key, count in counts.items() if count]
    return [*(attributes(pairs) or ()), *said] or None


def first(pairs: list[tuple[str, str | None]] | None, *keys: str) -> str | None:
    """Value of the first of `keys` that is present and not empty; of equal keys the first."""
    for wanted in keys:
        for key, value in pairs or ():
            if key == wanted:
                if value:
                    return value
                break
    return None


def id_text(raw: bytes, size: int) -> str | None:
    return raw.hex() if len(raw) == size and any(raw) else None


def path_of(url: str | None, *, absolute: bool) -> str | None:
    if url is None:
        return None
    if absolute and "://" in url:
        rest = url.split("://", 1)[1]
        cut = min((i for i in map(rest.find, "/?#") if i >= 0), default=len(rest))
        url = rest[cut:]
        if not url.startswith("/"):
            return "/"
    return re.split(r"[?#]", url, maxsplit=1)[0] or None


def out_of_range(nanos: int, received: int) -> bool:
    return not TIME_MIN <= nanos <= received + FUTURE_MAX


def shared(
    resource: Any, scope: Any, resource_url: str, scope_url: str, environment: str | None
) -> Row:
    """Columns that all records of one scope have."""
    own = attributes(resource.attributes) or []
    everything = list(own)
    if resource_url:
        everything.append(("otel.resource.schema_url", resource_url))
    if resource.dropped_attributes_count:
        everything.append(
            ("otel.resource.dropped_attributes_count", str(resource.dropped_attributes_count))
        )
    if resource.entity_refs:
        refs = [
            {
                "schema_url": ref.schema_url,
                "type": ref.type,
                "id_keys": list(ref.id_keys),
                "description_keys": list(ref.description_keys),
            }
            for ref in resource.entity_refs
        ]
        everything.append(("otel.resource.entity_refs", orjson.dumps(refs).decode()))
    if scope_url:
        everything.append(("otel.scope.schema_url", scope_url))
    if scope.dropped_attributes_count:
        everything.append(
            ("otel.scope.dropped_attributes_count", str(scope.dropped_attributes_count))
        )
    everything += [
        ("otel.scope." + key, value) for key, value in attributes(scope.attributes) or ()
    ]
    return {
        "service_name": first(own, "service.name"),
        "service_namespace": first(own, "service.namespace"),
        "service_version": first(own, "service.version"),
        "service_instance_id": first(own, "service.instance.id"),
        "environment": first(own, "deployment.environment.name", "deployment.environment")
        or environment
        or None,
        "scope_name": scope.name or None,
        "scope_version": scope.version or None,
        "resource_attributes": everything or None,
    }


def micros(nanos: int) -> int | None:
    return nanos // 1000 if nanos else None


def nanos_or_none(nanos: int) -> int | None:
    return nanos if 0 < nanos < 2**63 else None


KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES = ("UNSET", "OK", "ERROR")


def span_rows(request: Any, received: int, environment: str | None) -> Iterator[tuple[Row, str]]:
    for rs in request.resource_spans:
        for ss in rs.scope_spans:
            common = shared(rs.resource, ss.scope, rs.schema_url, ss.schema_url, environment)
            for span in ss.spans:
                yield {**common, **span_row(span, received)}, span_refusal(span, received)


def span_refusal(span: Any, received: int) -> str:
    if len(span.attributes) > ATTRIBUTES_MAX:
        return "too_many_attributes"
    if len(span.trace_id) not in (0, 16):
        return "invalid_trace_id"
    if len(span.span_id) not in (0, 8):
        return "invalid_span_id"
    if len(span.parent_span_id) not in (0, 8):
        return "invalid_parent_span_id"
    time = span.start_time_unix_nano or span.end_time_unix_nano or received
    if out_of_range(time, received) or span.end_time_unix_nano >= 2**63:
        return "time_out_of_range"
    return ""


def span_row(span: Any, received: int) -> Row:
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    own = attributes(span.attributes)
    status = first(own, "http.response.status_code", "http.status_code")
    return {
        "time": (start or end or received) // 1000,
        "start_time_unix_nano": nanos_or_none(start),
        "duration_ns": end - start if start and end else None,
        "trace_id": id_text(span.trace_id, 16),
        "span_id": id_text(span.span_id, 8),
        "parent_span_id": id_text(span.parent_span_id, 8),
        "trace_state": span.trace_state or None,
        "flags": span.flags,
        "name": span.name or None,
        "kind": KINDS[span.kind] if 0 <= span.kind < len(KINDS) else "UNSPECIFIED",
        "status": STATUSES[span.status.code] if 0 <= span.status.code < 3 else "UNSET",
        "status_message": span.status.message or None,
        "http_request_method": first(own, "http.request.method", "http.method"),
        "http_route": first(own, "http.route"),
        "http_response_status_code": int(status)
        if status and re.fullmatch(r"[0-9]{1,3}", status)
        else None,
        "url_path": first(own, "url.path")
        or path_of(first(own, "http.target"), absolute=False)
        or path_of(first(own, "url.full", "http.url"), absolute=True),
        "server_address": first(own, "server.address", "http.host", "net.host.name"),
        "client_address": first(own, "client.address", "http.client_ip"),
        "attributes": own,
        "events": [
            {
                "time_unix_nano": nanos_or_none(event.time_unix_nano),
                "name": event.name or None,
                "attributes": with_counts(
                    event.attributes,
                    {"otel.event.dropped_attributes_count": event.dropped_attributes_count},
                ),
            }
            for event in span.events
        ]
        or None,
        "links": [
            {
                "trace_id": id_text(link.trace_id, 16),
                "span_id": id_text(link.span_id, 8),
                "trace_state": link.trace_state or None,
                "attributes": with_counts(
                    link.attributes,
                    {
                        "otel.link.dropped_attributes_count": link.dropped_attributes_count,
                        "otel.link.flags": link.flags,
                    },
                ),
            }
            for link in span.links
        ]
        or None,
        "dropped_attributes_count": span.dropped_attributes_count,
        "dropped_events_count": span.dropped_events_count,
        "dropped_links_count": span.dropped_links_count,
    }


def log_rows(request: Any, received: int, environment: str | None) -> Iterator[tuple[Row, str]]:
    for rl in request.resource_logs:
        for sl in rl.scope_logs:
            common = shared(rl.resource, sl.scope, rl.schema_url, sl.schema_url, environment)
            for record in sl.log_records:
                time = record.time_unix_nano or record.observed_time_unix_nano or received
                refusal = ""
                if len(record.attributes) > ATTRIBUTES_MAX:
                    refusal = "too_many_attributes"
                elif out_of_range(time, received):
                    refusal = "time_out_of_range"
                yield (
                    {
                        **common,
                        "time": time // 1000,
                        "observed_time": micros(record.observed_time_unix_nano),
                        "severity_number": record.severity_number
                        if 1 <= record.severity_number <= 24
                        else None,
                        "severity_text": record.severity_text or None,
                        "body": value_text(record.body),
                        "event_name": record.event_name or None,
                        "trace_id": id_text(record.trace_id, 16),
                        "span_id": id_text(record.span_id, 8),
                        "flags": record.flags,
                        "attributes": attributes(record.attributes),
                        "dropped_attributes_count": record.dropped_attributes_count,
                    },
                    refusal,
                )


TEMPORALITY = {1: "DELTA", 2: "CUMULATIVE"}


def metric_rows(request: Any, received: int, environment: str | None) -> Iterator[tuple[Row, str]]:
    for rm in request.resource_metrics:
        for sm in rm.scope_metrics:
            common = shared(rm.resource, sm.scope, rm.schema_url, sm.schema_url, environment)
            for metric in sm.metrics:
                kind = metric.WhichOneof("data")
                data = getattr(metric, kind) if kind else None
                for point in data.data_points if data is not None else ():
                    time = point.time_unix_nano or received
                    refusal = ""
                    if len(point.attributes) > ATTRIBUTES_MAX:
                        refusal = "too_many_attributes"
                    elif out_of_range(time, received):
                        refusal = "time_out_of_range"
                    own = attributes(point.attributes) or []
                    own += [
                        ("otel.metric.metadata." + key, value)
                        for key, value in attributes(metric.metadata) or ()
                    ]
                    yield (
                        {
                            **common,
                            "time": time // 1000,
                            "start_time": micros(point.start_time_unix_nano),
                            "name": metric.name or None,
                            "type": kind,
                            "unit": metric.unit or None,
                            "description": metric.description or None,
                            "temporality": TEMPORALITY.get(
                                getattr(data, "aggregation_temporality", 0)
                            ),
                            "monotonic": data.is_monotonic if kind == "sum" else None,
                            "flags": point.flags,
                            "attributes": own or None,
                            **POINTS[kind](point),
                        },
                        refusal,
                    )


def number(point: Any) -> float | None:
    which = point.WhichOneof("value")
    return None if which is None else float(getattr(point, which))


def exemplars(point: Any) -> list[Row] | None:
    return [
        {
            "time_unix_nano": nanos_or_none(exemplar.time_unix_nano),
            "value": number(exemplar),
            "trace_id": id_text(exemplar.trace_id, 16),
            "span_id": id_text(exemplar.span_id, 8),
            "attributes": attributes(exemplar.filtered_attributes),
        }
        for exemplar in point.exemplars
    ] or None


def optional(point: Any, name: str) -> float | None:
    return getattr(point, name) if point.HasField(name) else None


def number_point(point: Any) -> Row:
    return {"value": number(point), "exemplars": exemplars(point)}


def distribution(point: Any) -> Row:
    return {
        "count": point.count,
        "sum": optional(point, "sum"),
        "min": optional(point, "min"),
        "max": optional(point, "max"),
        "exemplars": exemplars(point),
    }


def histogram_point(point: Any) -> Row:
    return {
        **distribution(point),
        "bounds": list(point.explicit_bounds) or None,
        "bucket_counts": list(point.bucket_counts) or None,
    }


def exponential_point(point: Any) -> Row:
    has_positive, has_negative = point.HasField("positive"), point.HasField("negative")
    return {
        **distribution(point),
        "scale": point.scale,
        "zero_count": point.zero_count,
        "zero_threshold": point.zero_threshold,
        "positive_offset": point.positive.offset if has_positive else None,
        "positive_counts": list(point.positive.bucket_counts) or None,
        "negative_offset": point.negative.offset if has_negative else None,
        "negative_counts": list(point.negative.bucket_counts) or None,
    }


def summary_point(point: Any) -> Row:
    return {
        "count": point.count,
        "sum": point.sum,
        "quantiles": [{"quantile": q.quantile, "value": q.value} for q in point.quantile_values]
        or None,
    }


POINTS = {
    "gauge": number_point,
    "sum": number_point,
    "histogram": histogram_point,
    "exponential_histogram": exponential_point,
    "summary": summary_point,
}
ROWS = {"otlp_traces": span_rows, "otlp_logs": log_rows, "otlp_metrics": metric_rows}


def decode(
    format_name: str, body: bytes, received: int, environment: str | None
) -> list[tuple[Row, str]]:
    """(row, reason of refusal or '') of every record. Raises Google's DecodeError."""
    request = REQUESTS[format_name].FromString(body)
    return list(ROWS[format_name](request, received, environment))


__all__ = ["Row", "decode", "json"]
