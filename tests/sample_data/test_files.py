"""The committed files: small, always the same, and true to the formats they claim."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sample_data.company import build_company
from sample_data.write_files import (
    BROKEN_LINES,
    FILES_DIR,
    NGINX_LINES,
    OTLP_CALLS,
    write_files,
)
from storage.schemas import REQUESTS

COMBINED = re.compile(
    r"\S+ - \S+ \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "
    r'"[A-Z]+ \S+ HTTP/1\.1" \d{3} \d+ "-" ".+"'
)


def test_writing_the_files_anew_changes_nothing(tmp_path: Path) -> None:
    written = {path.name for path in write_files(tmp_path)}
    assert written == {path.name for path in FILES_DIR.iterdir()}
    for name in written - {"requests.parquet"}:
        assert (tmp_path / name).read_bytes() == (FILES_DIR / name).read_bytes(), name
    # Parquet bytes carry the writer's version; the rows must be the same.
    assert pq.read_table(tmp_path / "requests.parquet").equals(
        pq.read_table(FILES_DIR / "requests.parquet")
    )


def test_the_files_are_small() -> None:
    assert sum(path.stat().st_size for path in FILES_DIR.iterdir()) < 300_000


def test_the_parquet_file_has_the_columns_of_requests() -> None:
    table = pq.read_table(FILES_DIR / "requests.parquet")
    assert table.schema.names == list(REQUESTS.column_names)
    assert set(table["outcome"].to_pylist()) >= {"ok", "client_error", "server_error"}


def test_the_otlp_files_hold_one_trace_per_call() -> None:
    request = ExportTraceServiceRequest.FromString((FILES_DIR / "otlp_traces.pb").read_bytes())
    spans = [s for r in request.resource_spans for ss in r.scope_spans for s in ss.spans]
    assert len({span.trace_id for span in spans}) == OTLP_CALLS.stop - OTLP_CALLS.start
    logs = ExportLogsServiceRequest.FromString((FILES_DIR / "otlp_logs.pb").read_bytes())
    records = [r for b in logs.resource_logs for s in b.scope_logs for r in s.log_records]
    known = {(span.trace_id, span.span_id) for span in spans}
    assert records and all((r.trace_id, r.span_id) in known for r in records)
    metrics = ExportMetricsServiceRequest.FromString((FILES_DIR / "otlp_metrics.pb").read_bytes())
    for block in metrics.resource_metrics:
        histogram = block.scope_metrics[0].metrics[0].histogram.data_points[0]
        assert sum(histogram.bucket_counts) == histogram.count > 0
        assert len(histogram.bucket_counts) == len(histogram.explicit_bounds) + 1


def test_the_log_file_is_nginx_combined_but_for_the_broken_lines() -> None:
    lines = (FILES_DIR / "nginx_combined.log").read_text().split("\n")[:-1]
    broken = [line for line in lines if line in BROKEN_LINES]
    assert len(lines) == NGINX_LINES
    assert broken == list(BROKEN_LINES)
    users = {consumer.user for consumer in build_company().consumers}
    for line in lines:
        if line not in BROKEN_LINES:
            assert COMBINED.fullmatch(line), line
            assert line.split(" ")[2] in users | {"-"}
