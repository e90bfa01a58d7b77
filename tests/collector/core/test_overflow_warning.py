"""Names beyond a cap: whoever sent them is told, on every door, and nobody else."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from collector.service import Collector
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from tests.collector.core.doors import eventually, metric, open_collector
from tests.collector.core.process import post, traces
from tests.collector.core.signals import LOGS, TRACES
from tests.collector.core.test_auth import entry, write_tokens
from tests.collector.core.test_http import JSON, PROTOBUF

SERVICES, CAP = 30, 10
NAMES = [f"service-{number}" for number in range(SERVICES)]
LOUD = {"Authorization": "Bearer loud"}


def call_of(number: int, service: str) -> bytes:
    """A server span of a service."""
    request = ExportTraceServiceRequest.FromString(traces(number, 1))
    request.resource_spans[0].resource.attributes[0].value.string_value = service
    return bytes(request.SerializeToString())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("overflow")


@pytest.fixture(scope="module")
def collector(folder: Path) -> Iterator[Collector]:
    """One whose tenant `loud` has sent spans of more services than its cap."""
    tokens = folder / "tokens.yaml"
    write_tokens(tokens, entry("a", "loud", "tenant: loud"), entry("b", "calm", "tenant: calm"))
    with open_collector(folder, tokens_file=tokens, api_names_max=CAP) as found:
        for number, service in enumerate(NAMES):
            assert post(found.http_port, call_of(number, service), **LOUD)[0] == 200
        eventually(lambda: overflowed(found) == SERVICES - CAP)
        yield found


def query(folder: Path, sql: str) -> list[dict[str, Any]]:
    session = ReadSession(Lake(StorageSettings(data_dir=folder)), tenant="loud")
    found: list[dict[str, Any]] = session.query(sql).to_pylist()
    return found


def overflowed(collector: Collector) -> float:
    collector._metrics()
    return metric(collector, "names_overflowed_requests", reason="apis")


def check(told: tuple[int, str]) -> None:
    rejected, message = told
    assert rejected == 0, "nothing is refused"
    assert "api_names_max" in message and str(CAP) in message
    assert any(f'"{name}"' in message for name in NAMES), message


def test_the_warning_comes_over_every_transport_and_encoding(collector: Collector) -> None:
    for json in (False, True):
        body = TRACES.body("more", [False], json=json)
        type_ = JSON if json else PROTOBUF
        status, headers, answer = post(collector.http_port, body, Content_Type=type_, **LOUD)
        assert (status, headers["content-type"]) == (200, type_)
        check(TRACES.rejected_of(answer, json=json))
    with grpc.insecure_channel(f"127.0.0.1:{collector.grpc_port}") as channel:
        call = channel.unary_unary(TRACES.method)
        metadata = [("authorization", LOUD["Authorization"])]
        check(TRACES.rejected_of(call(call_of(900, NAMES[0]), timeout=10, metadata=metadata)))


def test_refused_records_and_the_warning_are_told_together(collector: Collector) -> None:
    _, _, answer = post(collector.http_port, TRACES.body("mixed", [True, False]), **LOUD)
    rejected, message = TRACES.rejected_of(answer)
    assert rejected == 1
    assert "api_names_max" in message and not message.startswith("Warning"), message


def test_a_request_sent_again_is_warned_as_well_and_stored_once(
    collector: Collector, folder: Path
) -> None:
    body = TRACES.body("again", [False] * 3)
    for _ in range(3):
        _, _, answer = post(collector.http_port, body, **LOUD)
        check(TRACES.rejected_of(answer))
    sql = "SELECT count(*) n FROM spans WHERE service_name = 'again'"
    eventually(lambda: query(folder, sql) == [{"n": 3}])


def test_other_tenants_and_signals_hear_nothing(collector: Collector) -> None:
    calm = {"Authorization": "Bearer calm"}
    assert post(collector.http_port, call_of(950, "own"), **calm)[2] == b""
    assert post(collector.http_port, LOGS.body("logs", [False]), LOGS.path, **LOUD)[2] == b""


def test_names_beyond_the_cap_are_one_name_and_no_call_is_lost(
    collector: Collector, folder: Path
) -> None:
    """Named is not committed yet: the last of them may take a moment."""
    sql = "SELECT api, count(*) n FROM requests GROUP BY api"

    def counts() -> dict[str, int]:
        return {row["api"]: row["n"] for row in query(folder, sql)}

    eventually(lambda: counts().get("__overflow__", 0) >= SERVICES - CAP)
    assert counts().keys() == {*NAMES[:CAP], "__overflow__"}


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_to_an_official_exporter_the_warning_is_a_success(
    collector: Collector, caplog: pytest.LogCaptureFixture, transport: str
) -> None:
    sent = {"authorization": LOUD["Authorization"]}
    exporter: Any = (
        HttpSpans(f"http://127.0.0.1:{collector.http_port}/v1/traces", headers=sent)
        if transport == "http"
        else GrpcSpans(f"127.0.0.1:{collector.grpc_port}", insecure=True, headers=sent)
    )
    results: list[SpanExportResult] = []
    real = exporter.export
    exporter.export = lambda spans: results.append(real(spans)) or results[-1]
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    with caplog.at_level(logging.ERROR):
        provider.get_tracer("t").start_span("s").end()
        provider.shutdown()
    assert results == [SpanExportResult.SUCCESS]
    assert [record.getMessage() for record in caplog.records] == []
