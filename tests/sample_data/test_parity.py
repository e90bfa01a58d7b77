"""History written straight into the lake says what the collector makes of the same calls."""

from __future__ import annotations

import pyarrow as pa
import pytest

from collector.formats import FORMATS
from collector.gateways.otlp_requests import requests_from_spans
from collector.naming import Naming
from collector.payload import Payload
from sample_data.catalog_file import CATALOG_PATH
from sample_data.company import build_company
from sample_data.rows import requests_table
from sample_data.write_files import (
    BROKEN_LINES,
    FILES_DIR,
    NGINX_LINES,
    OTLP_CALLS,
    sample_requests,
)
from storage.catalog import load_catalog

SAME = (
    "time", "gateway", "api", "route", "product", "plan", "consumer", "consumer_group",
    "credential", "method", "host", "path", "protocol", "status_code", "outcome", "duration_ms",
    "request_bytes", "response_bytes", "client_address", "user_agent", "client_kind", "upstream",
    "upstream_status", "quota_limit", "quota_remaining", "trace_id", "request_id", "source",
)  # fmt: skip


def _payload(name: str, format_: str, content: str) -> Payload:
    return Payload(
        body=(FILES_DIR / name).read_bytes(),
        format=format_,
        content=content,  # type: ignore[arg-type]
        tenant="default",
        environment=None,
        received_unix_nano=1_795_176_600_000_000_000,
        origin="test",
    )


def test_spans_become_the_rows_that_history_writes() -> None:
    decoded = FORMATS["otlp_traces"].decode([_payload("otlp_traces.pb", "otlp_traces", "protobuf")])
    spans = decoded.tables["spans"]
    rows = requests_from_spans(spans, Naming(load_catalog(CATALOG_PATH)))
    assert isinstance(rows, pa.RecordBatch)
    company = build_company()
    written = {
        row["span_id"]: row
        for row in requests_table(company, sample_requests(company)).to_pylist()
        if row["span_id"]
    }
    assert rows.num_rows == OTLP_CALLS.stop - OTLP_CALLS.start
    for row in rows.to_pylist():
        ours = written[row["span_id"]]
        for name in SAME:
            expected = pytest.approx(ours[name], abs=0.01) if name == "duration_ms" else ours[name]
            assert row[name] == expected, name


def test_lines_are_requests_and_broken_ones_are_rejects() -> None:
    decoded = FORMATS["nginx"].decode([_payload("nginx_combined.log", "nginx", "text")])
    assert decoded.tables["requests"].num_rows == NGINX_LINES - len(BROKEN_LINES)
    blank = sum(not line for line in BROKEN_LINES)
    assert decoded.tables["rejects"].num_rows == len(BROKEN_LINES) - blank
