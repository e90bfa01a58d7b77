"""Which spans are API calls, and what their attributes become."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.gateways.otlp_requests import requests_from_spans
from collector.naming import Naming
from collector.otlp import OTLP_TRACES
from collector.payload import Payload
from storage.catalog import Catalog
from storage.coded import plain_batch
from storage.schemas import SPANS

TIME = datetime(2026, 11, 21, 10, tzinfo=UTC)
BASE = {
    "time": TIME, "start_time_unix_nano": 1, "duration_ns": 250_000_000, "tenant": "default",
    "kind": "SERVER", "status": "UNSET", "trace_id": "a" * 32, "span_id": "b" * 16,
}  # fmt: skip


def spans(*rows: dict[str, Any]) -> pa.RecordBatch:
    filled = []
    for row in rows:
        attributes = list(row.pop("attributes", {}).items())
        filled.append({**BASE, **row, "attributes": attributes})
    return pa.RecordBatch.from_pylist(filled, schema=SPANS.arrow_schema)


def calls(*rows: dict[str, Any], catalog: Catalog | None = None) -> list[dict[str, Any]]:
    batch = requests_from_spans(spans(*rows), Naming(catalog or Catalog()))
    if batch is None:
        return []
    return [{k: v for k, v in row.items() if v is not None} for row in batch.to_pylist()]


def test_our_own_attributes_fill_every_column() -> None:
    [row] = calls(
        {
            "service_name": "kong-gateway",
            "service_instance_id": "kong-1",
            "environment": "production",
            "http_request_method": "GET",
            "http_response_status_code": 200,
            "http_route": "/orders/{id}",
            "url_path": "/orders/17",
            "server_address": "API.example.com",
            "client_address": "203.0.113.4",
            "attributes": {
                "apigw.api.name": "orders", "apigw.api.version": "v2", "apigw.product": "shop",
                "apigw.plan": "gold", "apigw.consumer.name": "acme",
                "apigw.consumer.group": "partners", "apigw.credential.id": "abc123",
                "apigw.upstream.duration": "0.2", "apigw.gateway.duration": "0.05",
                "apigw.upstream.status_code": "200", "apigw.request.id": "r-1",
                "apigw.ratelimit.limit": "1000", "apigw.ratelimit.remaining": "12",
                "user_agent.original": "curl/8.6.0", "network.protocol.version": "2",
                "http.request.body.size": "10", "http.response.body.size": "2048",
            },
        }
    )  # fmt: skip
    assert row == {
        "time": TIME, "tenant": "default", "environment": "production", "gateway": "kong",
        "gateway_instance": "kong-1", "api": "orders", "api_version": "v2",
        "route": "/orders/{id}", "product": "shop", "plan": "gold", "consumer": "acme",
        "consumer_group": "partners", "credential": "abc123", "method": "GET",
        "host": "api.example.com", "path": "/orders/17", "protocol": "HTTP/2", "status_code": 200,
        "outcome": "ok", "duration_ms": 250.0, "upstream_ms": 200.0,
        "gateway_ms": pytest.approx(50.0), "request_bytes": 10, "response_bytes": 2048,
        "client_address": "203.0.113.4", "user_agent": "curl/8.6.0", "client_kind": "cli",
        "upstream_status": 200, "quota_limit": 1000, "quota_remaining": 12,
        "trace_id": "a" * 32, "span_id": "b" * 16, "request_id": "r-1", "source": "otlp_span",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("gateway", "span"),
    [
        (
            "kong",
            {
                "service_name": "kong",
                "attributes": {
                    "http.method": "GET", "http.url": "http://api.example.com/a/7?k=s3cret",
                    "http.host": "api.example.com", "http.status_code": "200",
                    "http.client_ip": "1.2.3.4", "http.flavor": "1.1", "kong.request.id": "r",
                },
            },
        ),
        (
            "nginx",
            {
                "service_name": "unknown_service:nginx",
                "attributes": {
                    "http.method": "GET", "http.target": "/a/7?k=s3cret", "http.flavor": "1.1",
                    "http.status_code": "200", "net.host.name": "api.example.com",
                    "net.sock.peer.addr": "1.2.3.4",
                },
            },
        ),
        (
            "apisix",
            {
                "service_name": "APISIX",
                "attributes": {
                    "http.request.method": "GET", "url.path": "/a/7",
                    "http.response.status_code": "200", "net.host.name": "api.example.com",
                    "apisix.route_id": "r1", "client.address": "1.2.3.4",
                    "network.protocol.version": "1.1",
                },
            },
        ),
        (
            "envoy",
            {
                "service_name": "edge",
                "attributes": {
                    "http.method": "GET", "http.url": "https://api.example.com/a/7",
                    "http.status_code": "200", "http.protocol": "HTTP/1.1",
                    "upstream_cluster": "orders", "peer.address": "1.2.3.4",
                    "http.host": "api.example.com",
                },
            },
        ),
    ],
)  # fmt: skip
def test_attribute_names_of_the_gateways_are_known(gateway: str, span: dict[str, Any]) -> None:
    [row] = calls(span)
    found = {
        key: row[key]
        for key in (
            "gateway", "method", "path", "status_code", "host", "protocol", "client_address",
        )
    }  # fmt: skip
    assert found == {
        "gateway": gateway, "method": "GET", "path": "/a/7", "status_code": 200,
        "host": "api.example.com", "protocol": "HTTP/1.1", "client_address": "1.2.3.4",
    }  # fmt: skip


HTTP = {"http_request_method": "GET", "http_response_status_code": 200, "url_path": "/a"}


def test_only_server_spans_with_http_or_rpc_are_calls() -> None:
    found = calls(
        {"service_name": "a", **HTTP},
        {"service_name": "a", **HTTP, "kind": "CLIENT"},
        {"service_name": "a", **HTTP, "kind": "INTERNAL"},
        {"service_name": "a", "kind": "SERVER"},
        {"service_name": "a", "attributes": {"rpc.system": "grpc"}},
        {"service_name": "a", "attributes": {"db.system": "redis"}},
    )
    assert len(found) == 2
    assert calls({"service_name": "a", "kind": "CLIENT", **HTTP}) == []


def test_a_service_behind_a_gateway_is_not_counted_again() -> None:
    catalog = Catalog.model_validate(
        {
            "apis": [
                {"name": "orders", "services": ["orders-svc"], "behind_gateway": True},
                {"name": "search", "services": ["search-svc"]},
            ]
        }
    )
    found = calls(
        {"service_name": "kong-gateway", **HTTP, "attributes": {"apigw.api.name": "orders"}},
        {"service_name": "orders-svc", **HTTP},
        {"service_name": "search-svc", **HTTP},
        {"service_name": "unlisted-svc", **HTTP},
        catalog=catalog,
    )
    assert [(r["api"], r["gateway"]) for r in found] == [
        ("orders", "kong"), ("search", "service"), ("unlisted-svc", "service"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "status", "outcome"),
    [("0", 200, "ok"), ("5", 404, "client_error"), ("8", 429, "rate_limited"),
     ("14", 503, "server_error"), ("16", 401, "unauthorized"), ("1", 499, "aborted")],
)  # fmt: skip
def test_grpc_codes_become_http_statuses(code: str, status: int, outcome: str) -> None:
    attributes = {
        "rpc.system": "grpc", "rpc.service": "shop.Orders", "rpc.method": "Get",
        "rpc.grpc.status_code": code,
    }  # fmt: skip
    [row] = calls({"service_name": "orders", "attributes": attributes})
    assert (row["status_code"], row["outcome"]) == (status, outcome)
    assert (row["route"], row["operation"]) == ("/shop.Orders/Get", "Get")


@pytest.mark.parametrize(
    ("result", "status", "outcome"),
    [("quota_exceeded", 429, "quota_exceeded"), ("quota_exceeded", 403, "quota_exceeded"),
     ("limited", 503, "rate_limited"), ("allowed", 200, "ok"), ("quota_exceeded", 200, "ok")],
)  # fmt: skip
def test_the_rate_limiter_says_why_a_call_was_refused(
    result: str, status: int, outcome: str
) -> None:
    span = {**HTTP, "http_response_status_code": status}
    [row] = calls({"service_name": "g", **span, "attributes": {"apigw.ratelimit.result": result}})
    assert row["outcome"] == outcome


def test_absent_and_impossible_values_are_null() -> None:
    [row] = calls({"service_name": "s", "http_request_method": "GET", "duration_ns": -5})
    for name in ("duration_ms", "upstream_ms", "gateway_ms", "status_code", "outcome", "route"):
        assert name not in row
    [failed] = calls({"service_name": "s", "http_request_method": "GET", "status": "ERROR"})
    assert failed["outcome"] == "server_error"


def test_the_gateways_part_is_what_the_upstream_leaves_of_the_whole() -> None:
    by_upstream, too_long = calls(
        {"service_name": "s", **HTTP, "attributes": {"apigw.upstream.duration": "0.2"}},
        {"service_name": "s", **HTTP, "attributes": {"apigw.upstream.duration": "9"}},
    )
    assert by_upstream["gateway_ms"] == pytest.approx(50)
    assert too_long["gateway_ms"] == 0


def test_an_upstream_that_was_never_asked_has_no_time() -> None:
    [refused] = calls(
        {"service_name": "s", **HTTP, "attributes": {"apigw.gateway.duration": "0.25"}}
    )
    assert refused["gateway_ms"] == pytest.approx(250)
    assert "upstream_ms" not in refused


@pytest.mark.parametrize("key", ["client.geo.country.iso_code", "geo.country.iso_code"])
def test_the_country_a_gateway_tells_is_kept(key: str) -> None:
    [row] = calls({"service_name": "s", **HTTP, "attributes": {key: "FR"}})
    assert row["country"] == "FR"


def test_slices_and_duplicate_keys_are_read_right() -> None:
    batch = spans(
        {"service_name": "a", **HTTP, "attributes": {"apigw.api.name": "first"}},
        {"service_name": "b", **HTTP, "attributes": {"apigw.api.name": "second"}},
        {"service_name": "c", **HTTP},
    ).slice(1)
    named = requests_from_spans(batch, Naming(Catalog()))
    assert named is not None
    assert named.column("api").to_pylist() == ["second", "c"]


def test_an_empty_batch_has_no_calls() -> None:
    assert requests_from_spans(SPANS.arrow_schema.empty_table().to_batches()[0]
                               if SPANS.arrow_schema.empty_table().to_batches()
                               else spans(), Naming(Catalog())) is None  # fmt: skip


def test_coded_spans_give_the_same_requests_as_plain_ones() -> None:
    rng = random.Random(3)
    request = ExportTraceServiceRequest()
    for service in ("shop", "kong-gateway", ""):
        resource = request.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = service
        spans_ = resource.scope_spans.add().spans
        for number in range(300):
            span = spans_.add(
                trace_id=rng.randbytes(16), span_id=rng.randbytes(8), name="call",
                kind=rng.choice((2, 2, 3)), start_time_unix_nano=1_795_261_431_000_000_000,
                end_time_unix_nano=1_795_261_431_000_000_000 + rng.randrange(10**9),
            )  # fmt: skip
            span.status.code = rng.choice((0, 2))
            for key, values in {
                "http.request.method": ("GET", "post", ""),
                "http.response.status_code": ("200", "404", "429"),
                "url.path": ("/v1/orders/17", "/v2/items", f"/x/{number}", ""),
                "http.route": ("/v1/orders/{id}", ""), "server.address": ("Shop.example:443", ""),
                "user_agent.original": ("curl/8.6.0", "", "a" * 3000),
                "apigw.consumer.name": ("acme", "b" * 3000), "apigw.api.name": ("orders", ""),
                "network.protocol.version": ("1.1", "2"), "client.address": ("203.0.113.4", ""),
                "apigw.ratelimit.result": ("limited", ""), "cache": ("HIT",),
            }.items():  # fmt: skip
                if rng.random() < 0.7:
                    value = span.attributes.add(key=key).value
                    if rng.random() < 0.9:
                        value.string_value = rng.choice(values)
    payload = Payload(
        request.SerializeToString(), "otlp_traces", "protobuf", "default", None,
        1_795_261_431_000_000_000, "",
    )  # fmt: skip
    coded = OTLP_TRACES.decode([payload]).tables["spans"]
    assert coded.schema != SPANS.arrow_schema
    found = requests_from_spans(coded, Naming(Catalog()))
    expected = requests_from_spans(plain_batch(coded), Naming(Catalog()))
    assert found is not None and expected is not None
    assert plain_batch(found).to_pylist() == plain_batch(expected).to_pylist()
