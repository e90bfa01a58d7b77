"""The APIs of Waypost: versions, routes, owners, gateways and how fast each one is.

Plain facts, no code that decides anything. Weights are relative inside their list. Latencies are
medians in milliseconds under normal load; `spread` is the sigma of the log-normal around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GatewayKind = Literal["kong", "envoy", "nginx"]

API_HOST = "api.waypost.example"
LEGACY_HOST = "legacy.waypost.example"


DATABASE_PORTS = {
    "postgresql": 5432, "redis": 6379, "elasticsearch": 9200, "mysql": 3306, "oracle": 1521,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of an API, without version prefix."""

    method: str
    template: str
    """Template below the API's prefix, such as `/{shipment_id}/labels`; '' = the collection."""
    weight: float
    slowness: float = 1.0
    """Times the API's median upstream latency."""
    ok_status: int = 200
    request_bytes: int = 420
    response_bytes: int = 1_800
    """Median sizes with headers."""


@dataclass(frozen=True, slots=True)
class Api:
    """One API product surface, served by one service of its own."""

    name: str
    title: str
    owner: str
    product: str
    gateway: GatewayKind
    prefix: str
    """Path below the version, such as `/shipments`; the full prefix is `/v2/shipments`."""
    versions: tuple[tuple[str, float], ...]
    """Version and its share of the calls."""
    weight: float
    service: str
    database: str
    upstream_ms: float
    gateway_ms: float
    spread: float
    error_share: float
    """Share of calls the service fails on a normal day."""
    apdex_threshold_ms: float
    routes: tuple[Route, ...]
    host: str = API_HOST


def _get(template: str, weight: float, slowness: float = 1.0, response: int = 1_800) -> Route:
    return Route("GET", template, weight, slowness, 200, 380, response)


def _post(
    template: str, weight: float, slowness: float = 1.0, ok_status: int = 201, request: int = 1_500
) -> Route:
    return Route("POST", template, weight, slowness, ok_status, request, 900)


APIS: tuple[Api, ...] = (
    Api(
        name="shipments",
        title="Shipments",
        owner="shipping-core",
        product="shipping",
        gateway="kong",
        prefix="/shipments",
        versions=(("v1", 0.2), ("v2", 0.8)),
        weight=18,
        service="shipments-service",
        database="postgresql",
        upstream_ms=46,
        gateway_ms=2.4,
        spread=0.55,
        error_share=0.002,
        apdex_threshold_ms=200,
        routes=(
            _get("", 20, 1.6, 14_000),
            _get("/{shipment_id}", 50, 0.6, 2_600),
            _post("", 22, 1.5),
            Route("PATCH", "/{shipment_id}", 6, 1.1, 200, 700, 1_200),
            Route("DELETE", "/{shipment_id}", 2, 0.9, 204, 380, 210),
        ),
    ),
    Api(
        name="tracking",
        title="Tracking",
        owner="visibility",
        product="shipping",
        gateway="kong",
        prefix="/tracking",
        versions=(("v1", 0.1), ("v3", 0.9)),
        weight=30,
        service="tracking-service",
        database="redis",
        upstream_ms=14,
        gateway_ms=1.8,
        spread=0.45,
        error_share=0.0008,
        apdex_threshold_ms=100,
        routes=(
            _get("/{tracking_number}", 70, 1.0, 1_400),
            _get("/{tracking_number}/events", 25, 1.4, 5_200),
            _post("/subscriptions", 5, 2.0, 201, 800),
        ),
    ),
    Api(
        name="rates",
        title="Rates",
        owner="pricing",
        product="shipping",
        gateway="kong",
        prefix="/rates",
        versions=(("v2", 1.0),),
        weight=14,
        service="rates-service",
        database="redis",
        upstream_ms=95,
        gateway_ms=2.2,
        spread=0.5,
        error_share=0.003,
        apdex_threshold_ms=300,
        routes=(_post("/quotes", 85, 1.0, 200, 1_900), _get("/carriers/{carrier}/zones", 15, 0.4)),
    ),
    Api(
        name="labels",
        title="Labels",
        owner="shipping-core",
        product="shipping",
        gateway="kong",
        prefix="/labels",
        versions=(("v1", 1.0),),
        weight=7,
        service="labels-service",
        database="postgresql",
        upstream_ms=170,
        gateway_ms=2.6,
        spread=0.4,
        error_share=0.004,
        apdex_threshold_ms=500,
        routes=(_post("", 60, 1.2), _get("/{label_id}.pdf", 40, 0.5, 68_000)),
    ),
    Api(
        name="addresses",
        title="Address validation",
        owner="pricing",
        product="shipping",
        gateway="kong",
        prefix="/addresses",
        versions=(("v1", 1.0),),
        weight=8,
        service="addresses-service",
        database="elasticsearch",
        upstream_ms=28,
        gateway_ms=1.9,
        spread=0.5,
        error_share=0.001,
        apdex_threshold_ms=150,
        routes=(_post("/validate", 70, 1.0, 200, 640), _get("/autocomplete", 30, 0.6, 2_100)),
    ),
    Api(
        name="identity",
        title="Identity and tokens",
        owner="platform",
        product="platform",
        gateway="kong",
        prefix="/oauth",
        versions=(("v1", 1.0),),
        weight=6,
        service="identity-service",
        database="postgresql",
        upstream_ms=33,
        gateway_ms=1.6,
        spread=0.35,
        error_share=0.0005,
        apdex_threshold_ms=150,
        routes=(_post("/token", 90, 1.0, 200, 560), _get("/userinfo", 10, 0.5, 700)),
    ),
    Api(
        name="payments",
        title="Payments",
        owner="money",
        product="payments",
        gateway="envoy",
        prefix="/payments",
        versions=(("v1", 0.3), ("v2", 0.7)),
        weight=12,
        service="payments-service",
        database="postgresql",
        upstream_ms=120,
        gateway_ms=1.4,
        spread=0.45,
        error_share=0.002,
        apdex_threshold_ms=400,
        routes=(
            _post("", 45, 1.3, 201, 1_250),
            _get("/{payment_id}", 40, 0.4, 1_500),
            _post("/{payment_id}/refunds", 5, 1.5, 201, 640),
            _get("", 10, 1.2, 11_000),
        ),
    ),
    Api(
        name="invoices",
        title="Invoices",
        owner="money",
        product="payments",
        gateway="envoy",
        prefix="/invoices",
        versions=(("v1", 1.0),),
        weight=4,
        service="invoices-service",
        database="postgresql",
        upstream_ms=64,
        gateway_ms=1.3,
        spread=0.5,
        error_share=0.001,
        apdex_threshold_ms=250,
        routes=(
            _get("", 30, 1.6, 18_000),
            _get("/{invoice_id}", 60, 0.7, 3_200),
            _post("/{invoice_id}/send", 10, 1.2, 202, 420),
        ),
    ),
    Api(
        name="webhooks",
        title="Webhook subscriptions",
        owner="platform",
        product="platform",
        gateway="envoy",
        prefix="/webhooks",
        versions=(("v1", 1.0),),
        weight=3,
        service="webhooks-service",
        database="postgresql",
        upstream_ms=22,
        gateway_ms=1.2,
        spread=0.4,
        error_share=0.0008,
        apdex_threshold_ms=150,
        routes=(
            _get("", 50, 1.0, 2_900),
            _post("", 20, 1.3),
            _post("/{webhook_id}/deliveries/{delivery_id}/retry", 20, 1.6, 202, 400),
            Route("DELETE", "/{webhook_id}", 10, 0.8, 204, 380, 210),
        ),
    ),
    Api(
        name="customs",
        title="Customs declarations",
        owner="trade",
        product="trade",
        gateway="envoy",
        prefix="/customs",
        versions=(("v1", 1.0),),
        weight=4,
        service="customs-service",
        database="postgresql",
        upstream_ms=210,
        gateway_ms=1.5,
        spread=0.6,
        error_share=0.006,
        apdex_threshold_ms=800,
        routes=(
            _post("/declarations", 55, 1.2, 202, 4_800),
            _get("/declarations/{declaration_id}", 35, 0.4),
            _get("/tariffs/{hs_code}", 10, 0.3, 900),
        ),
    ),
    Api(
        name="inventory",
        title="Warehouse inventory",
        owner="fulfilment",
        product="trade",
        gateway="envoy",
        prefix="/warehouses",
        versions=(("v1", 0.6), ("v2", 0.4)),
        weight=9,
        service="inventory-service",
        database="mysql",
        upstream_ms=38,
        gateway_ms=1.4,
        spread=0.5,
        error_share=0.0015,
        apdex_threshold_ms=200,
        routes=(
            _get("/{warehouse_id}/stock", 60, 1.0, 7_400),
            _get("/{warehouse_id}/stock/{sku}", 30, 0.5, 620),
            Route("PUT", "/{warehouse_id}/stock/{sku}", 10, 1.4, 200, 520, 420),
        ),
    ),
    Api(
        name="edi-legacy",
        title="EDI bridge (legacy)",
        owner="partner-integrations",
        product="legacy",
        gateway="nginx",
        prefix="/edi",
        versions=(("v0", 1.0),),
        weight=5,
        service="edi-bridge",
        database="oracle",
        upstream_ms=260,
        gateway_ms=0.6,
        spread=0.7,
        error_share=0.008,
        apdex_threshold_ms=1_000,
        routes=(
            _post("/orders", 45, 1.1, 200, 9_200),
            _get("/orders/{order_id}", 40, 0.8, 6_400),
            _get("/manifests/{manifest_id}.xml", 15, 1.4, 24_000),
        ),
        host=LEGACY_HOST,
    ),
)
