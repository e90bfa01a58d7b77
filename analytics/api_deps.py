"""What every route is given: the asker's Analytics, and as much of the catalog as it may see."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import Depends, Query, Request

from analytics.api_params import filters_of, range_of
from analytics.errors import QueryRefused
from analytics.filters import Filters
from analytics.query import Analytics
from analytics.scope import narrow_catalog
from analytics.timerange import TimeRange
from storage.catalog import Catalog


def analytics_of(request: Request) -> Analytics:
    found: Analytics = request.app.state.analytics_for(request)
    return found


Ask = Annotated[Analytics, Depends(analytics_of)]


def catalog_of(request: Request, ask: Ask) -> Catalog:
    return narrow_catalog(request.app.state.catalog_for(request), ask.session.scope)


def zone_of(zone: Annotated[str, Query(max_length=64)] = "UTC") -> ZoneInfo:
    """Raises QueryRefused for a name that is no time zone."""
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise QueryRefused(f"no time zone is called {zone[:40]!r}; use e.g. Europe/Berlin") from err


Known = Annotated[Catalog, Depends(catalog_of)]
Zone = Annotated[ZoneInfo, Depends(zone_of)]
Range = Annotated[TimeRange, Depends(range_of)]
Narrowed = Annotated[Filters, Depends(filters_of)]
