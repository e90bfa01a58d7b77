"""The quick check of a body and the long way agree, about every record of every signal."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.otlp import OTLP_LOGS, OTLP_METRICS, OTLP_TRACES, OtlpFormat
from collector.otlp.body import scan_body
from collector.otlp.limits import FUTURE_MAX_NANO, TIME_MIN_UNIX_NANO, OtlpLimits
from tests.collector.otlp.messages import NOW

LIMITS = OtlpLimits(attributes_per_record_max=3)


def _times(rng: random.Random, odd: float) -> int:
    if rng.random() >= odd:
        return rng.choice((0, NOW, TIME_MIN_UNIX_NANO, NOW + FUTURE_MAX_NANO))
    return rng.choice((1, TIME_MIN_UNIX_NANO - 1, NOW + FUTURE_MAX_NANO + 1, 2**63, 2**64 - 1))


def _id(rng: random.Random, size: int, odd: float) -> bytes:
    return rng.randbytes(rng.choice((0, size)) if rng.random() >= odd else rng.randrange(1, 30))


def _attributes(rng: random.Random, odd: float) -> list[dict[str, Any]]:
    count = rng.randrange(4) if rng.random() >= odd else 4
    return [{"key": f"k{n}", "value": {"int_value": n}} for n in range(count)]


def _group(rng: random.Random) -> dict[str, Any]:
    return {"attributes": _attributes(rng, 0.5)}


def _spans(rng: random.Random, odd: float) -> bytes:
    request = ExportTraceServiceRequest()
    for _ in range(rng.randrange(3)):
        resource = request.resource_spans.add(resource=_group(rng))
        for _ in range(rng.randrange(3)):
            scope = resource.scope_spans.add(scope=_group(rng))
            for _ in range(rng.randrange(4)):
                scope.spans.add(
                    start_time_unix_nano=_times(rng, odd), end_time_unix_nano=_times(rng, odd),
                    trace_id=_id(rng, 16, odd), span_id=_id(rng, 8, odd),
                    parent_span_id=_id(rng, 8, odd), attributes=_attributes(rng, odd),
                )  # fmt: skip
    return bytes(request.SerializeToString())


def _logs(rng: random.Random, odd: float) -> bytes:
    request = ExportLogsServiceRequest()
    for _ in range(rng.randrange(3)):
        resource = request.resource_logs.add(resource=_group(rng))
        for _ in range(rng.randrange(3)):
            scope = resource.scope_logs.add(scope=_group(rng))
            for _ in range(rng.randrange(4)):
                scope.log_records.add(
                    time_unix_nano=_times(rng, odd), observed_time_unix_nano=_times(rng, odd),
                    trace_id=_id(rng, 16, 0.5), attributes=_attributes(rng, odd),
                )  # fmt: skip
    return bytes(request.SerializeToString())


def _metrics(rng: random.Random, odd: float) -> bytes:
    request = ExportMetricsServiceRequest()
    for _ in range(rng.randrange(3)):
        resource = request.resource_metrics.add(resource=_group(rng))
        for _ in range(rng.randrange(3)):
            scope = resource.scope_metrics.add(scope=_group(rng))
            for _ in range(rng.randrange(4)):
                metric = scope.metrics.add(
                    name="n" * rng.randrange(9), unit="ms", description="d" * rng.randrange(99),
                    metadata=_attributes(rng, 0.5),
                )  # fmt: skip
                kind = rng.choice((metric.gauge, metric.sum, metric.histogram, metric.summary))
                for _ in range(rng.randrange(4)):
                    kind.data_points.add(
                        time_unix_nano=_times(rng, odd), attributes=_attributes(rng, odd)
                    )
    body = bytes(request.SerializeToString())
    # A metric sent in two parts whose kinds differ: the points of the first are dead.
    return body if rng.random() >= odd else body + _replaced()


def _replaced() -> bytes:
    def field(number: int, payload: bytes) -> bytes:
        return bytes([number << 3 | 2, len(payload)]) + payload

    point = field(1, bytes([3 << 3 | 1]) + NOW.to_bytes(8, "little"))
    return field(1, field(2, field(2, field(5, point) + field(7, point))))


@pytest.mark.parametrize(
    ("otlp", "make"), [(OTLP_TRACES, _spans), (OTLP_LOGS, _logs), (OTLP_METRICS, _metrics)]
)
@pytest.mark.parametrize("odd", [0.0, 0.02, 0.3])
def test_both_ways_agree(otlp: OtlpFormat, make: Any, odd: float) -> None:
    rng = random.Random(f"{otlp.name} {odd}")
    quickly = 0
    for _ in range(200):
        signal = otlp.signal
        body = scan_body(make(rng, odd), signal.plan, items_max=2**40, everything=False)
        received = np.full(body.count("record"), NOW, dtype=np.int64)
        records = signal.decide(body, received, LIMITS)
        fine = records.live is None and not records.codes.any()
        wanted = int(signal.repeated_bytes(body).sum()) if fine else None
        assert signal.quick.repeated_bytes(body, NOW, LIMITS) == wanted
        quickly += fine
    assert quickly == 200 if odd == 0 else 0 < quickly < 200
