"""Measures by name: what alert rules and the HTTP API may ask for, with units and meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import polars as pl

from analytics.series import ratio


@dataclass(frozen=True, slots=True)
class Measure:
    """One number about a group of requests over a range."""

    name: str
    unit: str
    """UCUM: '1' = a ratio 0..1, 'ms', 'By', 'requests', 'requests/s', 'By/s'."""
    description: str
    kind: Literal["usage", "latency"]
    part: str = ""
    """For latency: total, upstream or gateway."""
    quantile: float | None = None
    zero_when_idle: bool = False
    """Whether no request at all means 0 (a count) rather than NULL (a rate, a time)."""


def _latency(name: str, part: str, quantile: float) -> Measure:
    whose = {"total": "Whole", "upstream": "Upstream", "gateway": "Gateway's own"}[part]
    text = f"{whose} time of a request, {quantile:.1%} quantile (1 % relative error)."
    return Measure(name, "ms", text, "latency", part, quantile)


def _latencies() -> list[Measure]:
    quantiles = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
    return [
        _latency(f"{prefix}{name}_ms", part, q)
        for part, prefix in (("total", ""), ("upstream", "upstream_"), ("gateway", "gateway_"))
        for name, q in quantiles.items()
    ]


def _u(name: str, unit: str, description: str, *, zero: bool = False) -> Measure:
    return Measure(name, unit, description, "usage", zero_when_idle=zero)


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        m.name: m
        for m in (
            _u("requests", "requests", "Number of requests.", zero=True),
            _u("requests_per_s", "requests/s", "Requests per second over the range.", zero=True),
            _u("errors", "requests", "Requests that failed on the server side.", zero=True),
            _u("error_rate", "1", "Server-side errors / requests."),
            _u("expected_errors", "requests", "Answers the catalog calls expected.", zero=True),
            _u("client_errors", "requests", "Requests answered 4xx, limits included.", zero=True),
            _u("client_error_rate", "1", "4xx answers / requests."),
            _u("rate_limited", "requests", "Requests refused by a rate limit or quota.", zero=True),
            _u("rate_limited_rate", "1", "Refused by a rate limit or quota / requests."),
            _u("unauthorized", "requests", "Requests without a valid credential.", zero=True),
            _u("unauthorized_rate", "1", "Requests without a valid credential / requests."),
            _u("aborted", "requests", "Requests whose client left before the answer.", zero=True),
            _u("request_bytes", "By", "Bytes received."),
            _u("response_bytes", "By", "Bytes sent."),
            _u("bandwidth_bytes_per_s", "By/s", "Bytes received and sent per second."),
            _u("duration_ms_avg", "ms", "Mean whole time of a request."),
            *_latencies(),
        )
    }
)
"""Every measure by name."""


_COUNTED = {"error_rate": "errors", "client_error_rate": "client_errors"}


def usage_columns(name: str) -> tuple[str, ...]:
    """Sums that a usage measure is worked out from; `requests` always first."""
    if name in ("requests", "requests_per_s"):
        return ("requests",)
    if name == "bandwidth_bytes_per_s":
        return ("requests", "request_bytes", "response_bytes")
    if name == "duration_ms_avg":
        return ("requests", "duration_ms_sum", "duration_requests")
    if name.endswith("_rate"):
        return ("requests", _COUNTED.get(name, name.removesuffix("_rate")))
    return ("requests", name)


def usage_value(name: str, seconds: float) -> pl.Expr:
    """Value of a usage measure from the summed `usage_columns` over a range of `seconds`."""
    if name == "requests_per_s":
        return pl.col("requests") / seconds
    if name == "bandwidth_bytes_per_s":
        both = pl.sum_horizontal("request_bytes", "response_bytes", ignore_nulls=True)
        known = pl.any_horizontal(pl.col("request_bytes", "response_bytes").is_not_null())
        return pl.when(known).then(both / seconds)
    if name == "duration_ms_avg":
        return ratio("duration_ms_sum", "duration_requests")
    if name.endswith("_rate"):
        return ratio(usage_columns(name)[1], "requests")
    return pl.col(name)
