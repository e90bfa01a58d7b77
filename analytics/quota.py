"""Quotas: how much of its plan a consumer has used, what is left, and when it runs out.

Counted against a quota is every request that was let through: not those refused for a missing
credential, a rate limit or the quota itself, and not what the catalog excludes. Plans and limits
come from the catalog; windows are calendar days, weeks and months in the given time zone, months
from the consumer's or its plan's anchor day.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np
import polars as pl

from analytics.filters import UNKNOWN, Filters
from analytics.forecast import Floats, backtest_error, hours_until, repeat_last_week
from analytics.forecast_models import Forecaster, ForecastModel, forecaster
from analytics.plan import floor_time
from analytics.query import Analytics
from analytics.timerange import TimeRange
from analytics.windows import WindowKind, window_of
from storage.catalog import Catalog, Plan

COUNTED = ("ok", "redirect", "client_error", "server_error", "aborted", UNKNOWN)
"""Outcomes that use up a quota."""

_BY = ("consumer", "product", "outcome")
_GROUPS = 1_000_000
"""No group may be cut off: every consumer counts."""

HISTORY = timedelta(days=28)
"""How far back a forecast looks."""


@dataclass(frozen=True, slots=True)
class QuotaForecast:
    """When the quota runs out if things go on as in past weeks; None = not within the window."""

    exhausted_at: datetime | None
    earliest: datetime | None
    """Lower end of the 80 % interval."""
    latest: datetime | None
    """Upper end; None = may well last to the end of the window."""
    used_at_end: float
    """Requests expected by the end of the window."""
    error: float | None
    """Mean relative error of last week's days, forecast from before it; None = unknown."""
    naive_error: float | None = None
    """The same of just repeating the week before: a forecast worth its name is below it."""


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """One consumer against one limit of its plan."""

    consumer: str
    group: str | None
    plan: str
    product: str | None
    kind: WindowKind
    window: TimeRange
    limit: int
    used: int
    refused: int
    """Requests refused in the window for a rate limit or the quota."""
    forecast: QuotaForecast | None

    @property
    def remaining(self) -> int:
        """Never negative."""
        return max(0, self.limit - self.used)

    @property
    def percent(self) -> float:
        """Of the limit; over 100 when more was let through. A limit of 0 is used up by nothing."""
        return 100 * self.used / self.limit if self.limit else 100.0


def quota_usage(
    analytics: Analytics,
    catalog: Catalog,
    *,
    now: datetime,
    zone: tzinfo = UTC,
    filters: Filters = Filters(),  # noqa: B008 - frozen
    forecast: bool = True,
    model: ForecastModel = "seasonal",
) -> list[QuotaUsage]:
    """Every catalogued consumer against every limit of its plan, fullest first.

    Consumers without a plan, and plans without a quota, do not appear. A consumer without requests
    appears with 0 used. `model`: see forecast_models.py; raises QueryRefused where it is not there.
    """
    found: list[QuotaUsage] = []
    kinds: tuple[WindowKind, ...] = ("day", "week", "month")
    history: _History | None = None
    for kind in kinds:
        limited = _limited(catalog, kind)
        if not limited:
            continue
        if forecast and history is None:
            history = _History(analytics, filters, now, forecaster(model))
        for day, group in _by_anchor(catalog, limited, kind).items():
            window = window_of(kind, now, zone, anchor_day=day)
            found += _window_usage(analytics, catalog, group, kind, now, window, filters, history)
    return sorted(found, key=lambda u: (-u.percent, u.consumer, u.kind))


def _limited(catalog: Catalog, kind: WindowKind) -> dict[str, tuple[Plan, int]]:
    """Consumers with a limit for that kind of window."""
    limited = {}
    for consumer in catalog.consumers:
        plan = catalog.plan(consumer.plan)
        limit = None if plan is None else getattr(plan, f"quota_per_{kind}")
        if plan is not None and limit is not None:
            limited[consumer.name] = (plan, limit)
    return limited


def month_anchor(catalog: Catalog, consumer: str) -> int:
    """Day of the month a consumer's window begins: its own, else its plan's, else the first."""
    known = catalog.consumer(name=consumer)
    if known is None:
        return 1
    if known.month_anchor_day is not None:
        return known.month_anchor_day
    plan = catalog.plan(known.plan)
    return 1 if plan is None else plan.month_anchor_day


def _by_anchor(
    catalog: Catalog, limited: dict[str, tuple[Plan, int]], kind: WindowKind
) -> dict[int, dict[str, tuple[Plan, int]]]:
    """The consumers that share a window; days and weeks are the same for all."""
    groups: dict[int, dict[str, tuple[Plan, int]]] = {}
    for name, limit in limited.items():
        day = month_anchor(catalog, name) if kind == "month" else 1
        groups.setdefault(day, {})[name] = limit
    return groups


def _window_usage(
    analytics: Analytics,
    catalog: Catalog,
    limited: dict[str, tuple[Plan, int]],
    kind: WindowKind,
    now: datetime,
    window: TimeRange,
    filters: Filters,
    history: _History | None,
) -> list[QuotaUsage]:
    so_far = TimeRange(window.start, max(now, window.start + timedelta(microseconds=1)))
    tally = _tally(analytics.usage(so_far, filters, by=_BY, limit=_GROUPS))
    names = list(limited)
    used = np.array([_count(tally, n, limited[n][0], COUNTED) for n in names], dtype=np.float64)
    forecasts: Sequence[QuotaForecast | None] = [None] * len(names)
    if history is not None:
        limits = np.array([limited[n][1] for n in names], dtype=np.float64)
        forecasts = history.forecasts([(n, limited[n][0]) for n in names], used, limits, window)
    usages = []
    for index, name in enumerate(names):
        plan, limit = limited[name]
        consumer = catalog.consumer(name=name)
        usages.append(
            QuotaUsage(
                consumer=name,
                group=None if consumer is None else consumer.group,
                plan=plan.name,
                product=plan.product,
                kind=kind,
                window=window,
                limit=limit,
                used=int(used[index]),
                refused=_count(tally, name, plan, ("rate_limited", "quota_exceeded")),
                forecast=forecasts[index],
            )
        )
    return usages


def counted_requests(
    analytics: Analytics, plans: Mapping[str, Plan], window: TimeRange, filters: Filters
) -> dict[str, int]:
    """Requests of each consumer that count under its plan, over any range."""
    tally = _tally(analytics.usage(window, filters, by=_BY, limit=_GROUPS))
    return {name: _count(tally, name, plan, COUNTED) for name, plan in plans.items()}


Tally = dict[str, list[tuple[str | None, str, int]]]
"""Per consumer: (product, outcome, requests)."""


def _tally(rows: pl.DataFrame) -> Tally:
    tally: Tally = {}
    for consumer, product, outcome, requests in rows.select(
        "consumer", "product", pl.col("outcome").fill_null(UNKNOWN), "requests"
    ).iter_rows():
        tally.setdefault(consumer, []).append((product, outcome, requests))
    return tally


def _count(tally: Tally, consumer: str, plan: Plan, outcomes: Sequence[str]) -> int:
    """Requests of a consumer under its plan's product (any product when the plan names none).

    A request without a product cannot be told apart: it counts.
    """
    return sum(
        requests
        for product, outcome, requests in tally.get(consumer, ())
        if outcome in outcomes and (plan.product is None or product in (None, plan.product))
    )


def _counted(series: pl.DataFrame) -> pl.DataFrame:
    counted = pl.col("outcome").fill_null(UNKNOWN).is_in(COUNTED)
    return (
        series.filter(counted).group_by("time", "consumer", "product").agg(pl.col("requests").sum())
    )


class _History:
    """Hourly requests per consumer and product over the past weeks, read once for all windows."""

    def __init__(
        self, analytics: Analytics, filters: Filters, now: datetime, make: Forecaster
    ) -> None:
        self._now = now
        self._make = make
        self._end = floor_time(now, 3600)
        start = self._end - HISTORY
        self._hours = int(HISTORY.total_seconds() // 3600)
        hours = analytics.hour_by_hour(
            TimeRange(start, self._end),
            filters,
            by=_BY,
            interval_s=3600,
            name="counted against quotas",
            reduce=_counted,
        )
        hour = (pl.col("time") - pl.lit(start)).dt.total_hours().alias("hour")
        self._rows = pl.concat(hours).select("consumer", "product", "requests", hour)
        first = self._rows["hour"].min()
        # before the first request of all there was no measuring, rather than no traffic
        self._measured_from = self._hours if first is None else int(first)  # type: ignore[arg-type]

    def forecasts(
        self,
        consumers: Sequence[tuple[str, Plan]],
        used: Floats,
        limits: Floats,
        window: TimeRange,
    ) -> list[QuotaForecast]:
        past = self._matrix(consumers)
        begun_s = (self._now - self._end).total_seconds()
        hours = max(1, math.ceil((window.end - self._end).total_seconds() / 3600))
        ahead = self._make(past, hours)
        # the hour that has begun counts by its remaining share
        ahead.expected[:, 0] *= 1 - begun_s / 3600
        at_end = used + ahead.expected.sum(axis=1)
        remaining = limits - used
        central, early, late = (hours_until(ahead, remaining, sign) for sign in (0.0, 1.0, -1.0))
        errors = backtest_error(past, self._make)
        naive = backtest_error(past, repeat_last_week)
        return [
            QuotaForecast(
                exhausted_at=self._moment(central[i], window),
                earliest=self._moment(early[i], window),
                latest=self._moment(late[i], window),
                used_at_end=float(at_end[i]),
                error=None if np.isnan(errors[i]) else float(errors[i]),
                naive_error=None if np.isnan(naive[i]) else float(naive[i]),
            )
            for i in range(len(consumers))
        ]

    def _matrix(self, consumers: Sequence[tuple[str, Plan]]) -> Floats:
        matrix = np.zeros((len(consumers), self._hours))
        by_consumer = self._rows.filter(
            pl.col("consumer").is_in([name for name, _ in consumers])
        ).partition_by("consumer", as_dict=True)
        for index, (name, plan) in enumerate(consumers):
            rows = by_consumer.get((name,))
            if rows is None:
                continue
            if plan.product is not None:
                rows = rows.filter(pl.col("product").fill_null(plan.product) == plan.product)
            np.add.at(matrix[index], rows["hour"].to_numpy(), rows["requests"].to_numpy())
        return matrix[:, self._measured_from :]

    def _moment(self, hours: float, window: TimeRange) -> datetime | None:
        if not np.isfinite(hours):
            return None
        found = max(self._now, self._end + timedelta(hours=float(hours)))
        return found if found < window.end else None
