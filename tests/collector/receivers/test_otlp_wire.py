"""The messages written by hand, read by the official classes."""

from __future__ import annotations

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.receivers import metric_wire, otlp_wire
from tests.collector.receivers.test_golden_cases import FOLDERS, payload_of

RESOURCE = [("service.name", "shop"), ("empty", "")]


def test_a_log_record_reads_as_it_was_written() -> None:
    record = otlp_wire.log_record(
        time_ns=2**63, observed_ns=5, body="x" * 5000, severity_number=17, severity_text="ERROR",
        attributes=[("k", "v"), ("é", "☃")], trace_id=bytes(range(16)), span_id=bytes(range(8)),
    )  # fmt: skip
    request = ExportLogsServiceRequest.FromString(
        otlp_wire.envelope(RESOURCE, [record, record], scope="s")
    )
    [resource] = request.resource_logs
    assert [(a.key, a.value.string_value) for a in resource.resource.attributes] == RESOURCE
    assert resource.scope_logs[0].scope.name == "s"
    read, again = resource.scope_logs[0].log_records
    assert read == again
    assert (read.time_unix_nano, read.observed_time_unix_nano) == (2**63, 5)
    assert (read.severity_number, read.severity_text) == (17, "ERROR")
    assert read.body.string_value == "x" * 5000
    assert {a.key: a.value.string_value for a in read.attributes} == {"k": "v", "é": "☃"}
    assert (read.trace_id, read.span_id) == (bytes(range(16)), bytes(range(8)))


def test_number_points_read_as_they_were_written() -> None:
    exemplar = metric_wire.Exemplar(7, 0.5, (("trace_id", "1" * 32), ("span_id", "2" * 16)))
    labels = otlp_wire.pairs(metric_wire.POINT_LABELS, [("code", "200")])
    points = [
        metric_wire.number_point(labels, time_ns=3, value=1.5, start_ns=2, exemplars=[exemplar]),
        metric_wire.number_point(b"", time_ns=4, value=None),
    ]
    counter = metric_wire.metric("c", points, counter=True, unit="By", description="d")
    gauge = metric_wire.metric("g", points, counter=False)
    request = ExportMetricsServiceRequest.FromString(otlp_wire.envelope((), [counter, gauge]))
    read, second = request.resource_metrics[0].scope_metrics[0].metrics
    assert (read.name, read.unit, read.description) == ("c", "By", "d")
    assert read.sum.is_monotonic
    assert read.sum.aggregation_temporality == 2
    first, stale = read.sum.data_points
    assert (first.as_double, first.time_unix_nano, first.start_time_unix_nano) == (1.5, 3, 2)
    assert first.attributes[0].key == "code"
    assert first.exemplars[0].trace_id.hex() == "1" * 32
    assert first.exemplars[0].span_id.hex() == "2" * 16
    assert (first.exemplars[0].as_double, first.exemplars[0].time_unix_nano) == (0.5, 7)
    assert (stale.flags, stale.WhichOneof("value")) == (1, None)
    assert list(second.gauge.data_points) == list(read.sum.data_points)


def test_histogram_points_read_as_they_were_written() -> None:
    base = metric_wire.Distribution((("a", "b"),), 9, 1, 6, 2.5)
    bounded = metric_wire.histogram_metric(
        "h", metric_wire.bounded_point(base, [1.0, 2.0], [1, 2, 3]), exponential=False
    )
    exponential = metric_wire.histogram_metric(
        "e",
        metric_wire.exponential_point(
            base, scale=-2, zero_count=1, zero_threshold=0.25,
            positive=metric_wire.Buckets(-5, [1, 0, 300]), negative=metric_wire.Buckets(3, [4]),
        ),
        exponential=True,
    )  # fmt: skip
    request = ExportMetricsServiceRequest.FromString(otlp_wire.envelope((), [bounded, exponential]))
    read, other = request.resource_metrics[0].scope_metrics[0].metrics
    [point] = read.histogram.data_points
    assert list(point.explicit_bounds) == [1.0, 2.0]
    assert list(point.bucket_counts) == [1, 2, 3]
    assert (point.count, point.sum, point.time_unix_nano) == (6, 2.5, 9)
    [point] = other.exponential_histogram.data_points
    assert (point.scale, point.zero_count, point.zero_threshold) == (-2, 1, 0.25)
    assert (point.positive.offset, list(point.positive.bucket_counts)) == (-5, [1, 0, 300])
    assert (point.negative.offset, list(point.negative.bucket_counts)) == (3, [4])
    assert point.attributes[0].value.string_value == "b"


def test_every_case_translates_into_what_the_official_classes_read() -> None:
    from collector.formats import FORMATS
    from collector.receivers.translated import TranslatedFormat

    requests = {
        "logs": ExportLogsServiceRequest,
        "metrics": ExportMetricsServiceRequest,
        "spans": ExportTraceServiceRequest,
    }
    seen = 0
    for folder in FOLDERS:
        format_ = FORMATS[folder.parent.name]
        if isinstance(format_, TranslatedFormat):
            body = format_.translate(payload_of(folder)).otlp
            read = requests[format_.signal.table].FromString(body)
            seen += len(read.ListFields())
    assert seen
