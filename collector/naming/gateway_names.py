"""Which kind of gateway a service.name or a scope's name gives away."""

from __future__ import annotations

_KINDS = (
    "kong", "apisix", "tyk", "envoy", "istio", "nginx", "traefik", "haproxy", "caddy", "apigee",
    "apipark", "apinto", "spring",
)  # fmt: skip


def kind_of_service(service: str) -> str | None:
    """`kong`, `my-kong-eu`, `unknown_service:nginx`, `spring-cloud-gateway`; else a service."""
    words = service.lower().replace("_", "-").replace(":", "-").replace(".", "-").split("-")
    for kind in _KINDS:
        if kind in words:
            return kind if kind != "spring" or "gateway" in words else None
    return None


def kind_of_scope(scope: str) -> str | None:
    """Of an instrumentation scope."""
    name = scope.lower()
    return next((k for k in ("traefik", "nginx", "kong", "tyk", "apisix") if k in name), None)
