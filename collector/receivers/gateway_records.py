"""Which gateway wrote a record that came by a general log protocol.

A name the operator gave wins (`gatelens_format` as a label or field); then what the shipper says
the log is (Filebeat's `event.dataset`); then the keys of the record, where they are unmistakable.
Everything else is a log record.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from collector.gateways.registry import GATEWAY_FORMATS

NAME_FIELD = "gatelens_format"
"""Label or field by which a sender says what its lines are."""

_SIGNATURES: tuple[tuple[str, Set[str]], ...] = (
    ("tyk", {"api_id", "org_id", "response_code"}),
    ("kong", {"latencies", "request", "response", "started_at"}),
    ("apisix", {"request", "response", "route_id", "start_time"}),
    ("apisix", {"request", "response", "service_id", "start_time", "upstream"}),
    ("apipark", {"msec", "request_uri", "request_method", "status"}),
    ("apipark", {"msec", "request_uri", "status", "api"}),
    ("traefik", {"RouterName", "DownstreamStatus", "RequestMethod"}),
    ("traefik", {"RequestMethod", "RequestPath", "DownstreamStatus", "StartUTC"}),
    ("caddy", {"request", "status", "duration", "resp_headers"}),
)
"""Keys that only this gateway's records have together."""

_DATASETS = {
    "nginx.access": "nginx", "nginx.ingress_controller": "nginx", "apache.access": "apache",
    "haproxy.log": "haproxy", "traefik.access": "traefik", "envoyproxy.log": "envoy",
    "istio.access_logs": "istio", "aws.elb_logs": "aws_alb", "aws.apigateway_logs": "aws_apigw",
}  # fmt: skip
"""Filebeat's `event.dataset`."""


def named_gateway(name: object) -> str | None:
    """The gateway format an operator named, None if it is none."""
    return name if isinstance(name, str) and name in GATEWAY_FORMATS else None


def dataset_gateway(dataset: object) -> str | None:
    """The gateway format of a Filebeat dataset."""
    return _DATASETS.get(dataset) if isinstance(dataset, str) else None


def gateway_of(record: Mapping[str, Any]) -> str | None:
    """The gateway whose access-log record this is, by its keys."""
    keys = record.keys()
    for name, signature in _SIGNATURES:
        if signature <= keys:
            return name
    return None
