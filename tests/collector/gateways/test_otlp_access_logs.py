"""Which log records are API calls, and what becomes of what gateways write into them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from collector.gateways.otlp_access_logs import requests_from_logs
from collector.naming import Naming
from storage.catalog import Catalog
from storage.schemas import TABLES

TIME = datetime(2026, 11, 21, 10, 0, 0, 250_000, tzinfo=UTC)
TRACE, SPAN = "a" * 32, "b" * 16


def logs(*rows: dict[str, Any]) -> pa.RecordBatch:
    filled = []
    for row in rows:
        row = {"time": TIME, "tenant": "shop", **row}
        for name in ("attributes", "resource_attributes"):
            row[name] = list(row.get(name, {}).items())
        filled.append(row)
    return pa.RecordBatch.from_pylist(filled, schema=TABLES["logs"].arrow_schema)


def calls(*rows: dict[str, Any], catalog: Catalog | None = None) -> list[dict[str, Any]]:
    batch = requests_from_logs(logs(*rows), Naming(catalog or Catalog()))
    if batch is None:
        return []
    return [{k: v for k, v in row.items() if v is not None} for row in batch.to_pylist()]


def picked(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: row.get(name) for name in names}


SEEN = ("gateway", "method", "path", "status_code", "host", "duration_ms", "upstream_ms")

ENVOY_TEXT = (
    '[2026-11-21T10:00:00.250Z] "POST /orders/17?x=1 HTTP/2" 204 - 154 9 226 100 "203.0.113.9" '
    '"nsq2http" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "api.example.com" "10.0.2.1:80"\n'
)
ISTIO_TEXT = (
    '[2026-11-21T10:00:00.250Z] "GET /status/418 HTTP/1.1" 418 - via_upstream - "-" 0 135 4 3 "-" '
    '"curl/7.73.0-DEV" "84961386-6d84-929d-98bd-c5aee93b5c88" "httpbin:8000" "10.44.1.27:80" '
    "outbound|8000||httpbin.foo.svc.cluster.local 10.44.1.23:37652 10.0.45.184:8000 "
    "10.44.1.23:46520 - default"
)


@pytest.mark.parametrize("where", [{"resource_attributes": {"log_name": "otel"}}, {}])
def test_envoys_default_line_as_a_body_is_a_call(where: dict[str, Any]) -> None:
    [row] = calls({"body": ENVOY_TEXT, **where})
    assert picked(row, *SEEN) == {
        "gateway": "envoy", "method": "POST", "path": "/orders/17", "status_code": 204,
        "host": "api.example.com", "duration_ms": 226.0, "upstream_ms": 100.0,
    }  # fmt: skip
    assert picked(row, "tenant", "time", "source", "client_address", "request_bytes") == {
        "tenant": "shop", "time": TIME, "source": "otlp_log", "client_address": "203.0.113.9",
        "request_bytes": 154,
    }  # fmt: skip


def test_istios_default_line_tells_its_direction() -> None:
    [row] = calls({"body": ISTIO_TEXT})
    assert picked(row, "gateway", "status_code", "api") == {
        "gateway": "istio", "status_code": 418, "api": "httpbin.foo",
    }  # fmt: skip
    assert dict(row["attributes"])["istio.direction"] == "outbound"


@pytest.mark.parametrize(
    "names",
    [
        ("method", "path", "response_code", "duration", "authority",
         "upstream_service_time"),
        (":METHOD", "X-Envoy-Original-Path", "code", "duration_ms", ":authority",
         "x-envoy-upstream-service-time"),
        ("request_method", "uri", "status", "Duration", "host", "upstream_service_time"),
    ],
)  # fmt: skip
def test_envoys_format_strings_as_attributes_are_a_call(names: tuple[str, ...]) -> None:
    values = ("GET", "/a/7?k=s3cret", "200", "12", "api.example.com:443", "10")
    attributes = dict(zip(names, values, strict=True))
    [row] = calls({"resource_attributes": {"log_name": "x"}, "attributes": attributes})
    assert picked(row, *SEEN) == {
        "gateway": "envoy", "method": "GET", "path": "/a/7", "status_code": 200,
        "host": "api.example.com", "duration_ms": 12.0, "upstream_ms": 10.0,
    }  # fmt: skip
    assert row["time"] == TIME


@pytest.mark.parametrize(
    "latency",
    [("0.173", "0.171", "0.001"), ("173", "171", "1")],
    ids=["seconds", "milliseconds"],
)
def test_kongs_access_logs_are_calls(latency: tuple[str, str, str]) -> None:
    attributes = {
        "client.address": "203.0.113.4", "url.full": "http://api.example.com:8000/orders/17",
        "url.path": "/orders/17", "user_agent.original": "HTTPie/3.2.3",
        "http.request.method": "GET", "http.request.size": "139", "http.response.size": "9982",
        "http.response.status_code": "200", "kong.request.id": "2f69", "kong.service.name": "shop",
        "kong.auth.consumer.name": "acme", "kong.upstream.status_code": "200",
        "kong.latency.total": latency[0], "kong.latency.upstream": latency[1],
        "kong.latency.internal": latency[2],
    }  # fmt: skip
    [row] = calls({"service_name": "kong", "attributes": attributes})
    assert picked(row, *SEEN, "gateway_ms", "consumer", "api", "request_id", "response_bytes") == {
        "gateway": "kong", "method": "GET", "path": "/orders/17", "status_code": 200,
        "host": "api.example.com", "duration_ms": 173.0, "upstream_ms": 171.0, "gateway_ms": 1.0,
        "consumer": "acme", "api": "shop", "request_id": "2f69", "response_bytes": 9982,
    }  # fmt: skip


def test_both_generations_of_the_conventions_are_read() -> None:
    old = {"http.method": "GET", "http.status_code": "404", "http.target": "/x?y=1",
           "http.host": "h.example.com", "duration_ms": "7"}  # fmt: skip
    new = {"http.request.method": "GET", "http.response.status_code": "404", "url.path": "/x",
           "server.address": "h.example.com", "http.server.request.duration": "0.007"}  # fmt: skip
    rows = calls(
        {"service_name": "edge-nginx", "attributes": old},
        {"service_name": "edge-nginx", "attributes": new},
    )
    assert [picked(row, *SEEN) for row in rows] == 2 * [
        {"gateway": "nginx", "method": "GET", "path": "/x", "status_code": 404,
         "host": "h.example.com", "duration_ms": 7.0, "upstream_ms": None}
    ]  # fmt: skip


def test_a_line_of_nginx_that_a_file_reader_sent_is_a_call() -> None:
    line = '203.0.113.7 - - [21/Nov/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "curl/8"'
    error = "2026/11/21 10:00:00 [error] 7#7: *1 connect() failed"
    rows = calls(*({"service_name": "nginx", "body": body} for body in (error, line, "")))
    assert [picked(row, "path", "status_code", "time") for row in rows] == [
        {"path": "/a", "status_code": 200, "time": TIME}
    ]


TRAEFIK = {
    "StartUTC": "1795261431122573378", "Duration": "4154236", "OriginDuration": "4036340",
    "Overhead": "117896", "RequestMethod": "GET", "RequestPath": "/orders/17?x=1",
    "RequestHost": "127.0.0.1", "DownstreamStatus": "200", "ServiceName": "s@file",
    "ClientHost": "127.0.0.1", "ClientUsername": "-",
}  # fmt: skip


@pytest.mark.parametrize("written", ["attributes", "body"])
def test_traefiks_records_are_calls(written: str) -> None:
    record: dict[str, Any] = {"service_name": "traefik", "scope_name": "traefik"}
    if written == "attributes":
        record["attributes"] = TRAEFIK
    else:
        numbers = {k: int(v) if v.isdigit() else v for k, v in TRAEFIK.items()}
        record["body"] = json.dumps({**numbers, "StartUTC": "2026-11-21T10:00:00.25Z"}) + "\n"
    [row] = calls(record)
    assert picked(row, "gateway", "method", "path", "status_code", "time") == {
        "gateway": "traefik", "method": "GET", "path": "/orders/17", "status_code": 200,
        "time": TIME,
    }  # fmt: skip
    assert row["duration_ms"] == pytest.approx(4.154236)
    assert row["upstream_ms"] == pytest.approx(4.03634)


def test_an_applications_own_log_is_no_call() -> None:
    http = {"http.request.method": "GET", "http.response.status_code": "500", "url.path": "/a"}
    assert calls({"service_name": "orders", "attributes": http}) == []
    assert calls({"service_name": "kong", "body": "2026/11/21 [warn] upstream is slow"}) == []
    assert calls({"service_name": "orders", "body": '[2026-11-21T10:00:00Z] "GET it" done'}) == []
    assert calls({"service_name": "orders", "body": "hello"}, {"service_name": "orders"}) == []


HOSTILE = [
    "{", "{}", "[]", "\0", "[[[[", '{"response_code": 1e400}', '{"response_code": "x"}', "\ud800",
    '[2026-11-21T10:00:00Z] "GET ', '{"a":' * 1000, '{"response_code":{}}', ENVOY_TEXT * 2,
    '[{"response_code":200,"method":"GET"}]',
]  # fmt: skip


def test_hostile_records_make_no_calls_and_no_noise() -> None:
    rows = [
        {"service_name": service, "body": body.encode("utf-8", "replace").decode()}
        for body in HOSTILE for service in ("envoy", "traefik", "nginx", "caddy", "kong", "tyk")
    ]  # fmt: skip
    assert calls(*rows) == []
    [row] = calls(*rows, {"body": ENVOY_TEXT})
    assert row["status_code"] == 204


def test_rows_keep_the_tenant_and_time_of_their_record() -> None:
    later = TIME + timedelta(milliseconds=1)
    rows = calls(
        {"body": ENVOY_TEXT, "tenant": "a"},
        {"body": "noise", "service_name": "envoy", "tenant": "b"},
        {"body": ENVOY_TEXT, "tenant": "c", "time": later},
    )
    assert [(row["tenant"], row["time"]) for row in rows] == [("a", TIME), ("c", later)]


def test_no_records_are_no_calls() -> None:
    assert calls() == []
