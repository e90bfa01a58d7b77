"""How numbers and periods read in reports. None = nothing was measured, and says so."""

from __future__ import annotations

from datetime import timedelta, tzinfo

from analytics.timerange import TimeRange
from analytics.windows import WindowKind

NOT_MEASURED = "not measured"


def count_text(value: int) -> str:
    return f"{value:,}"


def percent_text(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.2%}"


def ms_text(value: float | None) -> str:
    if value is None:
        return NOT_MEASURED
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"


def bytes_text(value: float | None) -> str:
    if value is None:
        return NOT_MEASURED
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def change_text(now: float, before: float) -> str:
    return "none before" if not before else f"{now / before - 1:+,.1%}"


def growth_text(growth: float | None) -> str:
    return "new" if growth is None else f"{growth:+,.1%}"


def period_text(period: TimeRange, kind: WindowKind, zone: tzinfo) -> str:
    """'2026-11-19', '2026-11-16 to 2026-11-22' or '2026-11'."""
    first = period.start.astimezone(zone)
    last = (period.end - timedelta(microseconds=1)).astimezone(zone)
    if kind == "day":
        return f"{first:%Y-%m-%d}"
    whole_month = first.day == 1
    return f"{first:%Y-%m}" if kind == "month" and whole_month else f"{first:%F} to {last:%F}"


def one_line(text: str, chars_max: int = 200) -> str:
    """For a subject: a line break in it would begin another header."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:chars_max]
