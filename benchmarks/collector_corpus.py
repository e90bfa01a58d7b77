"""Bodies that the collector's benchmark sends, encoded beforehand."""

from __future__ import annotations

import random
import time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MARK = "0123456789abcdef"
"""Sixteen bytes of every body that the sender replaces by a counter."""

_WORDS = (
    "the", "order", "of", "this", "customer", "was", "checked", "against", "stock", "and", "sent",
    "to", "warehouse", "north", "because", "cart", "had", "3", "items", "worth", "41.20", "EUR",
    "status=200", "retry=0", "path=/v1/orders", "in", "12", "ms", "by", "worker", "7", "then",
)  # fmt: skip

CORPUS_BYTES = 16_000_000
"""Different bodies are made up to this size, then sent over and over with new counters: ids and
paths repeat seldom enough for dictionaries and compression to work as in real use."""


def corpus(signal: str, count: int) -> list[bytes]:
    first = body_of(signal, count)
    more = min(64, CORPUS_BYTES // len(first))
    return [first, *(body_of(signal, count, seed) for seed in range(1, max(2, more)))]


def body_of(signal: str, count: int, seed: int = 0) -> bytes:
    """A request of `count` records: spans of about 430 B with 10 attributes; logs of 200 B to 2 kB,
    `logs-300` and `logs-2k` of about that size; histograms with 12 buckets."""
    rng = random.Random(seed)
    now = time.time_ns()
    if signal == "spans":
        traces = ExportTraceServiceRequest()
        resource = traces.resource_spans.add()
        spans = resource.scope_spans.add().spans
    elif signal.startswith("logs"):
        logs = ExportLogsServiceRequest()
        resource = logs.resource_logs.add()
        records = resource.scope_logs.add().log_records
    else:
        metrics = ExportMetricsServiceRequest()
        resource = metrics.resource_metrics.add()
        points = resource.scope_metrics.add().metrics.add(name="http.server.request.duration")
        points.histogram.aggregation_temporality = 2
    _put(resource.resource.attributes, {"service.name": "checkout", "service.instance.id": MARK})
    for number in range(count):
        start = now - rng.randrange(10**9)
        common = {
            "http.request.method": rng.choice(["GET", "POST"]),
            "http.route": f"/v1/orders/{{id}}/items/{rng.randrange(20)}",
            "http.response.status_code": rng.choice([200, 200, 200, 201, 404, 500]),
        }
        if signal == "spans":
            span = spans.add(
                trace_id=rng.randbytes(16),
                span_id=rng.randbytes(8),
                parent_span_id=rng.randbytes(8),
                name="GET /v1/orders/{id}",
                kind=rng.choice([2, 2, 3]),
                start_time_unix_nano=start,
                end_time_unix_nano=start + rng.randrange(10**8),
            )
            more = {
                "url.path": f"/v1/orders/{rng.randrange(10**6)}/items",
                "server.address": "orders.shop.example",
                "server.port": 8443,
                "client.address": f"192.0.2.{rng.randrange(256)}",
                "user_agent.original": "shop-mobile/4.1 (Android 14)",
                "network.protocol.version": "1.1",
                "app.tenant": rng.choice(["a", "b", "c"]),
            }
            _put(span.attributes, common | more)
        elif signal.startswith("logs"):
            record = records.add(
                time_unix_nano=start, severity_number=9, severity_text="INFO",
                trace_id=rng.randbytes(16), span_id=rng.randbytes(8),
            )  # fmt: skip
            words = {"logs": rng.randrange(18, 315), "logs-300": 18, "logs-2k": 300}[signal]
            text = " ".join(rng.choices(_WORDS, k=words))
            record.body.string_value = f"order {rng.randrange(10**6)} placed: {text}"
            _put(record.attributes, common)
        else:
            point = points.histogram.data_points.add(
                start_time_unix_nano=start, time_unix_nano=now, count=100, sum=rng.random(),
                bucket_counts=[rng.randrange(50) for _ in range(12)],
                explicit_bounds=[0.005 * 2**i for i in range(11)],
            )  # fmt: skip
            _put(point.attributes, common | {"series": number})
    request = traces if signal == "spans" else logs if signal.startswith("logs") else metrics
    return bytes(request.SerializeToString())


def _put(attributes: object, values: dict[str, object]) -> None:
    for key, value in values.items():
        attribute = attributes.add(key=key)  # type: ignore[attr-defined]
        if isinstance(value, int):
            attribute.value.int_value = value
        else:
            attribute.value.string_value = value
