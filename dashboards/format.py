"""Numbers as people read them. One number, one look, everywhere.

None and NaN are '–': not measured, which is not zero. The exact value travels beside the text in
`data-value` attributes (see `exact`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from decimal import Decimal
from urllib.parse import quote
from zoneinfo import ZoneInfo, available_timezones

MISSING = "–"
THIN = "\u202f"
"""Narrow no-break space between number and unit, so that a value never breaks over two lines."""

Formatter = Callable[[float | None], str]

_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def exact(value: float | int | None) -> str:
    """The number itself, for `data-value`: '' where nothing was measured."""
    if is_missing(value):
        return ""
    return repr(value)


def is_missing(value: float | None) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _significant(value: float, digits: int = 3) -> str:
    """Three significant digits, no exponent, no trailing zeros: 1.234 -> 1.23, 12.30 -> 12.3."""
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    decimals = max(0, digits - 1 - magnitude)
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(value: float | None) -> str:
    """999 -> '999', 1234 -> '1.23k', 5_600_000 -> '5.6M'."""
    if value is None or is_missing(value):
        return MISSING
    for factor, suffix in _SI:
        # 999.5 of the smaller unit would print as 1000 of it: give it to the larger one.
        if abs(value) >= factor * 0.9995:
            return _significant(value / factor) + suffix
    return _significant(value) if value != int(value) else str(int(value))


def whole(value: float | None) -> str:
    """Every digit, grouped: 1234567 -> '1 234 567' (narrow spaces)."""
    if value is None or is_missing(value):
        return MISSING
    return f"{round(value):,}".replace(",", THIN)


def counted(value: int, what: str) -> str:
    """'1 API', '12 APIs': a count with its noun, whose plural takes an s."""
    return f"{whole(value)} {what}{'' if value == 1 else 's'}"


def milliseconds(value: float | None) -> str:
    """0.4213 -> '0.42 ms', 12.34 -> '12.3 ms', 1234 -> '1.23 s', 90_000 -> '1.5 min'."""
    if value is None or is_missing(value):
        return MISSING
    if value == 0:
        return f"0{THIN}ms"
    size = abs(value)
    if size < 0.001:
        return f"{_significant(value * 1e6, 2)}{THIN}ns"
    if size < 1:
        return f"{_significant(value, 2)}{THIN}ms"
    if size < 999.5:
        return f"{_significant(value)}{THIN}ms"
    if size < 59_950:
        return f"{_significant(value / 1000)}{THIN}s"
    if size < 3_597_000:
        return f"{_significant(value / 60_000)}{THIN}min"
    return f"{_significant(value / 3_600_000)}{THIN}h"


def percent(value: float | None) -> str:
    """A share from 0 to 1: 0.045 -> '4.5 %'. What is above 0 never shows as 0."""
    if value is None or is_missing(value):
        return MISSING
    points = value * 100
    if points == 0:
        return f"0{THIN}%"
    if 0 < abs(points) < 0.01:
        return f"{'<' if points > 0 else '>-'}0.01{THIN}%"
    if 99.995 <= points < 100:
        return f">99.99{THIN}%"
    return f"{_significant(points, 2 if abs(points) < 10 else 3)}{THIN}%"


def rate(value: float | None) -> str:
    """Events per second: 12.34 -> '12.3 /s'."""
    return MISSING if is_missing(value) else f"{count(value)}{THIN}/s"


def bytes_size(value: float | None) -> str:
    """Decimal units: 1500 -> '1.5 kB'."""
    if value is None or is_missing(value):
        return MISSING
    for factor, suffix in _SI:
        if abs(value) >= factor * 0.9995:
            return f"{_significant(value / factor)}{THIN}{suffix}B"
    return f"{int(value)}{THIN}B"


def money(amount: Decimal, currency: str) -> str:
    """'1,234.50 EUR'; cents only where they matter."""
    digits = 0 if amount >= 1000 else 2
    return f"{amount:,.{digits}f}{THIN}{currency}"


def of_unit(unit: str | None, *, share: bool = False) -> Formatter:
    """How numbers of a metric's unit (UCUM, as OTLP gives it) are written: seconds as times, By as
    sizes, '{request}/s' as rates; `share`: of the unit 1, a part of the whole. What is unknown
    follows the number."""
    word = unit or ""
    factor_ms = {"s": 1e3, "ms": 1.0, "us": 1e-3, "ns": 1e-6}.get(word)
    if factor_ms is not None:
        return lambda value: milliseconds(None if value is None else value * factor_ms)
    if word in ("By", "bytes"):
        return bytes_size
    if word in ("1", "") or word.startswith("{"):
        return percent if share else count
    return lambda value: (
        count(value) + (f"{THIN}{plain(word, 12)}" if not is_missing(value) else "")
    )


def change(value: float | None) -> str:
    """Growth as a share: 0.12 -> '+12 %'; from 10x up as a factor: 11.0 -> '×12'."""
    if value is None or is_missing(value):
        return MISSING
    if math.isinf(value):
        return "new"
    if value >= 9.95:
        return f"×{count(value + 1)}"
    points = value * 100
    if abs(points) < 0.5:
        return f"±0{THIN}%"
    return f"{points:+.0f}{THIN}%".replace("-", "−")


def ago(then: datetime | None, now: datetime) -> str:
    """'12 s ago', '4 min ago', '3 h ago', '2 d ago'; 'just now' under two seconds or ahead."""
    if then is None:
        return "never"
    seconds = (now - then).total_seconds()
    if seconds < 2:
        return "just now"
    return f"{span(seconds)} ago"


def span(seconds: float | None) -> str:
    """A length of time in its largest unit: 12 -> '12 s', 3600 -> '1 h'."""
    if seconds is None or is_missing(seconds):
        return MISSING
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)}{THIN}{unit}"
    return f"{int(seconds)}{THIN}s"


def minutes(seconds: float) -> str:
    """A length of time to the minute, rounded up: 200 -> '4 min', 4000 -> '1 h 7 min'; under a
    minute in seconds."""
    if seconds < 60:
        return f"{math.ceil(seconds)}{THIN}s"
    whole_min = math.ceil(seconds / 60)
    days, hours, left = whole_min // 1440, whole_min // 60 % 24, whole_min % 60
    parts = ((days, "d"), (hours, "h"), (left if not days else 0, "min"))
    return " ".join(f"{n}{THIN}{unit}" for n, unit in parts if n)


_UTC = ZoneInfo("UTC")
_ZONE: ContextVar[ZoneInfo | None] = ContextVar("zone", default=None)
"""The reader's time zone while one update is answered, each in a context of its own; None = UTC."""


def use_zone(name: object) -> ZoneInfo:
    """Take the zone the browser asked for; hostile input, so anything unknown is UTC."""
    known = isinstance(name, str) and name in _known_zones()
    chosen = ZoneInfo(str(name)) if known else _UTC
    _ZONE.set(chosen)
    return chosen


@functools.cache
def _known_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def zone() -> ZoneInfo:
    return _ZONE.get() or _UTC


def zone_name() -> str:
    """'UTC', 'Europe/Berlin': said beside moments that stand alone."""
    return zone().key


def local(when: datetime) -> datetime:
    """A moment as the reader's wall shows it."""
    return when.astimezone(zone())


def clock(when: datetime | None) -> str:
    """'21 Nov 10:42:05', in the reader's zone."""
    return MISSING if when is None else local(when).strftime("%d %b %H:%M:%S").lstrip("0")


def moment(when: datetime, now: datetime) -> str:
    """'10:42', of another day '21 Nov 10:42', in the reader's zone."""
    at = local(when)
    return at.strftime("%H:%M" if at.date() == local(now).date() else "%d %b %H:%M").lstrip(" ")


def between(start: datetime, end: datetime, now: datetime) -> str:
    """'10:03\u201310:09'; with the day where it is not today's, with seconds where minutes are too
    coarse. In the reader's zone."""
    first, last = local(start), local(end)
    short = (end - start).total_seconds() < 120
    times = "%H:%M:%S" if short else "%H:%M"
    if first.date() == last.date():
        day = "" if last.date() == local(now).date() else first.strftime("%d %b ")
        return f"{day}{first.strftime(times)}\u2013{last.strftime(times)}"
    return f"{first:%d %b} {first.strftime(times)} \u2013 {last:%d %b} {last.strftime(times)}"


def clock_ms(when: datetime | None) -> str:
    """'21 Nov 10:42:05.123', in the reader's zone."""
    return MISSING if when is None else local(when).strftime("%d %b %H:%M:%S.%f")[:-3]


def minute(when: datetime | None) -> str:
    """'21 Nov 10:42 UTC': a moment that stands alone, with its zone."""
    return MISSING if when is None else f"{local(when):%d %b %H:%M} {zone_name()}"


OVERFLOW = "__overflow__"
"""API or route that the collector's naming gives to what gets no name of its own
(collector/naming/routes.py)."""

OVERFLOW_WHY = (
    "Calls without a name of their own: to hosts or paths that nothing ever answered, such as a "
    "scanner's, and those past the limit of names that are not in catalog.yaml."
)

_READABLE = {OVERFLOW: "other (unnamed)", "__unmatched__": "no route (never answered)"}


def plain(text: str | None, length: int = 80) -> str:
    """A telemetry string for a label: control characters removed, cut with an ellipsis. Names that
    the collector made up are put in words."""
    return MISSING if text is None else cleaned(_READABLE.get(text, text), length)


def cleaned(text: str, length: int = 80) -> str:
    """The string itself, for cells whose click filters by what they hold; control characters
    removed, cut with an ellipsis."""
    clean = text
    if not text.isprintable():  # nearly every string is: its characters need not be looked at
        clean = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return clean if len(clean) <= length else clean[: length - 1] + "…"


def for_plotly(text: str | None, length: int = 60) -> str:
    """The same, for text inside a chart: Plotly reads pseudo-HTML, so `&` and `<` are escaped."""
    return plain(text, length).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def url_part(text: str) -> str:
    """A name as one segment of an address; a slash in it stays inside the segment."""
    return quote(text, safe="")
