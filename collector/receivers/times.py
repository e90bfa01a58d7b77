"""Times as text: RFC 3339 and what loggers make of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_RFC3339 = re.compile(
    r"^\s*(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?\s*"
    r"(Z|z|[+-]\d\d:?\d\d|[+-]\d\d)?\s*$"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339_ns(text: str) -> int | None:
    """Epoch ns; None if the text is no such time. Without a zone it is UTC; a leap second is the
    second before."""
    match = _RFC3339.match(text[:64])
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    try:
        moment = datetime(
            year, month, day, hour, minute, min(second, 59), tzinfo=_zone(match[8] or "Z")
        )
    except ValueError:
        return None
    whole = (moment - _EPOCH) // timedelta(seconds=1)
    return whole * 1_000_000_000 + int((match[7] or "").ljust(9, "0"))


def _zone(text: str) -> timezone:
    if text in ("Z", "z"):
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def epoch_ns(value: object) -> int | None:
    """Epoch ns of seconds written as a number or as a string of one; None if it is neither.

    Decimal digits are kept exactly: a double has no room for nanoseconds of today.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    # repr() of a double is the shortest text that reads as it: the digits the sender wrote.
    whole, _, fraction = str(value).strip().partition(".")
    if not whole.isdigit() or len(whole) > 10 or not (fraction.isdigit() or not fraction):
        return None
    return int(whole) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
