"""Access-log records that are not counted: they become rows of `logs`, so that nothing is lost."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.attributes import attributes_column
from collector.naming import Naming
from collector.naming.counting import Mask
from collector.naming.twins import WITH_REQUEST_ID
from storage.schemas import ATTRIBUTES, TABLES

LOGS_SCHEMA = TABLES["logs"].arrow_schema
ACCESS_LOG_EVENT = "gatelens.access_log"
"""`event_name`, in `logs`, of access-log records that are not counted."""


def split_access_records(
    requests: pa.RecordBatch, naming: Naming
) -> tuple[pa.RecordBatch, pa.RecordBatch | None]:
    """(rows that count, rows of `logs` for the others or None) of records in gateways' own formats.

    Text and JSON logs do not say whether a span is recorded: whoever names one has one.
    """
    named = pc.and_(requests.column("span_id").is_valid(), requests.column("trace_id").is_valid())
    unknown = pa.nulls(requests.num_rows, pa.string())
    counts = naming.counting.access_records_that_count(
        requests, unknown, named.to_numpy(zero_copy_only=False)
    )
    counts = counts_beside_spans(requests, naming, counts)
    if counts.all():
        return requests, None
    return requests.filter(pa.array(counts)), _as_logs(requests.filter(pa.array(~counts)))


def counts_beside_spans(requests: pa.RecordBatch, naming: Naming, counts: Mask) -> Mask:
    """`counts` without the records of calls that a span was counted for: of Kong, by its request
    id, of others by the span they name."""
    kong = pc.fill_null(pc.equal(requests.column("gateway"), WITH_REQUEST_ID), False)
    ids = requests.column("span_id")
    if pc.any(kong).as_py():
        ids = pc.if_else(kong, requests.column("request_id"), ids)
    return naming.twins.records_that_count(requests.column("tenant"), ids, counts)


_KEPT = {
    "method": "http.request.method", "status_code": "http.response.status_code",
    "host": "server.address", "path": "url.path", "client_address": "client.address",
    "user_agent": "user_agent.original", "duration_ms": "duration_ms",
    "upstream_ms": "upstream_ms", "request_id": "request.id", "consumer": "consumer",
    "source": "source", "upstream": "upstream",
}  # fmt: skip
"""Columns of `requests` -> attributes of the log record that is made of an uncounted row."""


def _as_logs(requests: pa.RecordBatch) -> pa.RecordBatch:
    rows = requests.num_rows
    texts = {key: pc.cast(requests.column(name), pa.string()) for name, key in _KEPT.items()}
    body = pc.binary_join_element_wise(
        texts["http.request.method"], texts["url.path"], texts["http.response.status_code"], " ",
        null_handling="replace", null_replacement="-",
    )  # fmt: skip
    attributes = _maps(texts, rows)
    filled = {
        "time": requests.column("time"),
        "observed_time": requests.column("time"),
        "body": body,
        "event_name": pa.repeat(ACCESS_LOG_EVENT, rows),
        "trace_id": requests.column("trace_id"),
        "span_id": requests.column("span_id"),
        "service_name": requests.column("gateway"),
        "environment": requests.column("environment"),
        "attributes": attributes,
        "tenant": requests.column("tenant"),
    }
    columns = [
        filled[field.name].cast(field.type) if field.name in filled else pa.nulls(rows, field.type)
        for field in LOGS_SCHEMA
    ]
    return pa.RecordBatch.from_arrays(columns, schema=LOGS_SCHEMA)


def _maps(texts: dict[str, pa.Array], rows: int) -> pa.Array:
    maps = attributes_column(rows, texts)
    return pa.nulls(rows, ATTRIBUTES) if maps is None else maps
