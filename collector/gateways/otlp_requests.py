"""OTLP server spans as `requests`: one row for each span that is an API call and counts.

A call is a SERVER span with an HTTP method or status, an RPC system, or an attribute of a gateway.
Attribute names: `otlp_attributes.py`. Which of several spans of a call counts: `counting.py`. A
span is a gateway's if its attributes or its service name say so (`gateway_kinds`).

time = start of the span; duration_ms = its length (NULL where the clock ran backwards); upstream_ms
and gateway_ms from `apigw.upstream.duration` and `apigw.gateway.duration`, seconds. gateway_ms is
the rest of the total where only the upstream's time is given; a span without an upstream's time
leaves it open whether the upstream was asked at all, so upstream_ms is NULL then. Status of gRPC
calls without an HTTP status: the HTTP equivalent of the gRPC code (google.rpc.Code).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.attributes import AttributeColumns
from collector.gateways.otlp_attributes import (
    KEYS,
    call_columns,
    call_status,
    either,
    find_attributes,
    gateway_kinds,
    numbers,
    true,
    valid,
)
from collector.gateways.rows import floats, requests_batch
from collector.naming import Naming
from collector.naming.counting import Mask
from collector.naming.twins import WITH_REQUEST_ID, place_of
from collector.naming.unique import coalesce, coded, coded_by
from storage.coded import plain, set_column

_NEEDED = [
    "time", "tenant", "environment", "trace_id", "span_id", "duration_ns", "status",
    "service_name", "service_instance_id", "scope_name", "http_request_method", "http_route",
    "http_response_status_code", "url_path", "server_address", "client_address",
]  # fmt: skip
"""Columns of `spans` that are read, besides `kind` and `attributes`."""


def requests_from_spans(spans: pa.RecordBatch, naming: Naming) -> pa.RecordBatch | None:
    """Rows of `requests`, named, for the spans (schema of table `spans`) that are API calls.

    None if there is no such span. Order is that of the spans.
    """
    spans = set_column(spans, "service_name", plain(spans.column("service_name")))
    server = true(pc.equal(spans.column("kind"), "SERVER"))
    if not server.any():
        naming.fronts.notice(spans)
        return None
    rows, whole = np.flatnonzero(server), spans
    found = find_attributes(spans, rows)
    spans = spans.select(_NEEDED).filter(pa.array(server))
    kinds = gateway_kinds(spans, found)
    calls = _calls(spans, found)
    services = spans.column("service_name")
    calls &= naming.counting.spans_that_count(services, kinds)
    calls = naming.fronts.told_once(whole, rows, kinds, calls, naming.counting.left_open(services))
    calls = _beside_the_log(spans, found, kinds, calls, naming)
    if not calls.any():
        return None
    if not calls.all():
        keep = pa.array(calls)
        spans, kinds = spans.filter(keep), kinds.filter(keep)
        found = found.kept(calls)
    batch = requests_batch(spans.num_rows, _columns(spans, found, kinds))
    own = pc.is_null(kinds)
    service = pc.if_else(own, spans.column("service_name"), pa.scalar(None, pa.string()))
    return naming.apply(batch, service=service, format="otlp_traces")


def _beside_the_log(
    spans: pa.RecordBatch,
    found: AttributeColumns,
    kinds: pa.Array,
    calls: Mask,
    naming: Naming,
) -> Mask:
    """`calls` without those that their gateway's access log tells of as well."""
    services = spans.column("service_name")
    open_ = valid(kinds) & naming.counting.either_counts(services, kinds)
    if not open_.any():
        return calls
    kong = pc.equal(kinds, WITH_REQUEST_ID)
    none = pa.scalar(None, pa.string())
    ids = coalesce(pc.if_else(kong, found.text("kong.request.id"), none), spans.column("span_id"))
    parts = coalesce(either(spans, found, "route"), found.text(*KEYS["upstream"]))
    return naming.twins.spans_that_count(
        spans.column("tenant"),
        place_of(kinds, services, parts),
        pc.if_else(pa.array(open_), ids, none),
        calls,
    )


def _calls(spans: pa.RecordBatch, found: AttributeColumns) -> npt.NDArray[np.bool_]:
    """Which server spans are API calls."""
    http = valid(spans.column("http_request_method"))
    http |= valid(spans.column("http_response_status_code"))
    http |= found.has("http.request.method", "http.method", "http.status_code", *KEYS["rpc"])
    http |= found.has("http.response.status_code", "apigw.api.name", "apigw.api.id", *KEYS["kong"])
    return http


def _columns(
    spans: pa.RecordBatch, found: AttributeColumns, kinds: pa.Array
) -> dict[str, pa.Array | None]:
    columns = call_columns(spans, found, kinds)
    total_ms = spans.column("duration_ns").to_numpy(zero_copy_only=False).astype(np.float64) / 1e6
    failed = true(pc.equal(spans.column("status"), "ERROR")) & np.isnan(call_status(spans, found))
    outcome = columns["outcome"]
    if failed.any():
        outcome = pc.if_else(pa.array(failed), "server_error", outcome)
    return columns | {
        "outcome": outcome,
        "gateway": coded(columns["gateway"]),
        "duration_ms": floats(total_ms),
        "upstream_ms": floats(numbers(found, "upstream_s") * 1000.0),
        "gateway_ms": floats(numbers(found, "gateway_s") * 1000.0),
        "source": coded_by(["otlp_span"], pa.array(np.zeros(spans.num_rows, dtype=np.int32))),
    }
