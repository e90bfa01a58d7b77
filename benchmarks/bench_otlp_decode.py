"""How long the OTLP decoder takes: milliseconds per 1,000 records, for validation, the scan and
the whole way to a record batch, one body at a time and several joined.

    python -m benchmarks.bench_otlp_decode [--repeat 50]

Every figure is the least CPU time of the repeats. Rows are counted after each decode, so a broken
decoder cannot look fast.
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import time
from collections.abc import Callable, Mapping

import numba
import pyarrow as pa
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.otlp import OTLP_LOGS, OTLP_METRICS, OTLP_TRACES, OtlpFormat
from collector.otlp.body import scan_body
from collector.payload import Payload

SEED = 20_261_121
NOW = 1_795_257_417_000_000_000
RECORDS = 1_000
_RESOURCE = {
    "service.name": "checkout",
    "service.namespace": "shop",
    "service.version": "1.42.0",
    "service.instance.id": "checkout-7d9f8b6c5-x2x9k",
    "deployment.environment.name": "production",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.language": "python",
    "telemetry.sdk.version": "1.45.2",
    "host.name": "node-17",
}


def _add(target: object, values: Mapping[str, str | int | float | bool]) -> None:
    for key, value in values.items():
        pair = target.add(key=key)  # type: ignore[attr-defined]
        kind = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}
        setattr(pair.value, kind[type(value)], value)


def traces(rng: random.Random) -> bytes:
    """Server spans of about 400 B with 9 to 12 attributes."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    _add(resource.resource.attributes, _RESOURCE)
    scope = resource.scope_spans.add()
    scope.scope.name = "opentelemetry.instrumentation.asgi"
    scope.scope.version = "0.66b2"
    for i in range(RECORDS):
        start = NOW - rng.randrange(10**9)
        span = scope.spans.add(
            trace_id=rng.randbytes(16),
            span_id=rng.randbytes(8),
            parent_span_id=rng.randbytes(8),
            name="GET /orders/{id}",
            kind=2,
            flags=257,
            start_time_unix_nano=start,
            end_time_unix_nano=start + rng.randrange(10**8),
        )
        values: dict[str, str | int | float | bool] = {
            "http.request.method": "GET",
            "http.route": "/orders/{id}",
            "url.path": f"/orders/{rng.randrange(10**6)}",
            "url.scheme": "https",
            "http.response.status_code": rng.choice((200, 200, 200, 404, 503)),
            "server.address": "api.example.com",
            "client.address": f"203.0.113.{rng.randrange(256)}",
            "user_agent.original": "Mozilla/5.0 (X11; Linux)",
            "network.protocol.version": "1.1",
        }
        if i % 2:
            values |= {"server.port": 443, "cache.hit": True, "queue.ms": rng.random() * 10}
        _add(span.attributes, values)
    return bytes(request.SerializeToString())


def logs(rng: random.Random) -> bytes:
    """Log records of about 400 B."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    _add(resource.resource.attributes, _RESOURCE)
    scope = resource.scope_logs.add()
    for i in range(RECORDS):
        record = scope.log_records.add(
            time_unix_nano=NOW - i,
            observed_time_unix_nano=NOW,
            severity_number=9,
            severity_text="INFO",
            trace_id=rng.randbytes(16),
            span_id=rng.randbytes(8),
        )
        record.body.string_value = f"order {i} placed by customer {rng.randrange(10**9)} " * 4
        _add(record.attributes, {"logger": "shop.orders", "line": i, "thread": "worker-1"})
    return bytes(request.SerializeToString())


def metrics(rng: random.Random) -> bytes:
    """Histogram points with 15 buckets and 3 attributes."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    _add(resource.resource.attributes, _RESOURCE)
    metric = resource.scope_metrics.add().metrics.add(name="http.server.request.duration", unit="s")
    metric.histogram.aggregation_temporality = 2
    for i in range(RECORDS):
        point = metric.histogram.data_points.add(
            time_unix_nano=NOW, start_time_unix_nano=NOW - 10**10, count=100, sum=rng.random()
        )
        point.bucket_counts.extend(rng.randrange(100) for _ in range(15))
        point.explicit_bounds.extend(0.005 * 2**k for k in range(14))
        _add(point.attributes, {"http.route": f"/r/{i}", "http.request.method": "GET", "code": 200})
    return bytes(request.SerializeToString())


def best_ms(work: Callable[[], object], repeat: int) -> float:
    """CPU time of the quickest of `repeat` runs, in milliseconds: other processes do not count."""
    found = float("inf")
    for _ in range(repeat):
        start = time.thread_time()
        work()
        found = min(found, time.thread_time() - start)
    return found * 1e3


def measure(otlp: OtlpFormat, body: bytes, joined: int, repeat: int) -> str:
    """One line of the table."""
    payload = Payload(body, otlp.name, "protobuf", "default", None, NOW, "192.0.2.1")
    batch = [payload] * joined

    def decode() -> None:
        decoded = otlp.decode(batch)
        assert decoded.tables[otlp.signal.table].num_rows == RECORDS * joined

    def scan() -> None:
        rows = scan_body(body, otlp.signal.plan, items_max=10**9, everything=True)
        assert rows.count("record") == RECORDS

    validate_ms = best_ms(lambda: otlp.validate(payload), repeat)
    scan_ms = best_ms(scan, repeat)
    single_ms = best_ms(lambda: otlp.decode([payload]), repeat)
    joined_ms = best_ms(decode, max(20, repeat // joined)) / joined
    return (
        f"{otlp.name:13} {len(body) / RECORDS:7.0f} {validate_ms:9.2f} {scan_ms:8.2f} "
        f"{single_ms:9.2f} {joined_ms:12.2f} {len(body) / joined_ms / 1e3:9.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the OTLP decoder.")
    parser.add_argument("--repeat", type=int, default=50)
    parser.add_argument("--joined", type=int, default=16)
    options = parser.parse_args()
    out = sys.stdout.write
    out(
        f"Python {platform.python_version()}, numba {numba.__version__}, pyarrow {pa.__version__}, "
        f"{platform.machine()}, seed {SEED}; ms per {RECORDS} records\n"
    )
    out(f"{'':13} {'B/rec':>7} {'validate':>9} {'scan':>8} {'decode 1':>9} ")
    out(f"{'decode ' + str(options.joined):>12} {'MB/s':>9}\n")
    for otlp, make in ((OTLP_TRACES, traces), (OTLP_LOGS, logs), (OTLP_METRICS, metrics)):
        body = make(random.Random(SEED))
        out(measure(otlp, body, options.joined, options.repeat) + "\n")


if __name__ == "__main__":
    main()
