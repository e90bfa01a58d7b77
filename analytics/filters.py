"""The words every question is narrowed with: the same in Python, over HTTP and in URLs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from analytics.errors import QueryRefused, UnknownDimension
from analytics.limits import FILTER_VALUES_MAX

Dimension = Literal[
    "environment", "gateway", "api", "api_version", "route", "method", "product", "plan",
    "consumer", "status_code", "outcome", "country", "client_kind",
]  # fmt: skip
"""A column one may group and filter by."""

Endpoints = Literal["api", "excluded", "all"]

DIMENSIONS: tuple[str, ...] = Dimension.__args__  # type: ignore[attr-defined]

LATENCY_DIMENSIONS = (
    "environment", "gateway", "api", "api_version", "route", "method", "outcome",
)  # fmt: skip
"""What the latency tiers keep. Latency by anything else is computed from raw requests."""

UNKNOWN = "(none)"
"""Filter word that matches rows where the dimension is NULL."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which requests count. An empty tuple = all; several values = any of them.

    Values are compared as text, exactly (case, accents); `UNKNOWN` matches NULL. The read session
    decides the tenant; a `tenant` given here must be that one ('' = whichever it is).
    """

    tenant: str = ""
    environment: tuple[str, ...] = ()
    gateway: tuple[str, ...] = ()
    api: tuple[str, ...] = ()
    api_version: tuple[str, ...] = ()
    route: tuple[str, ...] = ()
    method: tuple[str, ...] = ()
    product: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()
    consumer: tuple[str, ...] = ()
    status_code: tuple[str, ...] = ()
    """'404' or a class such as '5xx'."""
    outcome: tuple[str, ...] = ()
    country: tuple[str, ...] = ()
    client_kind: tuple[str, ...] = ()
    endpoints: Endpoints = "api"
    """api = without what the catalog excludes (health checks); excluded = only that; all = both."""

    def __post_init__(self) -> None:
        if self.endpoints not in ("api", "excluded", "all"):
            raise QueryRefused("endpoints are one of api, excluded, all")
        for name, values in self.active():
            if not isinstance(values, tuple):
                raise QueryRefused(f"filter {name} takes a tuple of values")
            if len(values) > FILTER_VALUES_MAX:
                raise QueryRefused(f"filter {name} has more than {FILTER_VALUES_MAX} values")
        for value in self.status_code:
            if value != UNKNOWN:
                status_range(value)

    def active(self) -> list[tuple[str, tuple[str, ...]]]:
        """Dimensions that are narrowed, with their values."""
        return [
            (f.name, getattr(self, f.name))
            for f in fields(self)
            if f.name in DIMENSIONS and getattr(self, f.name)
        ]


def check_dimensions(names: tuple[str, ...]) -> None:
    """Raise UnknownDimension unless every name may be grouped by."""
    for name in names:
        if name not in DIMENSIONS:
            raise UnknownDimension(name, DIMENSIONS)


def status_range(value: str) -> tuple[int, int]:
    """First and last status code a filter word stands for: '404' or '5xx'. Raises QueryRefused."""
    text = str(value).strip().lower()
    if len(text) == 3 and text.endswith("xx") and text[0] in "12345":
        low = int(text[0]) * 100
        return low, low + 99
    if text.isascii() and text.isdigit() and len(text) <= 3:
        return int(text), int(text)
    raise QueryRefused(f"{str(value)[:20]!r} is not a status code; use 404 or 5xx")
