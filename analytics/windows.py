"""Calendar windows in a time zone: the day, week (from Monday) or month a moment lies in.

Bounds are local midnights turned into UTC, so a day may have 23 or 25 hours, and a month the number
of hours its days really had.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal

from analytics.timerange import TimeRange

WindowKind = Literal["day", "week", "month"]


def window_of(kind: WindowKind, moment: datetime, zone: tzinfo = UTC) -> TimeRange:
    """The whole window that holds a moment."""
    today = moment.astimezone(zone).date()
    if kind == "day":
        first, after = today, today + timedelta(days=1)
    elif kind == "week":
        first = today - timedelta(days=today.weekday())
        after = first + timedelta(days=7)
    else:
        first = today.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
    return TimeRange(_midnight(first, zone), _midnight(after, zone))


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
