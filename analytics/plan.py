"""Which tables answer a question about a range: as coarse as possible, exact to the microsecond.

    [10:59:30 ........................................................ 3 days later 14:20:10)
     raw | minute | hour ... hour | day | day | hour ... hour | minute ... minute | raw

Every segment but the raw ones begins and ends on a boundary of its tier, so nothing is cut and
nothing is counted twice. A series with an interval uses tiers whose step divides the interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from analytics.timerange import TimeRange

Tier = Literal["raw", "minute", "hour", "day"]

TIER_SECONDS: dict[Tier, int] = {"day": 86_400, "hour": 3_600, "minute": 60, "raw": 0}
"""Step of each tier, coarsest first; raw has none."""

FINER: dict[Tier, Tier] = {"day": "hour", "hour": "minute", "minute": "raw"}
"""What each tier is made from."""

MINUTES_KEPT = timedelta(days=6)
HOURS_KEPT = timedelta(days=80)
"""Edges older than this are widened to whole hours or days: finer tiers may already be gone (their
retention is 7 and 90 days by default; a margin is kept)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Segment:
    """Half-open span that one tier answers."""

    tier: Tier
    start: datetime
    end: datetime


def floor_time(moment: datetime, seconds: int) -> datetime:
    """Latest multiple of `seconds` (of UTC, from 1970) at or before a moment."""
    step = timedelta(seconds=seconds)
    return _EPOCH + (moment - _EPOCH) // step * step


def ceil_time(moment: datetime, seconds: int) -> datetime:
    floored = floor_time(moment, seconds)
    return floored if floored == moment else floored + timedelta(seconds=seconds)


def allowed_tiers(interval_s: int | None) -> tuple[Tier, ...]:
    """Tiers a series of this interval may use, coarsest first; always ends with raw."""
    return tuple(
        tier
        for tier, step in TIER_SECONDS.items()
        if interval_s is None or step == 0 or interval_s % step == 0
    )


def plan_segments(
    time_range: TimeRange, *, now: datetime, interval_s: int | None = None
) -> list[Segment]:
    """Segments in order of time, together exactly the range (old edges widened)."""
    start = _widen(time_range.start, now, up=False)
    end = _widen(time_range.end, now, up=True)
    return _split(start, end, allowed_tiers(interval_s))


def kept_start(moment: datetime, now: datetime) -> datetime:
    """The start of a range, widened as `plan_segments` would: ranges that share a bound then still
    touch without an overlap."""
    return _widen(moment, now, up=False)


def _widen(moment: datetime, now: datetime, *, up: bool) -> datetime:
    age = now - moment
    if age <= MINUTES_KEPT:
        return moment
    step = TIER_SECONDS["hour" if age <= HOURS_KEPT else "day"]
    return ceil_time(moment, step) if up else floor_time(moment, step)


def _split(start: datetime, end: datetime, tiers: Sequence[Tier]) -> list[Segment]:
    if start >= end:
        return []
    tier, finer = tiers[0], tiers[1:]
    if tier == "raw":
        return [Segment("raw", start, end)]
    step = TIER_SECONDS[tier]
    inner_start, inner_end = ceil_time(start, step), floor_time(end, step)
    if inner_start >= inner_end:
        return _split(start, end, finer)
    return [
        *_split(start, inner_start, finer),
        Segment(tier, inner_start, inner_end),
        *_split(inner_end, end, finer),
    ]
