"""Moments as people type them into a form: '' (now), '4h', '18:30', '2026-11-28 06:00'. Pure.

Wall times are read in the reader's zone (format.zone), as everything on the screen is shown in it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from alerting.errors import AlertingError
from alerting.time_intervals import TimeInterval, parse_times, parse_weekdays
from alerting.yaml_section import parse_duration
from dashboards import format as fmt

HOW = "Write 4h, 2d, 18:30 or 2026-11-28 06:00."

AHEAD_S_MAX = 10 * 366 * 86_400.0
"""The longest length that is one: a mistyped digit does not plan for centuries."""


class TimeUnread(AlertingError):
    """A time in a form that cannot be read; the message says which."""


def read_moment(text: str, *, after: float) -> float | None:
    """Epoch seconds. '' is None; '4h' counts from `after`; '18:30' is the next one after it.

    Raises TimeUnread.
    """
    text = " ".join(text.replace("T", " ").split())
    if not text or text == "now":
        return None
    length_s = parse_duration(text)
    if length_s is not None and length_s < AHEAD_S_MAX:
        return after + length_s
    base = fmt.local(datetime.fromtimestamp(after, fmt.zone()))
    try:
        if " " not in text and ":" in text:
            hour, minute = (int(part) for part in text.split(":"))
            found = base.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return (found if found > base else found + timedelta(days=1)).timestamp()
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            found = found.replace(tzinfo=fmt.zone())
        return found.timestamp()
    except (ValueError, OverflowError) as err:
        raise TimeUnread(f"{text[:40]!r} is no time.", HOW) from err


def read_interval(name: str, days: str, hours: str) -> TimeInterval:
    """'saturday, sunday' and '22:00-06:00' in the reader's zone; '' = every day, all day.

    Raises TimeUnread.
    """
    weekdays: set[int] = set()
    for part in filter(None, (p.strip() for p in days.split(","))):
        found = parse_weekdays(part)
        if found is None:
            raise TimeUnread(f"{part[:40]!r} names no days.", "Write saturday or monday:friday.")
        weekdays |= found
    spans = []
    for part in filter(None, (p.strip() for p in hours.split(","))):
        span = parse_times(part)
        if span is None:
            raise TimeUnread(f"{part[:40]!r} is no time of day.", "Write 22:00-06:00.")
        spans.append(span)
    return TimeInterval(name, frozenset(weekdays), tuple(spans), zone=fmt.zone().key)
