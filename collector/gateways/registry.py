"""The gateway formats by name. To add one: write its file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from collector.gateways.apache import APACHE, apache_format
from collector.gateways.apigee import APIGEE
from collector.gateways.apipark import APIPARK
from collector.gateways.apisix import APISIX
from collector.gateways.aws_alb import AWS_ALB
from collector.gateways.aws_apigw import AWS_APIGW
from collector.gateways.azure_apim import AZURE_APIM
from collector.gateways.caddy import CADDY
from collector.gateways.envoy import ENVOY, ISTIO
from collector.gateways.haproxy import HAPROXY, haproxy_format
from collector.gateways.kong import KONG
from collector.gateways.lines import LinesFormat
from collector.gateways.nginx import NGINX, nginx_format
from collector.gateways.spring import SPRING
from collector.gateways.traefik import TRAEFIK
from collector.gateways.tyk import TYK

_ALL: tuple[LinesFormat, ...] = (
    NGINX, APACHE, ENVOY, ISTIO, KONG, TYK, APIGEE, AZURE_APIM, AWS_APIGW, AWS_ALB, SPRING, TRAEFIK,
    HAPROXY, APISIX, APIPARK, CADDY,
)  # fmt: skip

GATEWAY_FORMATS: Mapping[str, LinesFormat] = MappingProxyType({f.name: f for f in _ALL})
"""Every gateway format as it is without options."""

_OPTIONS: Mapping[str, tuple[str, Callable[[str], LinesFormat]]] = MappingProxyType(
    {
        "nginx": ("log_format", nginx_format),
        "apache": ("log_format", apache_format),
        "haproxy": ("timezone", haproxy_format),
    }
)
"""Formats that can be told how their lines look: name of the option, and the format it makes."""


def gateway_format(name: str, options: Mapping[str, str]) -> LinesFormat:
    """The format, with its options. ValueError for an option it has not, or a bad one."""
    chosen = GATEWAY_FORMATS[name]
    option, make = _OPTIONS.get(name, ("", None))
    for key, value in options.items():
        if make is None or key != option:
            known = f"; it knows {option}" if option else ""
            raise ValueError(f"format {name} has no option {key!r}{known}")
        chosen = make(value)
    return chosen
