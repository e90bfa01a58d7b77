"""OTLP server spans as `requests`: one row for each span that is an API call.

A call is a SERVER span with an HTTP method or status, an RPC system, or an attribute of a gateway.
Both generations of the semantic conventions are read, and what Kong, NGINX, APISIX, Envoy, Traefik,
Tyk and Spring call things, and our own `apigw.*` attributes.

Inner hops: one call passes a gateway and then the service, and both may send a server span. The
gateway's span counts. A service's own server span counts too, unless the catalog says that its API
is `behind_gateway` (the gateway in front reports its calls). A span is a gateway's if its
attributes or its service name say so (`_gateway_kinds`).

time = start of the span; duration_ms = its length (NULL where the clock ran backwards); upstream_ms
and gateway_ms from `apigw.upstream.duration` and `apigw.gateway.duration`, seconds; where only one
is given the other is the rest of the total, never below zero. Status of gRPC calls without an HTTP
status: the HTTP equivalent of the gRPC code (google.rpc.Code).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.attributes import AttributeColumns, attributes_column
from collector.gateways.rows import constant, floats, requests_batch, whole
from collector.gateways.scan_values import parse_sums, string_spans
from collector.gateways.urls import origin_form, without_query
from collector.naming import Naming
from collector.naming.naming import GATEWAY_API_ID
from collector.naming.unique import map_unique

_KEYS: Mapping[str, tuple[str, ...]] = {
    "method": ("http.request.method", "http.method", "method"),
    "status": ("http.response.status_code", "http.status_code", "status"),
    "route": ("http.route", "apisix.route_uri", "uri"),
    "target": ("url.path", "http.target", "http.path", "path"),
    "url": ("url.full", "http.url"),
    "host": ("server.address", "http.host", "net.host.name", "host"),
    "client": (
        "client.address", "http.client_ip", "network.peer.address", "net.sock.peer.addr",
        "net.peer.ip", "peer.address",
    ),
    "user_agent": ("user_agent.original", "http.user_agent", "user_agent"),
    "protocol": ("network.protocol.version", "http.flavor", "http.protocol"),
    "request_bytes": (
        "http.request.size", "http.request.body.size", "http.request_content_length",
        "request_size",
    ),
    "response_bytes": (
        "http.response.size", "http.response.body.size", "http.response_content_length",
        "response_size",
    ),
    "api": ("apigw.api.name", "kong.service.name", "tyk.api.name", "apisix.service_name"),
    "api_id": ("apigw.api.id", "kong.service.id", "tyk.api.id", "apisix.service_id"),
    "api_version": ("apigw.api.version", "tyk.api.version"),
    "product": ("apigw.product",),
    "plan": ("apigw.plan",),
    "consumer": ("apigw.consumer.name", "kong.auth.consumer.name", "apigw.consumer.id",
                 "kong.consumer", "tyk.api.apikey.alias"),
    "consumer_group": ("apigw.consumer.group",),
    "credential": ("apigw.credential.id",),
    "upstream": ("apigw.upstream.name", "upstream_cluster.name", "upstream_cluster",
                 "upstream_address"),
    "upstream_s": ("apigw.upstream.duration",),
    "gateway_s": ("apigw.gateway.duration",),
    "upstream_status": ("apigw.upstream.status_code", "kong.upstream.status_code"),
    "request_id": ("apigw.request.id", "kong.request.id", "guid:x-request-id",
                   "http.request.header.x-request-id"),
    "limit": ("apigw.ratelimit.limit",),
    "remaining": ("apigw.ratelimit.remaining",),
    "limited": ("apigw.ratelimit.result",),
    "flags": ("response_flags", "tyk.response_flag"),
    "cache": ("apigw.cache.status",),
    "operation": ("apigw.operation", "rpc.method"),
    "grpc": ("rpc.grpc.status_code", "grpc.status_code"),
    "rpc": ("rpc.system", "rpc.system.name"),
    "rpc_service": ("rpc.service",),
    "gateway": ("apigw.gateway.kind", "apigw.gateway.name"),
    "kong": ("kong.request.id", "kong.route.name", "kong.service.name"),
    "apisix": ("apisix.route_id", "apisix.route_name", "apisix.response_source"),
    "tyk": ("tyk.api.id", "tyk.api.name"),
    "envoy": ("upstream_cluster", "upstream_cluster.name", "guid:x-request-id"),
}  # fmt: skip
"""Attribute names by role, the most telling first; columns of `spans` are asked before them."""

_KINDS = (
    "kong", "apisix", "tyk", "envoy", "istio", "nginx", "traefik", "haproxy", "caddy", "apigee",
    "apipark", "apinto", "spring",
)  # fmt: skip

_GRPC_STATUS = (200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401)
"""HTTP status of gRPC codes 0 to 16 (google.rpc.Code)."""


def requests_from_spans(spans: pa.RecordBatch, naming: Naming) -> pa.RecordBatch | None:
    """Rows of `requests`, named, for the spans (schema of table `spans`) that are API calls.

    None if there is no such span. Order is that of the spans.
    """
    server = pc.equal(spans.column("kind"), "SERVER")
    if not pc.any(server).as_py():
        return None
    spans = spans.filter(server)
    keys = [key for names in _KEYS.values() for key in names]
    found = AttributeColumns(spans.column("attributes"), list(dict.fromkeys(keys)))
    kinds = _gateway_kinds(spans, found)
    calls = _calls(spans, found, kinds, naming.services_behind_gateway)
    if not calls.any():
        return None
    if not calls.all():
        keep = pa.array(calls)
        spans, kinds = spans.filter(keep), kinds.filter(keep)
        found = AttributeColumns(spans.column("attributes"), list(dict.fromkeys(keys)))
    batch = requests_batch(spans.num_rows, _columns(spans, found, kinds))
    own = pc.is_null(kinds)
    service = pc.if_else(own, spans.column("service_name"), pa.scalar(None, pa.string()))
    return naming.apply(batch, service=service)


def _gateway_kinds(spans: pa.RecordBatch, found: AttributeColumns) -> pa.Array:
    """Kind of gateway that sent each span; NULL = a service's own span."""
    by_name = pc.coalesce(
        map_unique(spans.column("service_name"), _kind_of_name),
        map_unique(spans.column("scope_name"), _kind_of_scope),
    )
    kinds = found.text(*_KEYS["gateway"])
    for kind in ("kong", "apisix", "tyk", "envoy"):
        mark = pa.array(found.has(*_KEYS[kind]))
        kinds = pc.coalesce(kinds, pc.if_else(mark, kind, pa.scalar(None, pa.string())))
    private = pa.array(
        found.has(*_KEYS["upstream_s"], *_KEYS["gateway_s"], "apigw.api.name", "apigw.api.id")
    )
    unnamed = pc.if_else(private, "otlp", pa.scalar(None, pa.string()))
    return pc.coalesce(kinds, by_name, unnamed)


def _kind_of_name(service: str) -> str | None:
    """`kong`, `my-kong-eu`, `unknown_service:nginx`, `spring-cloud-gateway`; else a service."""
    words = service.lower().replace("_", "-").replace(":", "-").replace(".", "-").split("-")
    for kind in _KINDS:
        if kind in words:
            return kind if kind != "spring" or "gateway" in words else None
    return None


def _kind_of_scope(scope: str) -> str | None:
    name = scope.lower()
    return next((k for k in ("traefik", "nginx", "kong", "tyk", "apisix") if k in name), None)


def _calls(
    spans: pa.RecordBatch, found: AttributeColumns, kinds: pa.Array, behind: frozenset[str]
) -> npt.NDArray[np.bool_]:
    """Which server spans are API calls that count."""
    http = _valid(spans.column("http_request_method"))
    http |= _valid(spans.column("http_response_status_code"))
    http |= found.has("http.request.method", "http.method", "http.status_code", *_KEYS["rpc"])
    http |= found.has("http.response.status_code", "apigw.api.name", "apigw.api.id", *_KEYS["kong"])
    if behind:
        inner = pc.is_in(spans.column("service_name"), value_set=pa.array(sorted(behind)))
        http &= ~(inner.to_numpy(zero_copy_only=False) & ~_valid(kinds))
    return http


def _columns(
    spans: pa.RecordBatch, found: AttributeColumns, kinds: pa.Array
) -> dict[str, pa.Array | None]:
    rows = spans.num_rows
    total_ms = spans.column("duration_ns").to_numpy(zero_copy_only=False).astype(np.float64) / 1e6
    upstream_ms = _numbers(found, "upstream_s") * 1000.0
    gateway_ms = _numbers(found, "gateway_s") * 1000.0
    upstream_ms = np.where(
        np.isnan(upstream_ms), np.maximum(total_ms - gateway_ms, 0.0), upstream_ms
    )
    status = _status(spans, found)
    columns: dict[str, pa.Array | None] = {
        name: found.text(*_KEYS[name])
        for name in (
            "api", "api_version", "operation", "product", "plan", "consumer", "consumer_group",
            "credential", "user_agent", "upstream", "request_id",
        )
    }  # fmt: skip
    for name in ("time", "tenant", "environment", "trace_id", "span_id"):
        columns[name] = spans.column(name)
    target = pc.coalesce(found.text(*_KEYS["target"]), found.text(*_KEYS["url"]))
    columns |= {
        "gateway": kinds.fill_null("service"),
        "gateway_instance": spans.column("service_instance_id"),
        "route": pc.coalesce(
            spans.column("http_route"), found.text(*_KEYS["route"]), _rpc_route(found)
        ),
        "method": pc.coalesce(spans.column("http_request_method"), found.text(*_KEYS["method"])),
        "host": pc.utf8_lower(
            pc.coalesce(spans.column("server_address"), found.text(*_KEYS["host"]))
        ),
        "path": pc.coalesce(spans.column("url_path"), origin_form(without_query(target))),
        "protocol": map_unique(found.text(*_KEYS["protocol"]), _protocol),
        "status_code": whole(status, pa.int16()),
        "outcome": _outcomes(spans, found, status),
        "duration_ms": floats(total_ms),
        "upstream_ms": floats(upstream_ms),
        "gateway_ms": floats(gateway_ms),
        "request_bytes": whole(_numbers(found, "request_bytes"), pa.int64()),
        "response_bytes": whole(_numbers(found, "response_bytes"), pa.int64()),
        "client_address": pc.coalesce(spans.column("client_address"), found.text(*_KEYS["client"])),
        "upstream_status": whole(_numbers(found, "upstream_status"), pa.int16()),
        "response_flags": found.text(*_KEYS["flags"]),
        "cache_status": found.text(*_KEYS["cache"]),
        "quota_limit": whole(_numbers(found, "limit"), pa.int64()),
        "quota_remaining": whole(_numbers(found, "remaining"), pa.int64()),
        "source": constant("otlp_span", rows),
        "attributes": attributes_column(rows, {GATEWAY_API_ID: found.text(*_KEYS["api_id"])}),
    }
    return columns


def _status(spans: pa.RecordBatch, found: AttributeColumns) -> npt.NDArray[np.float64]:
    column = spans.column("http_response_status_code")
    status = column.cast(pa.float64()).to_numpy(zero_copy_only=False).copy()
    said = _numbers(found, "status")
    status = np.where(np.isnan(status), said, status)
    grpc = _numbers(found, "grpc")
    known = np.isfinite(grpc) & (grpc >= 0) & (grpc < len(_GRPC_STATUS))
    mapped = np.array(_GRPC_STATUS)[np.where(known, grpc, 0).astype(np.int64)]
    status = np.where(known & (np.isnan(status) | (status == 200)), mapped, status)
    return np.where((status >= 0) & (status <= 999), status, np.nan)


def _outcomes(
    spans: pa.RecordBatch, found: AttributeColumns, status: npt.NDArray[np.float64]
) -> pa.Array:
    """What the status code alone does not tell; NULL = let the status decide."""
    outcome = pa.nulls(spans.num_rows, pa.string())
    result = found.text(*_KEYS["limited"])
    if result.null_count < len(result):
        refused = np.isin(status, (403, 429, 503))
        quota = _true(pc.match_substring_regex(result, "(?i)quota")) & refused
        limited = _true(pc.match_substring_regex(result, "(?i)limit|reject|exceed|denied"))
        outcome = pc.if_else(pa.array(limited & refused), "rate_limited", outcome)
        outcome = pc.if_else(pa.array(quota), "quota_exceeded", outcome)
    failed = _true(pc.equal(spans.column("status"), "ERROR")) & np.isnan(status)
    return pc.if_else(pa.array(failed), "server_error", outcome)


def _rpc_route(found: AttributeColumns) -> pa.Array:
    """`/package.Service/Method` of RPC calls."""
    return pc.binary_join_element_wise(
        "", found.text(*_KEYS["rpc_service"]), found.text("rpc.method"), "/"
    )


def _protocol(version: str) -> str:
    return version if "/" in version else f"HTTP/{version}"


def _numbers(found: AttributeColumns, role: str) -> npt.NDArray[np.float64]:
    return parse_sums(*string_spans(found.text(*_KEYS[role])))


def _valid(values: pa.Array) -> npt.NDArray[np.bool_]:
    return np.array(values.is_valid().to_numpy(zero_copy_only=False))


def _true(values: pa.Array) -> npt.NDArray[np.bool_]:
    return np.array(values.fill_null(False).to_numpy(zero_copy_only=False))
