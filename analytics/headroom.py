"""How near consumers come to their rate limits: the busiest minute and second against the plan.

Every request that reached the gateway counts, refused ones too: a limit is met by what is sent. The
peak per minute is of whole UTC minutes, from rollups; a limiter with a sliding window may see up to
twice as many in 60 s. The peak per second is read from raw requests, over a range of at most
`limits.RAW_PEAK_HOURS_MAX`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from analytics.filters import Filters
from analytics.limits import RAW_PEAK_HOURS_MAX
from analytics.policy import Params
from analytics.query import Analytics
from analytics.timerange import TimeRange
from storage.catalog import Catalog, Plan

_GROUPS = 1_000_000
_MINUTE_RANGE_MAX = timedelta(days=6)


@dataclass(frozen=True, slots=True)
class Peak:
    """The busiest interval of a consumer."""

    requests: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Headroom:
    consumer: str
    plan: str
    limit_per_minute: int | None
    limit_per_second: int | None
    minute: Peak | None
    """None = no request in the range."""
    second: Peak | None
    """None = no request, or not looked at (no such limit)."""
    minutes_over: int
    """Minutes with more requests than the limit."""
    refused: int
    """Requests a rate limit refused in the range."""

    @property
    def share(self) -> float:
        """Of the limit that is used at the peak, the nearer one of both; 1 = at the limit."""
        pairs = ((self.minute, self.limit_per_minute), (self.second, self.limit_per_second))
        known = [(peak.requests, limit) for peak, limit in pairs if peak and limit is not None]
        return max((n / limit if limit else float("inf") for n, limit in known), default=0.0)


def rate_headroom(
    analytics: Analytics,
    catalog: Catalog,
    time_range: TimeRange,
    filters: Filters = Filters(),  # noqa: B008 - frozen
) -> list[Headroom]:
    """Every consumer whose plan has a rate limit, nearest to it first.

    Only the last 6 days of a longer range are looked at for minutes, as they are kept no longer.
    """
    limited = _limited(catalog)
    if not limited:
        return []
    recent = max(time_range.start, time_range.end - _MINUTE_RANGE_MAX)
    window = TimeRange(recent, time_range.end)
    minutes = _peaks(analytics, window, filters, limited, 60)
    seconds: dict[str, Peak] = {}
    if any(plan.rate_limit_per_second is not None for plan in limited.values()):
        raw_from = max(recent, time_range.end - timedelta(hours=RAW_PEAK_HOURS_MAX))
        seconds = _second_peaks(analytics, TimeRange(raw_from, time_range.end), filters)
    refused = _refused(analytics, window, filters)
    found = []
    for name, plan in limited.items():
        peak, over = minutes.get(name, (None, 0))
        found.append(
            Headroom(
                consumer=name,
                plan=plan.name,
                limit_per_minute=plan.rate_limit_per_minute,
                limit_per_second=plan.rate_limit_per_second,
                minute=peak,
                second=seconds.get(name) if plan.rate_limit_per_second is not None else None,
                minutes_over=over,
                refused=refused.get(name, 0),
            )
        )
    return sorted(found, key=lambda h: (-h.share, h.consumer))


def _limited(catalog: Catalog) -> dict[str, Plan]:
    plans = ((c.name, catalog.plan(c.plan)) for c in catalog.consumers)
    return {
        name: plan
        for name, plan in plans
        if plan is not None
        and (plan.rate_limit_per_minute is not None or plan.rate_limit_per_second is not None)
    }


def _peaks(
    analytics: Analytics,
    window: TimeRange,
    filters: Filters,
    limited: Mapping[str, Plan],
    interval_s: int,
) -> dict[str, tuple[Peak, int]]:
    """Per consumer: its busiest interval (the first of equals) and how many are over the limit."""
    limits = pl.DataFrame(
        {
            "consumer": list(limited),
            "limit": [plan.rate_limit_per_minute for plan in limited.values()],
        },
        schema={"consumer": pl.String, "limit": pl.Int64},
    )

    def peaks(series: pl.DataFrame) -> pl.DataFrame:
        return (
            series.join(limits, on="consumer")
            .sort("time")
            .group_by("consumer")
            .agg(
                pl.col("requests").max().alias("peak"),
                pl.col("time").get(pl.col("requests").arg_max()).alias("at"),
                (pl.col("requests") > pl.col("limit")).sum().alias("over"),
            )
        )

    hours = analytics.hour_by_hour(
        window,
        filters,
        by=("consumer",),
        interval_s=interval_s,
        name=("peaks", tuple(limits.rows())),
        reduce=peaks,
    )
    rows = (
        pl.concat(hours)
        .sort("at")
        .group_by("consumer")
        .agg(
            pl.col("peak").max(),
            pl.col("at").get(pl.col("peak").arg_max()),
            pl.col("over").sum(),
        )
    )
    return {
        name: (Peak(int(peak), at), int(over))
        for name, peak, at, over in rows.select("consumer", "peak", "at", "over").iter_rows()
    }


def _second_peaks(analytics: Analytics, window: TimeRange, filters: Filters) -> dict[str, Peak]:
    params = Params()
    where = analytics.where_raw(window, filters, params)
    table = analytics.session.query(
        "SELECT consumer, max(requests) AS peak, "  # noqa: S608 - bound values
        "make_timestamptz(min_by(second, (-requests, second)) * 1000000) AS at FROM ("
        "SELECT consumer, epoch_us(time) // 1000000 AS second, count(*) AS requests FROM requests "
        f"WHERE {where} AND consumer IS NOT NULL GROUP BY ALL) GROUP BY consumer",
        params.values,
        start=window.start,
        end=window.end,
    )
    return {row["consumer"]: Peak(row["peak"], row["at"]) for row in table.to_pylist()}


def _refused(analytics: Analytics, window: TimeRange, filters: Filters) -> dict[str, int]:
    rows = analytics.measure("rate_limited", window, filters, by=("consumer",))
    return {name: int(value) for name, value in rows.select("consumer", "value").iter_rows()}
