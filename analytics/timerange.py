"""A span of time to ask about, and the words people use for it.

Everything is UTC inside; a range is half-open: `start` belongs to it, `end` does not, so that
neighbouring ranges neither overlap nor leave a gap.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from analytics.errors import InvalidTimeRange
from analytics.limits import RANGE_DAYS_MAX

_UNIT_SECONDS = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86_400,
    "day": 86_400,
    "w": 604_800,
    "week": 604_800,
}
_RELATIVE = re.compile(r"now(?:-(\d{1,6})(s|m|h|d|w))?", re.ASCII)
_LAST = re.compile(
    r"(?:last|past)\s+(\d{1,6})?\s*(sec|second|min|minute|hour|day|week|s|m|h|d|w)s?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Half-open span [start, end), both aware; kept in UTC. Empty or reversed is refused."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise InvalidTimeRange("times of a range need a time zone; give them in UTC")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))
        if self.start >= self.end:
            raise InvalidTimeRange("the range is empty: its start must come before its end")
        if self.end - self.start > timedelta(days=RANGE_DAYS_MAX):
            raise InvalidTimeRange(f"the range is longer than {RANGE_DAYS_MAX} days; ask for less")

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    def previous(self) -> TimeRange:
        """The range of equal length that ends where this one starts."""
        return self.shifted(self.start - self.end)

    def shifted(self, by: timedelta) -> TimeRange:
        """The same length of time, moved: `shifted(timedelta(weeks=-1))` is a week earlier."""
        return TimeRange(self.start + by, self.end + by)

    @classmethod
    def last(cls, length: timedelta, *, now: datetime | None = None) -> TimeRange:
        """The span of `length` that ends now."""
        end = now or datetime.now(UTC)
        return cls(end - length, end)


def parse_time(text: str, *, now: datetime) -> datetime:
    """Read one moment: 'now', 'now-15m', an ISO 8601 time (no zone = UTC), or epoch seconds.

    Raises InvalidTimeRange with the offending text cut to 40 characters.
    """
    text = text.strip()
    if match := _RELATIVE.fullmatch(text.lower()):
        count, unit = match.groups()
        return now - timedelta(seconds=int(count) * _UNIT_SECONDS[unit]) if count else now
    try:
        if re.fullmatch(r"\d{9,11}(\.\d{1,6})?", text, re.ASCII):
            return datetime.fromtimestamp(float(text), UTC)
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError) as err:
        raise InvalidTimeRange(
            f"cannot read {text[:40]!r} as a time; use now-1h, an ISO 8601 time or epoch seconds"
        ) from err


def parse_range(
    start: str | None = None, end: str | None = None, *, now: datetime | None = None
) -> TimeRange:
    """Read a range: `parse_range('last 7 days')`, `parse_range('now-1h', 'now')`, ISO times.

    A missing start is one hour before the end; a missing end is now. 'today' and 'yesterday' are
    UTC days. Raises InvalidTimeRange.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    if start and end is None and (named := _named_range(start.strip().lower(), now)):
        return named
    end_at = parse_time(end, now=now) if end else now
    start_at = parse_time(start, now=now) if start else end_at - timedelta(hours=1)
    return TimeRange(start_at, end_at)


def _named_range(words: str, now: datetime) -> TimeRange | None:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if words == "today" and now > midnight:
        return TimeRange(midnight, now)
    if words == "yesterday":
        return TimeRange(midnight - timedelta(days=1), midnight)
    if match := _LAST.fullmatch(words):
        seconds = int(match[1] or 1) * _UNIT_SECONDS[match[2]]
        if not 0 < seconds <= RANGE_DAYS_MAX * 86_400:
            raise InvalidTimeRange(f"a range has between 1 second and {RANGE_DAYS_MAX} days")
        return TimeRange(now - timedelta(seconds=seconds), now)
    return None


def fitting_interval(time_range: TimeRange, *, points: int = 120) -> int:
    """Interval in seconds that draws the range with about `points` points; from a round ladder."""
    wanted = time_range.seconds / points
    for step in (10, 60, 120, 300, 600, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400):
        if step >= wanted:
            return step
    return 86_400 * 7
