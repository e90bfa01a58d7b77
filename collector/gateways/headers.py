"""What gateways tell in response headers: rate limits, cache state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

_LIMITS = (
    "ratelimit-limit", "x-ratelimit-limit-month", "x-ratelimit-limit-day", "x-ratelimit-limit-hour",
    "x-ratelimit-limit-minute", "x-ratelimit-limit-second", "x-ratelimit-limit",
    "x-rate-limit-limit",
)  # fmt: skip
"""The longest period first: that is the quota a plan sells."""


def header(headers: Any, name: str) -> str | None:
    """Value of a header, whatever the case of its name; the first of several."""
    if not isinstance(headers, Mapping):
        return None
    value = headers.get(name)
    if value is None:
        value = next((v for k, v in headers.items() if k.lower() == name), None)
    if isinstance(value, list):
        value = value[0] if value else None
    return None if value is None or value == "" else str(value)


def header_column(headers: Sequence[Any], name: str) -> pa.Array:
    """A header of each record."""
    return pa.array([header(h, name) for h in headers], pa.string())


def rate_limits(headers: Sequence[Any]) -> tuple[pa.Array, pa.Array]:
    """(limit, remaining) each record's response headers tell, NULL where they do not."""
    limits: list[int | None] = []
    remaining: list[int | None] = []
    for one in headers:
        found = _rate_limit(one)
        limits.append(found[0])
        remaining.append(found[1])
    return pa.array(limits, pa.int64()), pa.array(remaining, pa.int64())


def _rate_limit(headers: Any) -> tuple[int | None, int | None]:
    if not isinstance(headers, Mapping):
        return None, None
    lower = {k.lower(): v for k, v in headers.items() if "limit" in k.lower()}
    for name in _LIMITS:
        if name in lower:
            twin = _remaining_name(name)
            return _whole(lower[name]), _whole(lower.get(twin))
    return None, None


def _remaining_name(limit: str) -> str:
    """`x-ratelimit-limit-day` -> `x-ratelimit-remaining-day`."""
    head, _, tail = limit.rpartition("-limit")
    return f"{head}-remaining{tail}"


def _whole(value: Any) -> int | None:
    if isinstance(value, list):
        value = value[0] if value else None
    try:
        number = int(str(value).partition(",")[0].partition(";")[0])
    except ValueError:
        return None
    return number if 0 <= number < 2**62 else None
