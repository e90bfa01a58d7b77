"""Which tables answer a question about a range: as coarse as possible, exact to the microsecond.

    [10:59:30 ........................................................ 3 days later 14:20:10)
     raw | minute | hour ... hour | day | day | hour ... hour | minute ... minute | raw

Every segment but the raw ones begins and ends on a boundary of its tier, so nothing is cut and
nothing is counted twice. A series with an interval uses tiers whose step divides the interval.
Where a tier's retention has taken its rows, raw requests answer as long as they are kept; beyond
that the range is widened to whole hours or days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from analytics.timerange import TimeRange

Tier = Literal["raw", "minute", "quarter", "hour", "day"]

TIER_SECONDS: dict[Tier, int] = {
    "day": 86_400, "hour": 3_600, "quarter": 900, "minute": 60, "raw": 0,
}  # fmt: skip
"""Step of each tier, coarsest first; raw has none."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How long rows are kept, by their own time. None = for ever."""

    minute: timedelta | None = timedelta(days=6)
    hour: timedelta | None = timedelta(days=80)
    raw: Callable[[datetime], bool] = lambda _moment: False
    """Whether all raw requests of a moment's UTC day are still there."""

    def tier(self, tier: Tier, age: timedelta) -> bool:
        limit = {"minute": self.minute, "quarter": self.minute, "hour": self.hour}.get(tier)
        return limit is None or age <= limit


SHORTEST = Kept()
"""The usual retention of minutes and hours (7 and 90 days) with a margin, and no raw rows."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = timedelta(microseconds=1)


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


def allowed_tiers(
    interval_s: int | None, tiers: Sequence[Tier] = tuple(TIER_SECONDS)
) -> tuple[Tier, ...]:
    """Of some tiers (coarsest first) those a series of this interval may use; always with raw.

    Quarters only where hours are too long: they would not make anything shorter beside them."""
    found = [
        tier
        for tier in tiers
        if interval_s is None or tier == "raw" or interval_s % TIER_SECONDS[tier] == 0
    ]
    if "hour" in found and "quarter" in found:
        found.remove("quarter")
    return tuple(found)


def plan_segments(
    time_range: TimeRange,
    *,
    now: datetime,
    interval_s: int | None = None,
    tiers: Sequence[Tier] = tuple(TIER_SECONDS),
    kept: Kept = SHORTEST,
) -> list[Segment]:
    """Segments in order of time, together exactly the range (old edges widened where nothing finer
    is kept)."""
    if tuple(tiers) == ("raw",):
        return [Segment("raw", time_range.start, time_range.end)]
    start = _widen(time_range.start, now, kept, up=False)
    end = _widen(time_range.end, now, kept, up=True)
    planned = _split(start, end, allowed_tiers(interval_s, tiers))
    return _joined(part for segment in planned for part in _where_kept(segment, now, kept))


def kept_start(moment: datetime, now: datetime, kept: Kept = SHORTEST) -> datetime:
    """The start of a range, widened as `plan_segments` would: ranges that share a bound then still
    touch without an overlap."""
    return _widen(moment, now, kept, up=False)


def _widen(moment: datetime, now: datetime, kept: Kept, *, up: bool) -> datetime:
    age = now - floor_time(moment, 3600)
    steps: tuple[tuple[int, Tier], ...] = ((3600, "minute"), (86_400, "hour"))
    for step, tier in steps:
        if moment == floor_time(moment, step):
            continue
        if kept.tier(tier, age) or kept.raw(moment):
            return moment
        moment = ceil_time(moment, step) if up else floor_time(moment, step)
    return moment


def _where_kept(segment: Segment, now: datetime, kept: Kept) -> Iterator[Segment]:
    """The segment; of hours that its tier has lost, what raw still has from there."""
    moment = segment.start
    while moment < segment.end:
        if kept.tier(segment.tier, now - floor_time(moment, 3600)):
            yield Segment(segment.tier, moment, segment.end)
            return
        until = min(ceil_time(moment + _INSTANT, 3600), segment.end)
        yield Segment("raw" if kept.raw(moment) else segment.tier, moment, until)
        moment = until


def _joined(segments: Iterable[Segment]) -> list[Segment]:
    joined: list[Segment] = []
    for segment in segments:
        if joined and joined[-1].tier == segment.tier and joined[-1].end == segment.start:
            joined[-1] = Segment(segment.tier, joined[-1].start, segment.end)
        else:
            joined.append(segment)
    return joined


def _split(start: datetime, end: datetime, tiers: Sequence[Tier]) -> list[Segment]:
    if start >= end:
        return []
    tier, finer = tiers[0], tiers[1:]
    if tier == "raw":
        return [Segment("raw", start, end)]
    # quarters by whole hours, as files are: the hours that a range cuts are read by the minute
    step = max(TIER_SECONDS[tier], 3600 if tier == "quarter" else 0)
    inner_start, inner_end = ceil_time(start, step), floor_time(end, step)
    if inner_start >= inner_end:
        return _split(start, end, finer)
    return [
        *_split(start, inner_start, finer),
        Segment(tier, inner_start, inner_end),
        *_split(inner_end, end, finer),
    ]
