"""One body through the scanner and through the reference: both must say the same."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from google.protobuf.message import DecodeError

from collector.errors import MalformedBody
from collector.otlp import OTLP_LOGS, OTLP_METRICS, OTLP_TRACES, OtlpFormat
from collector.payload import Content, Payload
from storage.schemas import TABLES
from tests.collector.otlp import reference
from tests.collector.otlp.messages import NOW

FORMATS: dict[str, OtlpFormat] = {f.name: f for f in (OTLP_TRACES, OTLP_LOGS, OTLP_METRICS)}


def payload(
    format_name: str, body: bytes, *, content: Content = "protobuf", **fields: Any
) -> Payload:
    """A payload of tenant `default` as it was received NOW."""
    values: dict[str, Any] = {
        "tenant": "default",
        "environment": None,
        "received_unix_nano": NOW,
        "origin": "192.0.2.7",
        **fields,
    }
    return Payload(body=body, format=format_name, content=content, **values)


def rows_of(batch: pa.RecordBatch | None) -> list[dict[str, Any]]:
    return [] if batch is None else batch.to_pylist()


def reference_rows(
    format_name: str, body: bytes, environment: str | None = None, tenant: str = "default"
) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    """(rows kept, (position, reason) of those refused), through the schema of the table."""
    decoded = reference.decode(format_name, body, NOW, environment)
    schema = TABLES[FORMATS[format_name].signal.table].arrow_schema
    kept = [{**row, "tenant": tenant} for row, reason in decoded if not reason]
    refused = [(i, reason) for i, (_, reason) in enumerate(decoded, 1) if reason]
    return pa.RecordBatch.from_pylist(kept, schema=schema).to_pylist(), refused


def assert_same(format_name: str, body: bytes) -> bool:
    """True if both accept. Rows are compared by `repr`: NaN equals NaN, -0.0 is not 0.0."""
    otlp = FORMATS[format_name]
    offered = payload(format_name, body)
    try:
        expected, refused = reference_rows(format_name, body)
    except DecodeError:
        expected, refused = None, []
    try:
        admission = otlp.admit(offered)
    except MalformedBody:
        assert expected is None, f"the scanner refuses what protobuf reads: {body!r}"
        assert otlp.decode([offered]).accepted == 0
        return False
    assert expected is not None, f"the scanner reads what protobuf refuses: {body!r}"
    decoded = otlp.decode([offered])
    got = rows_of(decoded.tables.get(otlp.signal.table))
    for row, wanted in zip(got, expected, strict=True):
        if "series" in row:
            assert row["series"] is not None
            row["series"] = None
        for name, value in wanted.items():
            assert repr(row[name]) == repr(value), (name, row[name], value, body)
    rejects = rows_of(decoded.tables.get("rejects"))
    assert [(row["position"], row["reason"]) for row in rejects] == refused, body
    assert (decoded.accepted, decoded.rejected) == (len(expected), len(refused))
    assert (admission.records, admission.rejected) == (len(expected) + len(refused), len(refused))
    return True
