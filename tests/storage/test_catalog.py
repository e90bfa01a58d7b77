"""The catalog: recognising APIs and consumers, and mistakes that are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.catalog import Catalog, load_catalog
from storage.errors import CatalogError

TEXT = """
apis:
  - name: orders
    hosts: [api.example.com]
    path_prefixes: [/orders]
    product: shop
  - name: orders-beta
    hosts: [api.example.com]
    path_prefixes: [/orders/beta]
  - name: anything
    hosts: ["*.example.com"]
  - name: internal
    path_prefixes: [/internal]
  - name: payments
    services: [payment-service]
    gateway_ids: [svc-42]
products:
  - name: shop
plans:
  - name: gold
    product: shop
    quota_per_day: 1000
consumers:
  - name: acme
    plan: gold
    key_hashes: [abc]
    users: [acme-user]
    client_ids: [client-1]
excluded_endpoints:
  - path: /healthz
  - api: orders
    path: /orders/ping*
    method: GET
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    path = tmp_path / "catalog.yaml"
    path.write_text(TEXT)
    return load_catalog(path)


@pytest.mark.parametrize(
    ("host", "path", "service", "gateway_id", "expected"),
    [
        ("api.example.com", "/orders", None, None, "orders"),
        ("api.example.com", "/orders/1", None, None, "orders"),
        ("API.example.com:443", "/orders/1", None, None, "orders"),
        ("api.example.com", "/orders/beta/1", None, None, "orders-beta"),
        ("api.example.com", "/orders2", None, None, "anything"),
        ("shop.example.com", "/", None, None, "anything"),
        ("example.com", "/", None, None, None),
        ("other.org", "/internal/x", None, None, "internal"),
        (None, "/internal", None, None, "internal"),
        (None, None, "payment-service", None, "payments"),
        ("other.org", "/x", "payment-service", None, "payments"),
        ("api.example.com", "/orders", None, "svc-42", "payments"),
        ("other.org", "/x", "unknown", "unknown", None),
        (None, None, None, None, None),
    ],
)
def test_an_api_is_recognised(
    catalog: Catalog,
    host: str | None,
    path: str | None,
    service: str | None,
    gateway_id: str | None,
    expected: str | None,
) -> None:
    found = catalog.match_api(host, path, service, gateway_id)
    assert (found.name if found else None) == expected


def test_a_consumer_is_recognised_by_what_identifies_it(catalog: Catalog) -> None:
    for given in ({"key_hash": "abc"}, {"user": "acme-user"}, {"client_id": "client-1"}):
        found = catalog.consumer(**given)
        assert found is not None
        assert found.name == "acme"
    assert catalog.consumer(key_hash="nope") is None
    assert catalog.consumer() is None
    plan = catalog.plan("gold")
    assert plan is not None
    assert (plan.quota_per_day, plan.quota_per_month) == (1000, None)


def test_health_checks_are_excluded(catalog: Catalog) -> None:
    assert catalog.excluded(None, "/healthz", "GET")
    assert catalog.excluded("orders", "/orders/ping/1", "get")
    assert not catalog.excluded("orders", "/orders/ping", "POST")
    assert not catalog.excluded("payments", "/orders/ping", "GET")
    assert not catalog.excluded("orders", None, None)


def test_no_file_and_an_empty_file_are_an_empty_catalog(tmp_path: Path) -> None:
    empty = tmp_path / "empty.yaml"
    empty.write_text("")
    for path in (None, tmp_path / "missing.yaml", empty):
        found = load_catalog(path)
        assert found.apis == ()
        assert found.match_api("h", "/p", "s", "g") is None


def test_routes_come_from_the_openapi_file(tmp_path: Path) -> None:
    (tmp_path / "orders.yaml").write_text(
        "openapi: 3.1.0\npaths:\n  /orders/{id}:\n    get: {}\n  /meta:\n    summary: x\n"
    )
    path = tmp_path / "catalog.yaml"
    path.write_text("apis:\n  - name: orders\n    openapi: orders.yaml\n    routes: [/orders]\n")
    assert load_catalog(path).apis[0].routes == ("/orders", "/orders/{id}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "apis:\n  - name: a\n    hostz: [x]",
            "apis.0.hostz is not a known key; did you mean 'hosts'",
        ),
        ("apis:\n  - title: a", "apis.0.name: Field required"),
        ("apis:\n  - name: a\n  - name: a", "'a' is there twice"),
        ("apis: [", "while parsing"),
        ("- a\n- b", "catalog"),
        ("plans:\n  - name: p\n    quota_per_day: -1", "plans.0.quota_per_day"),
        (
            "plans: [{name: gold}]\nconsumers: [{name: c, plan: gld}]",
            "plan of consumer 'c': 'gld' is not in the catalog; did you mean 'gold'",
        ),
        ("consumers: [{name: c, networks: [10.0.0.0/99]}]", "does not appear to be"),
        (
            "apis: [{name: a}]\nslos: [{name: s, api: a, kind: latency, objective: 0.9}]",
            "threshold",
        ),
        ("apis: [{name: a, openapi: missing.yaml}]", "missing.yaml"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(text)
    with pytest.raises(CatalogError) as caught:
        load_catalog(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
