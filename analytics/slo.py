"""Service level objectives from the catalog: budget left, how fast it burns, how sure that is.

    budget    = (1 - objective) x requests of the window; every bad request uses one
    burn rate = share of bad requests / (1 - objective): 1 = just used up at the end of the window
(Beyer et al. 2018, The Site Reliability Workbook, chapter 5.)

Only measured requests count on either side: a silent gateway neither burns nor earns budget. That
it was silent shows in `coverage`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from analytics.buckets import bucket_of
from analytics.filters import UNKNOWN, Filters
from analytics.grains import Kind
from analytics.limits import FILTER_VALUES_MAX
from analytics.plan import ceil_time, floor_time
from analytics.query import Analytics
from analytics.timerange import TimeRange
from storage.catalog import Catalog, Slo
from storage.log import time_to_us
from storage.session import ReadSession

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
    """Every SLO of the catalog over its own rolling window, most burnt first, as of the last whole
    minute. One question for all of each kind: a thousand objectives cost little more than one.
    """
    now = floor_time(now, 60)
    rings = _Rings(analytics, catalog.slos, now, tenant)
    coverage = {
        days: measured_share(analytics.session, TimeRange(now - timedelta(days=days), now))
        for days in {slo.window_days for slo in catalog.slos}
    }
    found = []
    for index, slo in enumerate(catalog.slos):
        length = timedelta(days=slo.window_days)
        count = rings.count(index, length)
        rates = {
            name: burn_rate(rings.count(index, span), slo.objective)
            for name, span in BURN_WINDOWS.items()
        }
        left = budget_left(count, slo.objective)
        covered = coverage[slo.window_days]
        found.append(SloStatus(slo, TimeRange(now - length, now), count, left, rates, covered))
    return sorted(found, key=lambda s: (s.budget_left is None, s.budget_left or 0.0, s.slo.name))


class _Rings:
    """Good and total of every SLO between the starts of all windows, which end together at `now`:
    a window is the sum of the rings inside it."""

    def __init__(
        self, analytics: Analytics, slos: Sequence[Slo], now: datetime, tenant: str
    ) -> None:
        lengths = {*BURN_WINDOWS.values(), *(timedelta(days=s.window_days) for s in slos)}
        self._lengths = sorted(lengths, reverse=True)
        cuts = [now - length for length in self._lengths]
        self._counts: dict[tuple[int, int], tuple[int, int]] = {}
        kinds: Mapping[str, Kind] = {"availability": "usage", "latency": "latency"}
        for objective, kind in kinds.items():
            chosen = [(i, s) for i, s in enumerate(slos) if s.kind == objective]
            if not chosen:
                continue
            names = tuple(dict.fromkeys(s.api for _, s in chosen))
            # more APIs than one filter takes: all are read
            filters = Filters(tenant=tenant, api=names if len(names) <= FILTER_VALUES_MAX else ())
            rows = analytics.rings(kind, [*cuts, now], filters, by=("api", "route"))
            for slo, ring, good, total in _matched(rows, chosen).iter_rows():
                self._counts[slo, ring] = (good, total)

    def count(self, slo: int, length: timedelta) -> SloCount:
        """Of the window of that length; `slo` is its position in the catalog."""
        first = self._lengths.index(length) + 1
        inside = range(first, len(self._lengths) + 1)
        found = [self._counts.get((slo, ring), (0, 0)) for ring in inside]
        return SloCount(sum(good for good, _ in found), sum(total for _, total in found))


def _matched(rows: pl.DataFrame, slos: Sequence[tuple[int, Slo]]) -> pl.DataFrame:
    """slo, ring, good, total: the rows of each SLO's API and routes, added up."""
    good = pl.col("requests") - pl.col("errors")
    if "bucket" in rows.columns:
        good = pl.when(pl.col("bucket") <= pl.col("within")).then(pl.col("requests")).otherwise(0)
    wanted = [
        (i, s.api, None if route == UNKNOWN else route, not s.routes, _within(s))
        for i, s in slos
        for route in (s.routes or (UNKNOWN,))
    ]
    schema = {"slo": pl.Int64, "api": pl.String, "route": pl.String, "every": pl.Boolean,
              "within": pl.Int64}  # fmt: skip
    asked = pl.DataFrame(wanted, schema=schema, orient="row")
    some, every = asked.filter(~pl.col("every")), asked.filter("every").drop("route")
    matched = [
        rows.join(every, on="api").select(_matched_columns(good)),
        rows.join(some, on=("api", "route"), nulls_equal=True).select(_matched_columns(good)),
    ]
    return pl.concat(matched).group_by("slo", "ring").agg(pl.col("good", "total").sum())


def _matched_columns(good: pl.Expr) -> list[pl.Expr]:
    return [pl.col("slo"), pl.col("ring"), good.alias("good"), pl.col("requests").alias("total")]


def _within(slo: Slo) -> int:
    """Last bucket that is quick enough; for availability unused."""
    return 0 if slo.threshold_ms is None else bucket_of(slo.threshold_ms)


def measured_share(session: ReadSession, window: TimeRange) -> float:
    """Share of the window's hours in which anything at all of the tenant was stored, from what the
    files' entries say: nothing is read. Of time older than the hour tier is kept, whole days."""
    first, last = floor_time(window.start, 3600), ceil_time(window.end, 3600)
    low, high = time_to_us(window.start), time_to_us(window.end)
    hours: set[int] = set()
    for table in ("requests", "usage_minute", "usage_hour"):
        for entry in session.files(table, window.start, window.end):
            # rows lie in the hour of their partition
            if entry.time_max >= low and entry.time_min < high and entry.rows > 0:
                hours.update(range(entry.time_min // _HOUR_US, entry.time_max // _HOUR_US + 1))
    kept_from = min(hours, default=time_to_us(last) // _HOUR_US)
    for entry in session.files("usage_day", window.start, window.end):
        day = entry.time_min // _HOUR_US
        hours.update(hour for hour in range(day, day + 24) if hour < kept_from)
    all_hours = range(time_to_us(first) // _HOUR_US, time_to_us(last) // _HOUR_US)
    inside = sum(hour in hours for hour in all_hours)
    return min(1.0, inside / (window.seconds / 3600))


_HOUR_US = 3_600_000_000


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


def worst_burn(statuses: Sequence[SloStatus], window: str = "1h") -> SloStatus | None:
    """The SLO that burns fastest; None when none can be told."""
    known = [s for s in statuses if s.burn_rates.get(window) is not None]
    return max(known, key=lambda s: s.burn_rates[window] or 0.0, default=None)
