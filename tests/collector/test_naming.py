"""Names of requests: what the gateway says, what the catalog knows, what can be derived."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from collector.gateways.rows import REQUESTS_SCHEMA
from collector.naming import Naming
from collector.naming.naming import GATEWAY_API_ID
from storage.catalog import Catalog
from storage.coded import plain_batch

TIME = datetime(2026, 11, 21, tzinfo=UTC)

CATALOG = Catalog.model_validate(
    {
        "apis": [
            {
                "name": "Orders",
                "hosts": ["api.example.com"],
                "path_prefixes": ["/v1/orders"],
                "services": ["orders-svc"],
                "gateway_ids": ["727dad85"],
                "routes": ["/v1/orders/{orderId}", "/v1/orders/latest", "/{orderId}/items/{sku}"],
                "product": "shop",
            },
            {"name": "Search", "path_prefixes": ["/search"]},
        ],
        "products": [{"name": "shop"}, {"name": "premium"}],
        "plans": [{"name": "gold", "product": "premium"}],
        "consumers": [
            {
                "name": "Acme Inc",
                "group": "partners",
                "plan": "gold",
                "key_hashes": ["abc123"],
                "users": ["acme"],
                "client_ids": ["acme-app"],
            }
        ],
    }
)


def requests(*rows: dict[str, Any]) -> pa.RecordBatch:
    base = {"time": TIME, "tenant": "default", "status_code": 200}
    return pa.RecordBatch.from_pylist([{**base, **row} for row in rows], schema=REQUESTS_SCHEMA)


def name(*rows: dict[str, Any], catalog: Catalog = CATALOG, **more: Any) -> list[dict[str, Any]]:
    return Naming(catalog).apply(requests(*rows), **more).to_pylist()


def test_the_catalog_names_by_host_and_path_prefix() -> None:
    named, elsewhere, other = name(
        {"host": "api.example.com", "path": "/v1/orders/17"},
        {"host": "other.example.com", "path": "/v1/orders/17"},
        {"host": "api.example.com", "path": "/v1/orders2/17"},
    )
    assert (named["api"], named["product"], named["api_version"]) == ("Orders", "shop", "v1")
    assert elsewhere["api"] == "other.example.com"
    assert other["api"] == "api.example.com"


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/orders/17", "/v1/orders/{orderId}"),
        ("/v1/orders/latest", "/v1/orders/latest"),
        ("/v1/orders/9f1c2d3e-0000-4000-8000-000000000000", "/v1/orders/{orderId}"),
        ("/v1/orders/17/items/red-shoe", "/v1/orders/{orderId}/items/{sku}"),
        ("/v1/orders/17/refunds/4", "/v1/orders/{id}/refunds/{id}"),
    ],
)
def test_routes_of_the_catalog_come_before_templates(path: str, route: str) -> None:
    [row] = name({"host": "api.example.com", "path": path})
    assert row["route"] == route


def test_what_the_gateway_says_stays() -> None:
    [row] = name(
        {
            "api": "payments", "api_version": "7", "route": "/pay",
            "product": "p", "plan": "silver",
            "consumer": "acme", "host": "api.example.com", "path": "/v1/orders/1",
            "outcome": "quota_exceeded", "client_kind": "sdk", "status_code": 429,
        }
    )  # fmt: skip
    assert row["api"] == "payments"
    assert row["api_version"] == "7"
    assert row["route"] == "/pay"
    assert (row["product"], row["plan"]) == ("p", "silver")
    assert (row["outcome"], row["client_kind"]) == ("quota_exceeded", "sdk")


def test_gateway_ids_are_looked_up_in_the_catalog() -> None:
    by_id, by_service, by_attribute = name(
        {"api": "727dad85"},
        {"api": "orders-svc"},
        {"api": "Orders API", "attributes": [(GATEWAY_API_ID, "727dad85")]},
    )
    assert {row["api"] for row in (by_id, by_service, by_attribute)} == {"Orders"}


def test_a_service_names_the_api_where_nothing_else_does() -> None:
    services = pa.array(["orders-svc", "unknown-svc", None], pa.string())
    rows = name(
        {"path": "/a"}, {"path": "/a", "host": "h.example.com"}, {"path": "/a"}, service=services
    )
    assert [row["api"] for row in rows] == ["Orders", "unknown-svc", "a"]


@pytest.mark.parametrize(
    ("host", "path", "api"),
    [
        ("api.example.com:8443", "/x", "api.example.com"),
        ("10.0.0.7", "/users/17", "users"),
        ("[::1]:80", "/users/17", "users"),
        ("localhost:80", "/api/v2/things", "things"),
        (None, "/v1/17", "/"),
        (None, "/", "/"),
        (None, None, None),
    ],
)
def test_uncatalogued_apis_get_a_sensible_name(
    host: str | None, path: str | None, api: str | None
) -> None:
    [row] = name({"host": host, "path": path}, catalog=Catalog())
    assert row["api"] == api


@pytest.mark.parametrize(
    "identity", [{"credential": "abc123"}, {"consumer": "acme"}, {"consumer": "acme-app"}]
)
def test_consumers_come_with_group_plan_and_product(identity: dict[str, str]) -> None:
    [row] = name({"path": "/search", **identity})
    found = {key: row[key] for key in ("consumer", "consumer_group", "plan", "product")}
    assert found == {
        "consumer": "Acme Inc", "consumer_group": "partners", "plan": "gold", "product": "premium",
    }  # fmt: skip


def test_unknown_consumers_keep_the_name_they_came_with() -> None:
    known, unknown = name({"consumer": "bob"}, {"consumer": None})
    assert known["consumer"] == "bob"
    assert known["plan"] is None
    assert unknown["consumer"] is None


@pytest.mark.parametrize(
    ("status", "flags", "outcome"),
    [
        (0, None, "aborted"), (499, None, "aborted"), (101, None, "ok"), (200, None, "ok"),
        (304, None, "redirect"), (401, None, "unauthorized"), (403, None, "unauthorized"),
        (404, None, "client_error"), (429, None, "rate_limited"), (429, "QEX", "quota_exceeded"),
        (403, "QuotaExceeded", "quota_exceeded"), (429, "RLT", "rate_limited"),
        (500, None, "server_error"), (999, None, "server_error"), (None, None, None),
        (200, "QEX", "ok"),
    ],
)  # fmt: skip
def test_outcome_follows_from_the_status(
    status: int | None, flags: str | None, outcome: str | None
) -> None:
    [row] = name({"status_code": status, "response_flags": flags})
    assert row["outcome"] == outcome


@pytest.mark.parametrize(
    ("user_agent", "kind"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120 Safari/537.36", "browser"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148", "mobile"),
        ("okhttp/4.12.0", "mobile"),
        ("curl/8.6.0", "cli"),
        ("python-requests/2.31", "sdk"),
        ("acme-client/1.2", "sdk"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot"),
        ("kube-probe/1.29", "monitor"),
        ("ELB-HealthChecker/2.0", "monitor"),
        ("???", "unknown"),
        (None, "unknown"),
    ],
)
def test_client_kind_follows_from_the_user_agent(user_agent: str | None, kind: str) -> None:
    [row] = name({"user_agent": user_agent})
    assert row["client_kind"] == kind


def test_methods_are_upper_case_and_few() -> None:
    rows = name({"method": "get"}, {"method": "FOO<script>"}, {"method": None})
    assert [row["method"] for row in rows] == ["GET", "_OTHER", None]


def test_naming_twice_changes_nothing() -> None:
    naming = Naming(CATALOG)
    once = naming.apply(
        requests(
            {"host": "api.example.com", "path": "/v1/orders/17", "consumer": "acme"},
            {"path": "/users/alice", "status_code": 404},
            {"path": "/wp-login.php", "status_code": 404, "user_agent": "nikto"},
        )
    )
    assert plain_batch(naming.apply(once)).equals(plain_batch(once))


def test_no_rows_are_no_rows() -> None:
    assert name() == []


def test_the_country_is_that_of_the_address_unless_the_gateway_says() -> None:
    public = ["8.8.8.8", "8.8.8.8:4711", "::ffff:8.8.8.8", "[2a00:1450::1]:443"]
    other = ["10.0.0.1", "127.0.0.1", "fe80::1%eth0", "unix:", "", "garbage", "203.0.113.4", None]
    rows = name(*({"path": "/a", "client_address": address} for address in public + other))
    assert [row["country"] for row in rows] == ["US", "US", "US", "IE"] + [None] * 8
    said = [{"path": "/a", "client_address": "8.8.8.8", "country": c} for c in ("fr", "France")]
    assert [row["country"] for row in name(*said)] == ["FR", "US"]
