"""Generated calls as rows of the lake's `requests` table."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sample_data.columns import hex_text, null_where, pick, timestamps
from sample_data.company import AGENTS, Company
from sample_data.requests import OUTCOMES, Requests
from storage.schemas import ATTRIBUTES, REQUESTS

SOURCES = {"kong": "otlp_span", "envoy": "otlp_span", "nginx": "nginx"}
ENVIRONMENT = "production"
TENANT = "default"
NO_API, NO_ROUTE = "__overflow__", "__unmatched__"
"""What the collector's naming calls the API and the route of a probe that nothing answers."""


def requests_table(company: Company, requests: Requests) -> pa.Table:
    """Rows with the columns of REQUESTS. NGINX rows have only what a combined line says."""
    n = len(requests)
    op, consumer = requests.operation, requests.consumer
    ops, people = company.operations, company.consumers
    spans = np.array([o.gateway != "nginx" for o in ops])[op]
    lines = ~spans
    instance = op.astype(np.int64) * 2 + (requests.ids[:, 3] & 1).astype(np.int64)
    upstream_none = np.isnan(requests.upstream_ms) | lines
    columns: dict[str, pa.Array] = {
        "time": timestamps(requests.time_us),
        "tenant": _constant(TENANT, n),
        "environment": null_where(_constant(ENVIRONMENT, n), lines),
        "gateway": pick([o.gateway for o in ops], op),
        "gateway_instance": null_where(
            pick([f"{o.gateway}-{i}" for o in ops for i in (1, 2)], instance), lines
        ),
        "api": pick([o.api.name if o.api else NO_API for o in ops], op),
        "api_version": pick([o.version for o in ops], op),
        "operation": pa.nulls(n, pa.string()),
        "route": pick([o.template or NO_ROUTE for o in ops], op),
        "product": pick([o.api.product if o.api else None for o in ops], op),
        "plan": pick([c.plan.name for c in people], consumer),
        "consumer": pick([c.name for c in people], consumer),
        "consumer_group": pick([c.group for c in people], consumer),
        "credential": pick([c.credential for c in people], consumer),
        "method": pick([o.method for o in ops], op),
        "host": null_where(pick([o.host for o in ops], op), lines),
        "path": paths(company, requests),
        "protocol": pick(["HTTP/2", "HTTP/1.1"], lines.astype(np.int8)),
        "status_code": pa.array(requests.status),
        "outcome": pick(OUTCOMES, requests.outcome),
        "duration_ms": null_where(pa.array(requests.duration_ms.astype(np.float64)), lines),
        "upstream_ms": null_where(pa.array(requests.upstream_ms.astype(np.float64)), upstream_none),
        "gateway_ms": null_where(pa.array(requests.gateway_ms.astype(np.float64)), lines),
        "request_bytes": null_where(pa.array(requests.request_bytes.astype(np.int64)), lines),
        "response_bytes": pa.array(requests.response_bytes.astype(np.int64)),
        "client_address": pick([a.text for a in company.addresses], requests.address),
        "country": pick([a.country for a in company.addresses], requests.address),
        "user_agent": pick([a.text for a in AGENTS], requests.agent),
        "client_kind": pick([a.kind for a in AGENTS], requests.agent),
        "upstream": null_where(
            pick([f"{o.api.service}.internal:8080" if o.api else None for o in ops], op),
            upstream_none,
        ),
        "upstream_status": null_where(
            pa.array(requests.upstream_status), (requests.upstream_status == 0) | lines
        ),
        "quota_limit": _quota_limit(company, requests, lines),
        "quota_remaining": null_where(
            pa.array(requests.quota_remaining), (requests.quota_remaining < 0) | lines
        ),
        "trace_id": null_where(hex_text(requests.ids[:, :2]), lines),
        "span_id": null_where(hex_text(requests.ids[:, 2]), lines),
        "request_id": null_where(hex_text(requests.ids[:, 3]), lines),
        "source": pick([SOURCES[o.gateway] for o in ops], op),
        "attributes": pa.nulls(n, ATTRIBUTES),
    }
    columns |= {c.name: pa.nulls(n, c.type) for c in REQUESTS.columns if c.name not in columns}
    return pa.table([columns[c.name] for c in REQUESTS.columns], schema=REQUESTS.arrow_schema)


def paths(company: Company, requests: Requests) -> pa.Array:
    """The path asked for: the template with an id of 12 hex digits in place of its parameter."""
    op = requests.operation
    heads, has_id = _path_parts(company)
    plain = pick(heads, op)
    with_id = has_id[op]
    if not with_id.any():
        return plain
    index = np.flatnonzero(with_id)
    ids = pc.utf8_slice_codeunits(hex_text(requests.ids[index, 4]), 0, 12)
    tails = pick([o.path_tail for o in company.operations], op[index])
    full = pc.binary_join_element_wise(plain.take(pa.array(index)), ids, tails, "")
    return pc.replace_with_mask(plain, pa.array(with_id), full)


@lru_cache(maxsize=4)
def _path_parts(company: Company) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    ops = company.operations
    return tuple(o.path_head for o in ops), np.array([o.has_id for o in ops])


def _constant(text: str, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(text), n)


def _quota_limit(company: Company, requests: Requests, lines: NDArray[np.bool_]) -> pa.Array:
    quota = np.array([c.plan.quota_per_month or -1 for c in company.consumers], np.int64)
    limit = np.where(requests.quota_remaining < 0, -1, quota[requests.consumer])
    return null_where(pa.array(limit), (limit < 0) | lines)
