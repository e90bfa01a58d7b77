"""Calendar windows in a time zone: the day, week (from Monday) or month a moment lies in.

Bounds are local midnights turned into UTC, so a day may have 23 or 25 hours, and a month the number
of hours its days really had.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal

from analytics.errors import QueryRefused
from analytics.limits import CALENDAR_WINDOWS_MAX
from analytics.timerange import TimeRange

WindowKind = Literal["day", "week", "month"]


def window_of(
    kind: WindowKind, moment: datetime, zone: tzinfo = UTC, *, anchor_day: int = 1
) -> TimeRange:
    """The whole window that holds a moment.

    `anchor_day` (1 to 31): the day a month begins; the last day of a month that is shorter.
    """
    today = moment.astimezone(zone).date()
    if kind == "day":
        first, after = today, today + timedelta(days=1)
    elif kind == "week":
        first = today - timedelta(days=today.weekday())
        after = first + timedelta(days=7)
    else:
        first = _anchored(today.replace(day=1), anchor_day)
        if today < first:
            first = _anchored((today.replace(day=1) - timedelta(days=1)).replace(day=1), anchor_day)
        after = _anchored((first.replace(day=1) + timedelta(days=32)).replace(day=1), anchor_day)
    return TimeRange(_midnight(first, zone), _midnight(after, zone))


def windows_of(kind: WindowKind, span: TimeRange, zone: tzinfo = UTC) -> list[TimeRange]:
    """Every window that the range touches, in order. Raises QueryRefused for too many."""
    found = [window_of(kind, span.start, zone)]
    while found[-1].end < span.end:
        if len(found) >= CALENDAR_WINDOWS_MAX:
            raise QueryRefused(f"the range has more than {CALENDAR_WINDOWS_MAX} {kind}s")
        found.append(window_of(kind, found[-1].end, zone))
    return found


def _anchored(month: date, day: int) -> date:
    """The given day of a month (its first day), or its last where it is shorter."""
    last = (month + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return month.replace(day=min(day, last.day))


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
