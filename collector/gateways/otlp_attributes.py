"""What the attributes of spans and log records say about a call, whoever wrote them.

Both generations of the semantic conventions are read, and what Kong, NGINX, APISIX, Envoy, Traefik,
Tyk and Spring call things, and our own `apigw.*` attributes. `spans` has columns of its own for the
most frequent ones (not the case for `logs`): they are asked first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.attributes import AttributeColumns, Ints, Keys, attributes_column
from collector.gateways.mapped import bare_host
from collector.gateways.rows import whole
from collector.gateways.scan_values import parse_sums
from collector.gateways.urls import origin_form, url_host, without_query
from collector.naming.gateway_names import kind_of_scope, kind_of_service
from collector.naming.naming import GATEWAY_API_ID
from collector.naming.unique import coalesce, coded, map_coded, map_unique
from storage.coded import is_valid

KEYS: Mapping[str, tuple[str, ...]] = {
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
                 "kong.consumer", "tyk.api.apikey.alias", "kong.auth.consumer.id"),
    "consumer_group": ("apigw.consumer.group",),
    "credential": ("apigw.credential.id",),
    "upstream": ("apigw.upstream.name", "upstream_cluster.name", "upstream_cluster",
                 "upstream_address"),
    "upstream_s": ("apigw.upstream.duration",),
    "gateway_s": ("apigw.gateway.duration",),
    "upstream_status": ("apigw.upstream.status_code", "kong.upstream.status_code"),
    "duration_s": ("http.server.request.duration", "apigw.duration"),
    "duration_ms": ("duration_ms", "kong.latency.total_ms"),
    "kong_total": ("kong.latency.total",),
    "kong_upstream": ("kong.latency.upstream",),
    "kong_own": ("kong.latency.internal",),
    "request_id": ("apigw.request.id", "kong.request.id", "guid:x-request-id",
                   "http.request.header.x-request-id"),
    "limit": ("apigw.ratelimit.limit",),
    "remaining": ("apigw.ratelimit.remaining",),
    "limited": ("apigw.ratelimit.result",),
    "flags": ("response_flags", "tyk.response_flag"),
    "cache": ("apigw.cache.status",),
    "country": ("client.geo.country.iso_code", "geo.country.iso_code"),
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

_GRPC_STATUS = (200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401)
"""HTTP status of gRPC codes 0 to 16 (google.rpc.Code)."""


_ALL_KEYS = Keys([key for names in KEYS.values() for key in names])


def find_attributes(batch: pa.RecordBatch, rows: Ints | None = None) -> AttributeColumns:
    """The attributes of KEYS of `rows` (None = all) of `spans` or `logs`."""
    return AttributeColumns(batch.column("attributes"), _ALL_KEYS, rows)


def _per_value(function: Callable[[pa.Array], pa.Array], values: pa.Array) -> pa.Array:
    """`function` of a column, coded, called with its different values only."""
    if values.null_count == len(values):
        return values
    texts = coded(values)
    found = coded(function(texts.dictionary))
    return pa.DictionaryArray.from_arrays(
        found.indices.take(texts.indices), found.dictionary, safe=False
    )


def gateway_kinds(batch: pa.RecordBatch, found: AttributeColumns) -> pa.Array:
    """Kind of gateway that sent each row; NULL = a service's own."""
    by_name = coalesce(
        map_unique(batch.column("service_name"), kind_of_service),
        map_unique(batch.column("scope_name"), kind_of_scope),
    )
    kinds = found.text(*KEYS["gateway"])
    for kind in ("kong", "apisix", "tyk", "envoy"):
        kinds = coalesce(kinds, _where(found.has(*KEYS[kind]), kind))
    private = found.has(*KEYS["upstream_s"], *KEYS["gateway_s"], "apigw.api.name", "apigw.api.id")
    return coalesce(kinds, by_name, _where(private, "otlp"))


def _where(mask: npt.NDArray[np.bool_], value: str) -> pa.Array:
    if not mask.any():
        return pa.nulls(len(mask), pa.string())
    return pc.if_else(pa.array(mask), value, pa.scalar(None, pa.string()))


def call_columns(
    batch: pa.RecordBatch, found: AttributeColumns, kinds: pa.Array
) -> dict[str, pa.Array | None]:
    """Columns of `requests` that spans and log records have in common: all but the durations and
    the source."""
    columns: dict[str, pa.Array | None] = {
        name: found.coded(*KEYS[name])
        for name in (
            "api", "api_version", "operation", "product", "plan", "consumer", "consumer_group",
            "credential", "user_agent", "upstream", "request_id", "country",
        )
    }  # fmt: skip
    for name in ("time", "tenant", "environment", "trace_id", "span_id"):
        columns[name] = batch.column(name)
    url = found.text(*KEYS["url"])
    status = call_status(batch, found)
    columns |= {
        "gateway": kinds.fill_null("service"),
        "gateway_instance": batch.column("service_instance_id"),
        "route": coalesce(either(batch, found, "route"), _rpc_route(found)),
        "method": either(batch, found, "method"),
        "host": _per_value(
            bare_host, coalesce(either(batch, found, "host"), _per_value(url_host, url))
        ),
        "path": _paths(batch, found, url),
        "protocol": map_coded(coded(found.coded(*KEYS["protocol"])), _protocol),
        "status_code": whole(status, pa.int16()),
        "outcome": _outcomes(found, status),
        "request_bytes": whole(numbers(found, "request_bytes"), pa.int64()),
        "response_bytes": whole(numbers(found, "response_bytes"), pa.int64()),
        "client_address": either(batch, found, "client"),
        "upstream_status": whole(numbers(found, "upstream_status"), pa.int16()),
        "response_flags": found.coded(*KEYS["flags"]),
        "cache_status": found.coded(*KEYS["cache"]),
        "quota_limit": whole(numbers(found, "limit"), pa.int64()),
        "quota_remaining": whole(numbers(found, "remaining"), pa.int64()),
        "attributes": attributes_column(
            batch.num_rows, {GATEWAY_API_ID: found.text(*KEYS["api_id"])}
        ),
    }
    return columns


_OWN_COLUMNS = {
    "route": "http_route", "method": "http_request_method", "host": "server_address",
    "client": "client_address",
}  # fmt: skip
"""Columns that `spans` has for a role."""


def either(batch: pa.RecordBatch, found: AttributeColumns, role: str) -> pa.Array:
    """A role from the batch's own column, where it has one, else from attributes."""
    name = _OWN_COLUMNS[role]
    if name not in batch.schema.names:
        return found.coded(*KEYS[role])
    own = batch.column(name)
    return coalesce(own, found.coded(*KEYS[role])) if own.null_count else own


def _paths(batch: pa.RecordBatch, found: AttributeColumns, url: pa.Array) -> pa.Array:
    own = batch.column("url_path") if "url_path" in batch.schema.names else None
    if own is not None and not own.null_count:
        return own
    target = coalesce(found.text(*KEYS["target"]), url)
    if target.null_count < len(target):
        target = origin_form(without_query(target))
    return target if own is None else coalesce(own, target)


def call_status(batch: pa.RecordBatch, found: AttributeColumns) -> npt.NDArray[np.float64]:
    """HTTP status, or that of a gRPC code; NaN = none."""
    status = numbers(found, "status")
    if "http_response_status_code" in batch.schema.names:
        column = batch.column("http_response_status_code").cast(pa.float64())
        own = column.to_numpy(zero_copy_only=False)
        status = np.where(np.isnan(own), status, own)
    grpc = numbers(found, "grpc")
    known = np.isfinite(grpc) & (grpc >= 0) & (grpc < len(_GRPC_STATUS))
    mapped = np.array(_GRPC_STATUS)[np.where(known, grpc, 0).astype(np.int64)]
    status = np.where(known & (np.isnan(status) | (status == 200)), mapped, status)
    return np.where((status >= 0) & (status <= 999), status, np.nan)


def _outcomes(found: AttributeColumns, status: npt.NDArray[np.float64]) -> pa.Array:
    """What the rate limiter says beyond the status; NULL = let the status decide."""
    result = found.text(*KEYS["limited"])
    outcome = pa.nulls(len(result), pa.string())
    if result.null_count == len(result):
        return outcome
    refused = np.isin(status, (403, 429, 503))
    quota = true(pc.match_substring_regex(result, "(?i)quota")) & refused
    limited = true(pc.match_substring_regex(result, "(?i)limit|reject|exceed|denied"))
    outcome = pc.if_else(pa.array(limited & refused), "rate_limited", outcome)
    return pc.if_else(pa.array(quota), "quota_exceeded", outcome)


def _rpc_route(found: AttributeColumns) -> pa.Array:
    """`/package.Service/Method` of RPC calls."""
    service = found.text(*KEYS["rpc_service"])
    if service.null_count == len(service):
        return service
    return pc.binary_join_element_wise("", service, found.text("rpc.method"), "/")


def _protocol(version: str) -> str:
    return version if "/" in version else f"HTTP/{version}"


def numbers(found: AttributeColumns, role: str) -> npt.NDArray[np.float64]:
    """A role as numbers; NaN = absent."""
    spans = found.bytes_of(*KEYS[role])
    return np.full(found.rows, np.nan) if spans is None else parse_sums(*spans)


def valid(values: pa.Array) -> npt.NDArray[np.bool_]:
    """Where there is a value."""
    return is_valid(values)


def true(values: pa.Array) -> npt.NDArray[np.bool_]:
    """Where the value is true."""
    return np.array(values.fill_null(False).to_numpy(zero_copy_only=False))
