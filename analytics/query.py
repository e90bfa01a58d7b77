"""Questions to the lake: usage, latency, errors, over any range and grouping. Dashboards, alerts and
the HTTP API all ask here, so a number is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl

from analytics.filters import DIMENSIONS, UNKNOWN, Dimension, Filters
from analytics.measures import MEASURES, Measure
from analytics.results import Completeness, Overview
from analytics.timerange import TimeRange, fitting_interval, parse_range, parse_time
from storage.session import ReadSession

__all__ = [
    "DIMENSIONS",
    "MEASURES",
    "UNKNOWN",
    "Analytics",
    "Completeness",
    "Dimension",
    "Filters",
    "Measure",
    "Overview",
    "TimeRange",
    "fitting_interval",
    "parse_range",
    "parse_time",
]

Part = Literal["total", "upstream", "gateway"]


class Analytics:
    """Questions of one tenant. Thread-safe; holds no result between calls.

    Where nothing was measured, values are NULL, never 0.
    """

    def __init__(self, session: ReadSession) -> None:
        self._session = session

    def overview(self, time_range: TimeRange, filters: Filters = Filters()) -> Overview: ...  # type: ignore[empty-body]

    def usage(  # type: ignore[empty-body]
        self,
        time_range: TimeRange,
        filters: Filters = Filters(),
        *,
        by: Sequence[str] = (),
        interval_s: int | None = None,
        limit: int | None = None,
    ) -> pl.DataFrame: ...

    def latency(  # type: ignore[empty-body]
        self,
        time_range: TimeRange,
        filters: Filters = Filters(),
        *,
        by: Sequence[str] = (),
        interval_s: int | None = None,
        part: Part = "total",
        quantiles: Sequence[float] = (0.5, 0.95, 0.99),
    ) -> pl.DataFrame: ...

    def breakdown(  # type: ignore[empty-body]
        self, time_range: TimeRange, filters: Filters = Filters(), *, by: str, limit: int = 50
    ) -> pl.DataFrame: ...

    def measure(  # type: ignore[empty-body]
        self,
        name: str,
        time_range: TimeRange,
        filters: Filters = Filters(),
        *,
        by: Sequence[str] = (),
    ) -> pl.DataFrame: ...

    def completeness(  # type: ignore[empty-body]
        self, time_range: TimeRange, filters: Filters = Filters()
    ) -> Completeness: ...

    def requests_sample(  # type: ignore[empty-body]
        self,
        time_range: TimeRange,
        filters: Filters = Filters(),
        *,
        limit: int = 100,
        newest_first: bool = True,
    ) -> pl.DataFrame: ...
