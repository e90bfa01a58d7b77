"""Run every decoder once on a small body, so that the port opens with all of it loaded.

The kernels are compiled, or loaded, when their modules are imported (otlp/machine.py); what a first
body loads beside them (Arrow's functions, regular expressions) no sender must wait for either.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import structlog
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from collector.backlog import Entry
from collector.batch import decode_batch
from collector.formats import inspect
from collector.naming import Naming
from collector.payload import Content, Format, Payload

log = structlog.get_logger(__name__)

_TIME_NS = 1_700_000_000_000_000_000


def _attributes() -> list[KeyValue]:
    found = []
    for key, value in (("http.request.method", "GET"), ("http.route", "/warm"), ("n", 200)):
        attribute = KeyValue(key=key)
        if isinstance(value, str):
            attribute.value.string_value = value
        else:
            attribute.value.int_value = value
        found.append(attribute)
    return found


def _traces() -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add(resource=Resource(attributes=_attributes()))
    span = resource.scope_spans.add().spans.add(
        trace_id=bytes(range(1, 17)),
        span_id=bytes(range(1, 9)),
        name="warm",
        kind=2,
        start_time_unix_nano=_TIME_NS,
        end_time_unix_nano=_TIME_NS + 1_000_000,
        attributes=_attributes(),
    )
    span.events.add(time_unix_nano=_TIME_NS, name="event", attributes=_attributes())
    span.links.add(trace_id=bytes(range(1, 17)), span_id=bytes(range(1, 9)))
    return bytes(request.SerializeToString())


def _logs() -> bytes:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add(resource=Resource(attributes=_attributes()))
    record = resource.scope_logs.add().log_records.add(
        time_unix_nano=_TIME_NS, severity_number=9, attributes=_attributes()
    )
    record.body.string_value = "warm"
    return bytes(request.SerializeToString())


def _metrics() -> bytes:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add(resource=Resource(attributes=_attributes()))
    scope = resource.scope_metrics.add()
    total = scope.metrics.add(name="sum").sum
    total.data_points.add(time_unix_nano=_TIME_NS, as_int=1, attributes=_attributes())
    histogram = scope.metrics.add(name="histogram").histogram
    histogram.data_points.add(
        time_unix_nano=_TIME_NS, count=1, bucket_counts=[1, 0], explicit_bounds=[1.0]
    )
    return bytes(request.SerializeToString())


_TELL_S = 1.0
"""A decoder that took longer was compiled, not loaded: told, since somebody waits for the start."""

_NGINX = b'192.0.2.1 - - [14/Nov/2023:22:13:20 +0000] "GET /warm HTTP/1.1" 200 5 "-" "warm/1"\n'


def warm_up(formats: Mapping[str, Format], naming: Naming) -> None:
    """Decode one body of each format that has a sample here; nothing is stored."""
    started = time.monotonic()
    samples: dict[str, tuple[Content, bytes]] = {
        "otlp_traces": ("protobuf", _traces()),
        "otlp_logs": ("protobuf", _logs()),
        "otlp_metrics": ("protobuf", _metrics()),
        "nginx": ("text", _NGINX),
    }
    for name, (content, body) in samples.items():
        if name not in formats:
            continue
        began = time.monotonic()
        payload = Payload(body, name, content, "default", None, _TIME_NS, "")
        records = inspect(formats[name], payload).records
        batch = decode_batch([Entry(1, payload, records, 0.0)], formats, naming, _fail)
        assert batch.stored[name], f"the {name} sample was not decoded"
        took_s = time.monotonic() - began
        if took_s > _TELL_S:
            log.info("decoder_prepared", format=name, took_s=round(took_s, 1))
    log.info("kernels_warm", took_s=round(time.monotonic() - started, 2))


def _fail(entry: Entry) -> None:
    raise RuntimeError(f"the {entry.payload.format} decoder does not work here")
