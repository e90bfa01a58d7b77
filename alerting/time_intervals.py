"""Recurring times, in a time zone: 'weekdays 09:00-17:00 Europe/Berlin'. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class TimeInterval:
    """Days and hours of the wall clock in a zone. Empty = no limit in that respect."""

    name: str
    weekdays: frozenset[int] = frozenset()
    """0 = Monday."""
    minutes: tuple[tuple[int, int], ...] = ()
    """Half-open minutes of the day; an end before its start runs over midnight."""
    days_of_month: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    zone: str = "UTC"

    def contains(self, at: float) -> bool:
        """Whether epoch second `at` lies in it. Nights belong to the day they end on."""
        local = datetime.fromtimestamp(at, ZoneInfo(self.zone))
        if self.weekdays and local.weekday() not in self.weekdays:
            return False
        if self.days_of_month and local.day not in self.days_of_month:
            return False
        if self.months and local.month not in self.months:
            return False
        if not self.minutes:
            return True
        minute = local.hour * 60 + local.minute
        return any(
            start <= minute < end if start < end else (minute >= start or minute < end)
            for start, end in self.minutes
        )


def parse_times(text: str) -> tuple[int, int] | None:
    """Minutes of '22:00-06:00'; '24:00' is the end of the day. None when it is not that."""
    start, dash, end = text.replace(" ", "").partition("-")
    first, last = _minute(start), _minute(end)
    if not dash or first is None or last is None or first == last or first == 1440:
        return None
    return first, last


def parse_weekdays(text: str) -> frozenset[int] | None:
    """'monday', 'monday:friday', 'saturday'. None when it names no days."""
    first, colon, last = text.lower().partition(":")
    if first not in WEEKDAYS or (colon and last not in WEEKDAYS):
        return None
    start, end = WEEKDAYS.index(first), WEEKDAYS.index(last) if colon else WEEKDAYS.index(first)
    length = (end - start) % 7 + 1
    return frozenset((start + i) % 7 for i in range(length))


def _minute(text: str) -> int | None:
    hour, colon, minute = text.partition(":")
    if not (colon and hour.isascii() and hour.isdigit() and minute.isascii() and minute.isdigit()):
        return None
    total = int(hour) * 60 + int(minute)
    return total if int(minute) < 60 and total <= 1440 else None
