"""Generated calls as rows of the lake's `spans` table: gateway, client, service and database span.

The same four spans `live_otlp.py` sends through OTLP; keep the two alike. Calls at the legacy NGINX
gateway have no spans. A call the gateway answered itself has only the gateway's span.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sample_data.apis import DATABASE_PORTS
from sample_data.columns import hex_text, map_column, null_where, pick, timestamps
from sample_data.company import AGENTS, Company
from sample_data.requests import SERVER_ERROR, Requests
from sample_data.rows import ENVIRONMENT, TENANT, paths
from storage.schemas import SPANS

GATEWAY_SCOPES = {
    "kong": ("kong-plugin-opentelemetry", "3.9.1"),
    "envoy": ("envoy.tracers", "1.35.0"),
}
SERVICE_SCOPE = ("waypost.http", "2.3.0")
GATEWAY_SERVICES = {"kong": "kong-gateway", "envoy": "envoy-edge", "nginx": "nginx-legacy"}

DATABASE_SHARE = 0.55
"""Share of the service's time that its database span takes."""
NETWORK_SHARE = 0.06
"""Share of the upstream time that is the way to the service and back."""

Kind = Literal["SERVER", "CLIENT"]


def spans_table(company: Company, requests: Requests) -> pa.Table:
    """Up to four spans per call, grouped by kind of span, each group in order of time."""
    ops = company.operations
    traced = requests.take(np.array([o.gateway != "nginx" for o in ops])[requests.operation])
    asked = traced.take(~np.isnan(traced.upstream_ms))
    answered = asked.take(asked.upstream_status > 0)
    blocks = [
        _gateway_spans(company, traced),
        _client_spans(company, asked),
        _service_spans(company, answered),
        _database_spans(company, answered),
    ]
    return pa.concat_tables(blocks)


def span_timing(requests: Requests, depth: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(start, duration) in ns of the span at a depth: 0 gateway, 1 client, 2 service, 3 db."""
    total = (requests.duration_ms * 1e6).astype(np.int64)
    upstream = (np.nan_to_num(requests.upstream_ms) * 1e6).astype(np.int64)
    start = requests.time_us * 1_000
    if depth == 0:
        return start, total
    start, duration = start + (total - upstream) // 2, upstream
    if depth >= 2:
        network = (duration * NETWORK_SHARE).astype(np.int64)
        start, duration = start + network // 2, duration - network
    if depth >= 3:
        database = (duration * DATABASE_SHARE).astype(np.int64)
        start, duration = start + (duration - database) // 2, database
    return start, duration


def span_ids(requests: Requests, depth: int) -> NDArray[np.uint64]:
    """Ids of the spans at a depth."""
    # One random number per call gives the four ids: odd multipliers keep them distinct.
    odd = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        return requests.ids[:, 2] + np.uint64(depth) * odd


def _block(
    company: Company,
    requests: Requests,
    depth: int,
    kind: Kind,
    columns: dict[str, pa.Array],
    attributes: dict[str, pa.Array],
) -> pa.Table:
    n = len(requests)
    start_ns, duration_ns = span_timing(requests, depth)
    parent = pa.nulls(n, pa.string()) if depth == 0 else hex_text(span_ids(requests, depth - 1))
    filled: dict[str, pa.Array] = {
        "time": timestamps(start_ns // 1_000),
        "start_time_unix_nano": pa.array(start_ns),
        "duration_ns": pa.array(duration_ns),
        "trace_id": hex_text(requests.ids[:, :2]),
        "span_id": hex_text(span_ids(requests, depth)),
        "parent_span_id": parent,
        "flags": pa.array(np.full(n, 0x101 if depth in (1, 3) or depth == 0 else 0x301, np.uint32)),
        "kind": _same(kind, n),
        "environment": _same(ENVIRONMENT, n),
        "tenant": _same(TENANT, n),
        "attributes": map_column(list(attributes), list(attributes.values())),
        "dropped_attributes_count": pa.array(np.zeros(n, np.uint32)),
        "dropped_events_count": pa.array(np.zeros(n, np.uint32)),
        "dropped_links_count": pa.array(np.zeros(n, np.uint32)),
        **columns,
    }
    arrays = [filled.get(c.name) for c in SPANS.columns]
    return pa.table(
        [
            array if array is not None else pa.nulls(n, column.type)
            for array, column in zip(arrays, SPANS.columns, strict=True)
        ],
        schema=SPANS.arrow_schema,
    )


def _same(text: str, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(text), n)


def _status(requests: Requests) -> pa.Array:
    failed = (requests.outcome == SERVER_ERROR).astype(np.int8)
    return pick(("UNSET", "ERROR"), failed)


def _gateway_spans(company: Company, requests: Requests) -> pa.Table:
    n, op, who = len(requests), requests.operation, requests.consumer
    ops, people = company.operations, company.consumers
    instance = op.astype(np.int64) * 2 + (requests.ids[:, 3] & 1).astype(np.int64)
    agents = pick([a.text for a in AGENTS], requests.agent)
    status = pa.array(requests.status)
    attributes = {
        "http.request.method": pick([o.method for o in ops], op),
        "http.route": pick([o.template for o in ops], op),
        "http.response.status_code": status.cast(pa.string()),
        "url.path": paths(company, requests),
        "url.scheme": _same("https", n),
        "server.address": pick([o.host for o in ops], op),
        "client.address": pick([a.text for a in company.addresses], requests.address),
        "user_agent.original": agents,
        "apigw.api.name": pick([o.api.name if o.api else None for o in ops], op),
        "apigw.api.version": pick([o.version for o in ops], op),
        "apigw.consumer.name": pick([c.name for c in people], who),
        "apigw.plan": pick([c.plan.name for c in people], who),
        "apigw.request.id": hex_text(requests.ids[:, 3]),
    }
    columns = {
        "name": pick([f"{o.method} {o.template}" if o.template else o.method for o in ops], op),
        "status": _status(requests),
        "service_name": pick([GATEWAY_SERVICES[o.gateway] for o in ops], op),
        "service_namespace": _same("edge", n),
        "service_instance_id": pick([f"{o.gateway}-{i}" for o in ops for i in (1, 2)], instance),
        "scope_name": pick([GATEWAY_SCOPES.get(o.gateway, SERVICE_SCOPE)[0] for o in ops], op),
        "scope_version": pick([GATEWAY_SCOPES.get(o.gateway, SERVICE_SCOPE)[1] for o in ops], op),
        "http_request_method": attributes["http.request.method"],
        "http_route": attributes["http.route"],
        "http_response_status_code": status,
        "url_path": attributes["url.path"],
        "server_address": attributes["server.address"],
        "client_address": attributes["client.address"],
        "resource_attributes": _resource(company, requests, of_gateway=True),
    }
    return _block(company, requests, 0, "SERVER", columns, attributes)


def _client_spans(company: Company, requests: Requests) -> pa.Table:
    n, op = len(requests), requests.operation
    ops = company.operations
    instance = op.astype(np.int64) * 2 + (requests.ids[:, 3] & 1).astype(np.int64)
    unanswered = requests.upstream_status == 0
    status = null_where(pa.array(requests.upstream_status), unanswered)
    upstream = pick([f"{o.api.service}.internal" if o.api else None for o in ops], op)
    attributes = {
        "http.request.method": pick([o.method for o in ops], op),
        "http.response.status_code": status.cast(pa.string()),
        "server.address": upstream,
        "server.port": _same("8080", n),
        "url.full": pick(
            [f"http://{o.api.service}.internal:8080{o.path_head}" if o.api else None for o in ops],
            op,
        ),
        "network.protocol.version": _same("1.1", n),
        "error.type": pick(("timeout",), np.where(requests.status == 504, 0, -1)),
    }
    columns = {
        "name": pick([o.method for o in ops], op),
        "status": _status(requests),
        "service_name": pick([GATEWAY_SERVICES[o.gateway] for o in ops], op),
        "service_namespace": _same("edge", n),
        "service_instance_id": pick([f"{o.gateway}-{i}" for o in ops for i in (1, 2)], instance),
        "scope_name": pick([GATEWAY_SCOPES.get(o.gateway, SERVICE_SCOPE)[0] for o in ops], op),
        "http_request_method": attributes["http.request.method"],
        "http_response_status_code": status,
        "server_address": upstream,
        "resource_attributes": _resource(company, requests, of_gateway=True),
    }
    return _block(company, requests, 1, "CLIENT", columns, attributes)


def _service_columns(company: Company, requests: Requests) -> dict[str, pa.Array]:
    n, op = len(requests), requests.operation
    return {
        "service_name": pick([o.api.service if o.api else None for o in company.operations], op),
        "service_namespace": _same("waypost", n),
        "service_version": _same("2025.46.0", n),
        "scope_name": _same(SERVICE_SCOPE[0], n),
        "scope_version": _same(SERVICE_SCOPE[1], n),
        "resource_attributes": _resource(company, requests, of_gateway=False),
        "status": _status(requests),
    }


def _service_spans(company: Company, requests: Requests) -> pa.Table:
    n, op = len(requests), requests.operation
    ops = company.operations
    status = pa.array(requests.upstream_status)
    attributes = {
        "http.request.method": pick([o.method for o in ops], op),
        "http.route": pick([o.template for o in ops], op),
        "http.response.status_code": status.cast(pa.string()),
        "url.path": paths(company, requests),
        "url.scheme": _same("http", n),
        "network.protocol.version": _same("1.1", n),
        "client.address": _same("10.20.0.7", n),
        "server.address": pick([f"{o.api.service}.internal" if o.api else None for o in ops], op),
        "waypost.consumer": pick([c.name for c in company.consumers], requests.consumer),
    }
    columns = {
        "name": pick([f"{o.method} {o.template}" for o in ops], op),
        "http_request_method": attributes["http.request.method"],
        "http_route": attributes["http.route"],
        "http_response_status_code": status,
        "url_path": attributes["url.path"],
        "server_address": attributes["server.address"],
        "client_address": attributes["client.address"],
        **_service_columns(company, requests),
    }
    return _block(company, requests, 2, "SERVER", columns, attributes)


def _database_spans(company: Company, requests: Requests) -> pa.Table:
    op = requests.operation
    ops = company.operations
    verbs = {"GET": "SELECT", "POST": "INSERT", "PUT": "UPDATE", "PATCH": "UPDATE"}
    queries = [f"{verbs.get(o.method, 'DELETE')} {o.api.name}" if o.api else None for o in ops]
    attributes = {
        "db.system.name": pick([o.api.database if o.api else None for o in ops], op),
        "db.namespace": pick([o.api.name if o.api else None for o in ops], op),
        "db.operation.name": pick([verbs.get(o.method, "DELETE") for o in ops], op),
        "db.query.summary": pick(queries, op),
        "server.address": pick([f"{o.api.name}-db.internal" if o.api else None for o in ops], op),
        "server.port": pick(
            [str(DATABASE_PORTS[o.api.database]) if o.api else None for o in ops], op
        ),
    }
    columns = {
        "name": pick(queries, op),
        "server_address": attributes["server.address"],
        **_service_columns(company, requests),
    }
    return _block(company, requests, 3, "CLIENT", columns, attributes)


def _resource(company: Company, requests: Requests, *, of_gateway: bool) -> pa.Array:
    """Resource attributes: one small map per operation, gathered by index."""
    maps = [
        list(
            {
                "service.name": GATEWAY_SERVICES[o.gateway]
                if of_gateway or o.api is None
                else o.api.service,
                "service.namespace": "edge" if of_gateway else "waypost",
                "deployment.environment.name": ENVIRONMENT,
                "cloud.region": "eu-central-1",
            }.items()
        )
        for o in company.operations
    ]
    table = pa.array(maps, pa.map_(pa.string(), pa.string()))
    return table.take(pa.array(requests.operation))
