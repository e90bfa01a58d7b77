"""Consumers over time: who is active, who is new, who came back, who went away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta, tzinfo

import polars as pl

from analytics.filters import Filters
from analytics.query import Analytics
from analytics.timerange import TimeRange
from analytics.windows import WindowKind, windows_of

_MANY = 1_000_000


@dataclass(frozen=True, slots=True)
class ConsumerChanges:
    """A range against the equal range before it, by name; exact, since names are counted."""

    active: tuple[str, ...]
    """Sent at least one request in the range."""
    new: tuple[str, ...]
    """Active, and never seen before within the look-back."""
    returning: tuple[str, ...]
    """Active and not in the range before, but seen earlier."""
    retained: tuple[str, ...]
    """Active in both ranges."""
    lost: tuple[str, ...]
    """Active in the range before, not in this one."""

    @property
    def retention(self) -> float | None:
        """Share of the earlier range's consumers that stayed; None when there were none."""
        before = len(self.retained) + len(self.lost)
        return len(self.retained) / before if before else None


def consumer_changes(
    analytics: Analytics,
    time_range: TimeRange,
    filters: Filters = Filters(),  # noqa: B008 - frozen
    *,
    look_back: timedelta = timedelta(days=90),
) -> ConsumerChanges:
    """Who is new, returning, retained and lost. `look_back` bounds what 'never seen' means."""
    before = time_range.previous()
    active = _names(analytics, time_range, filters)
    earlier = _names(analytics, before, filters)
    ever = _names(analytics, TimeRange(before.start - look_back, before.start), filters)
    return ConsumerChanges(
        active=tuple(sorted(active)),
        new=tuple(sorted(active - earlier - ever)),
        returning=tuple(sorted((active - earlier) & ever)),
        retained=tuple(sorted(active & earlier)),
        lost=tuple(sorted(earlier - active)),
    )


def active_consumers(
    analytics: Analytics,
    time_range: TimeRange,
    filters: Filters = Filters(),  # noqa: B008 - frozen
    *,
    interval_s: int = 86_400,
) -> pl.DataFrame:
    """Distinct named consumers per interval: time, consumers; only intervals with requests."""
    rows = analytics.usage(
        time_range, filters, by=("consumer",), interval_s=interval_s, fill=False, limit=_MANY
    )
    named = pl.col("consumer").drop_nulls().n_unique().cast(pl.Int64).alias("consumers")
    return rows.group_by("time").agg(named).sort("time")


def active_by_calendar(
    analytics: Analytics,
    time_range: TimeRange,
    filters: Filters = Filters(),  # noqa: B008 - frozen
    *,
    kind: WindowKind,
    zone: tzinfo = UTC,
) -> pl.DataFrame:
    """Distinct named consumers per calendar day, week or month of a zone: time (its start, UTC),
    consumers. Whole windows, those that the range touches; exact; only windows with requests."""
    windows = windows_of(kind, time_range, zone)
    cuts = [*(window.start for window in windows), windows[-1].end]
    rows = analytics.rings("usage", cuts, filters, by=("consumer",), sums=("requests",))
    starts = pl.DataFrame(
        {"ring": range(1, len(windows) + 1), "time": [w.start for w in windows]},
        schema={"ring": pl.Int32, "time": pl.Datetime("us", "UTC")},
    )
    named = pl.col("consumer").drop_nulls().n_unique().cast(pl.Int64).alias("consumers")
    counted = rows.with_columns(pl.col("ring").cast(pl.Int32)).group_by("ring").agg(named)
    return counted.join(starts, on="ring").sort("time").select("time", "consumers")


def cohorts(
    analytics: Analytics,
    time_range: TimeRange,
    filters: Filters = Filters(),  # noqa: B008 - frozen
) -> pl.DataFrame:
    """Weekly retention: cohort (first week seen in the range), week (0, 1, ...), consumers, share.

    Week 0 of every cohort has share 1. Consumers older than the range count from its first week.
    """
    week = 604_800
    rows = analytics.usage(
        time_range, filters, by=("consumer",), interval_s=week, fill=False, limit=_MANY
    ).drop_nulls("consumer")
    seen = rows.select("consumer", "time").unique()
    firsts = seen.group_by("consumer").agg(pl.col("time").min().alias("cohort"))
    since = (pl.col("time") - pl.col("cohort")).dt.total_seconds() // week
    counted = (
        seen.join(firsts, on="consumer")
        .group_by("cohort", since.alias("week"))
        .agg(pl.col("consumer").n_unique().cast(pl.Int64).alias("consumers"))
        .sort("cohort", "week")
    )
    return counted.with_columns(
        (pl.col("consumers") / pl.col("consumers").first().over("cohort")).alias("share")
    )


def _names(analytics: Analytics, time_range: TimeRange, filters: Filters) -> set[str]:
    rows = analytics.usage(time_range, filters, by=("consumer",), limit=_MANY)
    return set(rows["consumer"].drop_nulls())
