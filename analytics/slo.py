"""Service level objectives from the catalog: budget left, how fast it burns, how sure that is.

    budget    = (1 - objective) x requests of the window; every bad request uses one
    burn rate = share of bad requests / (1 - objective): 1 = just used up at the end of the window
(Beyer et al. 2018, The Site Reliability Workbook, chapter 5.)

Only measured requests count on either side: a silent gateway neither burns nor earns budget. That
it was silent shows in `coverage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from analytics.buckets import bucket_of
from analytics.filters import Filters
from analytics.query import Analytics
from analytics.timerange import TimeRange
from storage.catalog import Catalog, Slo

BURN_WINDOWS = {
    "5m": timedelta(minutes=5),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
    "3d": timedelta(days=3),
}
"""Pairs of a long and a short window make alerts that are quick and calm."""

REQUESTS_MIN = 10
"""Fewer requests in a window say nothing about a burn rate: it is None."""


@dataclass(frozen=True, slots=True)
class SloCount:
    """Good and all requests of a range."""

    good: int
    total: int

    @property
    def bad(self) -> int:
        return self.total - self.good

    @property
    def ratio(self) -> float | None:
        """Share of good requests; None without any."""
        return self.good / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class SloStatus:
    slo: Slo
    window: TimeRange
    count: SloCount
    budget_left: float | None
    """1 = untouched, 0 = used up, negative = overdrawn; None = nothing measured."""
    burn_rates: dict[str, float | None]
    """By BURN_WINDOWS; None = fewer than REQUESTS_MIN requests."""
    coverage: float
    """Share of the window's hours in which anything at all was measured, 0..1."""

    @property
    def met(self) -> bool | None:
        """None = nothing measured, which is not the same as met."""
        return None if self.count.ratio is None else self.count.ratio >= self.slo.objective


def slo_statuses(
    analytics: Analytics, catalog: Catalog, *, now: datetime, tenant: str = ""
) -> list[SloStatus]:
    """Every SLO of the catalog over its own rolling window, most burnt first."""
    coverage: dict[int, float] = {}
    found = []
    for slo in catalog.slos:
        if slo.window_days not in coverage:
            coverage[slo.window_days] = _coverage(analytics, slo.window_days, now, tenant)
        found.append(_status(analytics, slo, now, tenant, coverage[slo.window_days]))
    return sorted(found, key=lambda s: (s.budget_left is None, s.budget_left or 0.0, s.slo.name))


def slo_filters(slo: Slo, tenant: str = "") -> Filters:
    """The requests an SLO speaks about."""
    return Filters(tenant=tenant, api=(slo.api,), route=tuple(slo.routes))


def count_slo(
    analytics: Analytics, slo: Slo, time_range: TimeRange, *, tenant: str = ""
) -> SloCount:
    """availability: good = not failed on the server side. latency: good = at most the threshold,
    of requests whose time is known; a bucket the threshold cuts counts as good (at most 2 % over).
    """
    filters = slo_filters(slo, tenant)
    if slo.kind == "latency":
        assert slo.threshold_ms is not None
        histogram = analytics.latency_histogram(time_range, filters)
        good = histogram.filter(pl.col("bucket") <= bucket_of(slo.threshold_ms))["requests"].sum()
        return SloCount(int(good), int(histogram["requests"].sum()))
    row = analytics.usage(time_range, filters)
    total, errors = int(row["requests"].sum()), int(row["errors"].sum())
    return SloCount(total - errors, total)


def slo_series(
    analytics: Analytics,
    slo: Slo,
    time_range: TimeRange,
    *,
    interval_s: int = 60,
    tenant: str = "",
) -> pl.DataFrame:
    """Good and total per interval: time, good, total; only intervals with requests."""
    filters = slo_filters(slo, tenant)
    if slo.kind == "latency":
        assert slo.threshold_ms is not None
        within = pl.col("bucket") <= bucket_of(slo.threshold_ms)
        histogram = analytics.latency_histogram(time_range, filters, interval_s=interval_s)
        return (
            histogram.group_by("time")
            .agg(
                pl.col("requests").filter(within).sum().alias("good"),
                pl.col("requests").sum().alias("total"),
            )
            .sort("time")
        )
    usage = analytics.usage(time_range, filters, interval_s=interval_s, fill=False)
    good = (pl.col("requests") - pl.col("errors")).alias("good")
    return usage.select("time", good, pl.col("requests").alias("total")).sort("time")


def burn_rate(count: SloCount, objective: float, requests_min: int = REQUESTS_MIN) -> float | None:
    """See the top of the file; None with too few requests."""
    if count.total < requests_min:
        return None
    return count.bad / count.total / (1 - objective)


def budget_left(count: SloCount, objective: float) -> float | None:
    if not count.total:
        return None
    return 1 - count.bad / ((1 - objective) * count.total)


def _status(
    analytics: Analytics, slo: Slo, now: datetime, tenant: str, coverage: float
) -> SloStatus:
    window = TimeRange(now - timedelta(days=slo.window_days), now)
    count = count_slo(analytics, slo, window, tenant=tenant)
    rates = {
        name: burn_rate(
            count_slo(analytics, slo, TimeRange(now - length, now), tenant=tenant), slo.objective
        )
        for name, length in BURN_WINDOWS.items()
    }
    return SloStatus(slo, window, count, budget_left(count, slo.objective), rates, coverage)


def _coverage(analytics: Analytics, days: int, now: datetime, tenant: str) -> float:
    window = TimeRange(now - timedelta(days=days), now)
    hours = analytics.usage(window, Filters(tenant=tenant), interval_s=3600, fill=False)
    return min(1.0, hours.height / (days * 24))


def worst_burn(statuses: Sequence[SloStatus], window: str = "1h") -> SloStatus | None:
    """The SLO that burns fastest; None when none can be told."""
    known = [s for s in statuses if s.burn_rates.get(window) is not None]
    return max(known, key=lambda s: s.burn_rates[window] or 0.0, default=None)
