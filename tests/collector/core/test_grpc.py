"""The gRPC door: official exporters, statuses with their details, sizes."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from collector import fault_points
from collector.grpc_messages import encoding_of
from collector.service import Collector
from tests.collector.core.doors import eventually, metric, open_collector, query
from tests.collector.core.process import traces

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("grpc")


@pytest.fixture(scope="module")
def collector(folder: Path) -> Iterator[Collector]:
    with open_collector(folder) as found:
        yield found


def export(
    port: int,
    body: bytes,
    method: str = TRACES,
    compression: grpc.Compression = grpc.Compression.NoCompression,
) -> bytes:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(method)
        answer: bytes = call(body, timeout=10, compression=compression)
        return answer


def refusal(port: int, body: bytes, method: str = TRACES) -> tuple[grpc.StatusCode, Status | None]:
    """Code and the status in the trailers, where there is one."""
    with pytest.raises(grpc.RpcError) as caught:
        export(port, body, method)
    trailers = dict(caught.value.trailing_metadata() or ())
    details = trailers.get("grpc-status-details-bin")
    return caught.value.code(), Status.FromString(details) if details else None


def test_a_full_success_says_nothing(collector: Collector) -> None:
    assert export(collector.grpc_port, traces(1, 5)) == b""
    for number, zipped in enumerate((grpc.Compression.Gzip, grpc.Compression.Deflate)):
        body = traces(100 + 1000 * number, 500)
        assert export(collector.grpc_port, body, compression=zipped) == b""
    assert export(collector.grpc_port, b"") == b""


def test_refused_records_are_told(collector: Collector) -> None:
    request = ExportTraceServiceRequest.FromString(traces(700, 3))
    request.resource_spans[0].scope_spans[0].spans[1].trace_id = b"short"
    answer = export(collector.grpc_port, request.SerializeToString())
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    assert partial.rejected_spans == 1
    assert partial.error_message


def test_malformed_bytes_are_never_retried(collector: Collector) -> None:
    code, status = refusal(collector.grpc_port, b"\xff\xff")
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert status is not None
    assert status.code == 3


def test_a_message_that_looks_compressed_is_taken_as_it_is(collector: Collector) -> None:
    """An unknown field 15 in front makes the first bytes those of zlib."""
    body = b"\x78\x9c\x01" + traces(5000, 3)
    assert encoding_of(body) == "deflate"
    assert export(collector.grpc_port, body) == b""


def test_damaged_gzip_is_malformed(collector: Collector) -> None:
    code, _ = refusal(collector.grpc_port, gzip.compress(traces(1, 5))[:-9])
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_unknown_services_are_unimplemented(collector: Collector) -> None:
    assert refusal(collector.grpc_port, b"", "/x.Y/Z")[0] is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_the_size_limit_holds_after_decompression_and_is_not_retried(
    collector: Collector, compression: grpc.Compression
) -> None:
    limit = collector.settings.body_bytes_max
    with pytest.raises(grpc.RpcError) as caught:
        export(collector.grpc_port, bytes(limit + 1), compression=compression)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    details = dict(caught.value.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    assert not Status.FromString(details).details, "no RetryInfo: it would be sent again"
    with pytest.raises(grpc.RpcError) as caught:
        export(collector.grpc_port, bytes(limit), compression=compression)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_transient_fault_is_unavailable_with_retry_info(collector: Collector) -> None:
    fault_points.arm("wal.write=enospc@1")
    body = traces(2000, 3)
    code, status = refusal(collector.grpc_port, body)
    assert code is grpc.StatusCode.UNAVAILABLE
    assert status is not None
    retry = RetryInfo()
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.seconds > 0
    assert export(collector.grpc_port, body) == b"", "the same bytes are welcome afterwards"


def test_many_calls_at_once_all_arrive(collector: Collector, folder: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        bodies = [traces(10_000 + 10 * n, 10) for n in range(100)]
        answers = list(pool.map(lambda body: export(collector.grpc_port, body), bodies))
    assert set(answers) == {b""}
    ids = (
        "trace_id BETWEEN '00000000000000000000000000002710' AND '00000000000000000000000000002af7'"
    )
    sql = f"SELECT count(*) n, count(DISTINCT span_id) d FROM spans WHERE {ids}"
    eventually(lambda: query(folder, sql) == [{"n": 1000, "d": 1000}])


def test_the_official_exporters_report_success(collector: Collector, folder: Path) -> None:
    http = HttpExporter(endpoint=f"http://127.0.0.1:{collector.http_port}/v1/traces")
    grpc_ = GrpcExporter(endpoint=f"127.0.0.1:{collector.grpc_port}", insecure=True)
    results: list[SpanExportResult] = []

    class Watched(SpanExporter):
        def __init__(self, exporter: SpanExporter) -> None:
            self.exporter = exporter

        def export(self, spans: object) -> SpanExportResult:
            results.append(self.exporter.export(spans))  # type: ignore[arg-type]
            return results[-1]

    duplicated = metric(
        collector, "requests_duplicated_total", format="otlp_traces", transport="grpc"
    )
    provider = TracerProvider()
    for exporter in (http, grpc_):
        provider.add_span_processor(SimpleSpanProcessor(Watched(exporter)))
    for number in range(3):
        provider.get_tracer("test").start_span(f"official {number}").end()
    assert results == [SpanExportResult.SUCCESS] * 6
    provider.shutdown()
    http.shutdown()
    grpc_.shutdown()
    sql = "SELECT count(*) n FROM spans WHERE name LIKE 'official %'"
    eventually(lambda: query(folder, sql) == [{"n": 3}])
    now = metric(collector, "requests_duplicated_total", format="otlp_traces", transport="grpc")
    assert now - duplicated == 3, "the same bytes from the same sender are one, whatever the door"
