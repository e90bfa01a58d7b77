"""Query words of the HTTP API, turned into ranges and filters: the same words everywhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import Query

from analytics.errors import InvalidTimeRange
from analytics.filters import Endpoints, Filters
from analytics.timerange import TimeRange, fitting_interval, parse_range

Values = Annotated[list[str] | None, Query(max_length=1000)]
Compare = Literal["previous", "week"]


def range_of(
    start: Annotated[
        str | None,
        Query(max_length=64, description="'now-1h', 'last 7 days', ISO 8601 or epoch seconds."),
    ] = None,
    end: Annotated[str | None, Query(max_length=64, description="As start; default now.")] = None,
) -> TimeRange:
    """The range asked for; the last hour by default."""
    return parse_range(start, end)


def filters_of(
    environment: Values = None,
    gateway: Values = None,
    api: Values = None,
    api_version: Values = None,
    route: Values = None,
    method: Values = None,
    product: Values = None,
    plan: Values = None,
    consumer: Values = None,
    status_code: Values = None,
    outcome: Values = None,
    country: Values = None,
    client_kind: Values = None,
    endpoints: Annotated[
        Endpoints, Query(description="api = without health checks and the like.")
    ] = "api",
) -> Filters:
    """Repeat a word for several values; '(none)' matches requests without one; 5xx is a class."""
    return Filters(
        environment=tuple(environment or ()),
        gateway=tuple(gateway or ()),
        api=tuple(api or ()),
        api_version=tuple(api_version or ()),
        route=tuple(route or ()),
        method=tuple(method or ()),
        product=tuple(product or ()),
        plan=tuple(plan or ()),
        consumer=tuple(consumer or ()),
        status_code=tuple(status_code or ()),
        outcome=tuple(outcome or ()),
        country=tuple(country or ()),
        client_kind=tuple(client_kind or ()),
        endpoints=endpoints,
    )


def interval_of(text: str | None, time_range: TimeRange) -> int | None:
    """Nothing = no series; 'auto' = about 120 points; else seconds. Raises InvalidTimeRange."""
    if not text:
        return None
    if text == "auto":
        return fitting_interval(time_range)
    if text.isascii() and text.isdigit() and len(text) < 9:
        return int(text)
    raise InvalidTimeRange(f"cannot read {text[:20]!r} as an interval; use auto or seconds")


def compared_range(time_range: TimeRange, compare: Compare) -> TimeRange:
    """The range growth is told against."""
    if compare == "week":
        return time_range.shifted(timedelta(weeks=-1))
    return time_range.previous()
