"""Numbers and times straight from bytes, by offsets. Compiled by numba; bad text never raises."""

from __future__ import annotations

from typing import Any, cast

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.otlp.machine import BYTES, READ_INTS32, kernel

NO_TIME = np.iinfo(np.int64).min
"""What the time parsers answer for text that is not a time."""

_jit = numba.njit(cache=True, nogil=True)


def parse_sums(buffer: Any, starts: Any, ends: Any) -> npt.NDArray[np.float64]:
    """Numbers; of a list (`0.012, 0.010 : -`) the sum; NaN where there is none."""
    return cast("npt.NDArray[np.float64]", _parse_sums(buffer, starts, ends))


def parse_clf_times(buffer: Any, starts: Any, ends: Any) -> npt.NDArray[np.int64]:
    """`dd/Mon/yyyy:HH:MM:SS[.fff] [+hhmm]` as µs since the epoch; no zone is taken as UTC."""
    return cast("npt.NDArray[np.int64]", _parse_clf_times(buffer, starts, ends))


def parse_iso_times(buffer: Any, starts: Any, ends: Any) -> npt.NDArray[np.int64]:
    """RFC 3339 and relatives (blank for T, no colon in the zone) as µs; no zone is UTC."""
    return cast("npt.NDArray[np.int64]", _parse_iso_times(buffer, starts, ends))


def string_spans(values: pa.Array) -> tuple[Any, Any, Any]:
    """Buffer, starts and ends of an Arrow string array, for the parsers; NULL is an empty span."""
    values = values.fill_null("")
    if values.offset:
        values = pa.concat_arrays([values])
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)[: len(values) + 1]
    buffer = (
        np.frombuffer(data, dtype=np.uint8)
        if data is not None and data.size
        else np.zeros(1, np.uint8)
    )
    return buffer, bounds[:-1].copy(), bounds[1:].copy()


@kernel((BYTES, READ_INTS32, READ_INTS32))
def _parse_sums(buffer: Any, starts: Any, ends: Any) -> Any:
    """Sum of the numbers of `0.012`, `0.010, 0.002 : -`; NaN if there is none or other text."""
    out = np.full(starts.size, np.nan)
    for row in range(starts.size):
        p, stop = starts[row], ends[row]
        total, seen, good = 0.0, False, True
        while p < stop and good:
            byte = buffer[p]
            if byte == 32 or byte == 44 or byte == 58:
                p += 1
                continue
            if byte == 45 and (p + 1 == stop or buffer[p + 1] == 32 or buffer[p + 1] == 44):
                p += 1
                continue
            sign = 1.0
            if byte == 45 or byte == 43:
                sign = -1.0 if byte == 45 else 1.0
                p += 1
            value, scale, digits, point = 0.0, 1.0, 0, False
            while p < stop:
                byte = buffer[p]
                if 48 <= byte <= 57:
                    value = value * 10.0 + (byte - 48)
                    digits += 1
                    if point:
                        scale *= 10.0
                elif byte == 46 and not point:
                    point = True
                else:
                    break
                p += 1
            ended = p == stop or buffer[p] == 32 or buffer[p] == 44
            if digits == 0 or digits > 19 or not ended:
                good = False
            else:
                total += sign * value / scale
                seen = True
        if seen and good:
            out[row] = total
    return out


@_jit
def _digits(buffer: Any, at: int, count: int) -> int:
    value = 0
    for i in range(count):
        byte = buffer[at + i]
        if byte < 48 or byte > 57:
            return -1
        value = value * 10 + (byte - 48)
    return value


@_jit
def _days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar (Hinnant, days_from_civil)."""
    y = year - 1 if month <= 2 else year
    era = y // 400
    yoe = y - era * 400
    doy = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    doe = yoe * 365 + yoe // 4 - yoe // 100 + doy
    return era * 146097 + doe - 719468


@_jit
def _month(a: int, b: int, c: int) -> int:
    key = (a | 32) << 16 | (b | 32) << 8 | (c | 32)
    months = (
        0x6A616E, 0x666562, 0x6D6172, 0x617072, 0x6D6179, 0x6A756E,
        0x6A756C, 0x617567, 0x736570, 0x6F6374, 0x6E6F76, 0x646563,
    )  # fmt: skip
    for i in range(12):
        if months[i] == key:
            return i + 1
    return 0


@kernel((BYTES, READ_INTS32, READ_INTS32))
def _parse_clf_times(buffer: Any, starts: Any, ends: Any) -> Any:
    """dd/Mon/yyyy:HH:MM:SS[.fff] [+hhmm]; without a zone it is taken as UTC."""
    out = np.full(starts.size, np.iinfo(np.int64).min, dtype=np.int64)
    for row in range(starts.size):
        s, e = starts[row], ends[row]
        if e - s < 20 or buffer[s + 2] != 47 or buffer[s + 6] != 47 or buffer[s + 11] != 58:
            continue
        day = _digits(buffer, s, 2)
        month = _month(buffer[s + 3], buffer[s + 4], buffer[s + 5])
        year = _digits(buffer, s + 7, 4)
        hour = _digits(buffer, s + 12, 2)
        minute = _digits(buffer, s + 15, 2)
        second = _digits(buffer, s + 18, 2)
        if day < 1 or day > 31 or month < 1 or year < 1970 or hour < 0 or hour > 23:
            continue
        if minute < 0 or minute > 59 or second < 0 or second > 60:
            continue
        micros = 0
        p = s + 20
        if p < e and buffer[p] == 46:
            p += 1
            unit = 100000
            while p < e and 48 <= buffer[p] <= 57:
                micros += (buffer[p] - 48) * unit
                unit //= 10
                p += 1
        zone = 0
        if p < e:
            if e - p != 6 or buffer[p] != 32 or (buffer[p + 1] != 43 and buffer[p + 1] != 45):
                continue
            zone_hours = _digits(buffer, p + 2, 2)
            zone_minutes = _digits(buffer, p + 4, 2)
            if zone_hours < 0 or zone_minutes < 0 or zone_hours > 15:
                continue
            zone = zone_hours * 3600 + zone_minutes * 60
            if buffer[p + 1] == 45:
                zone = -zone
        seconds = _days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
        out[row] = (seconds - zone) * 1000000 + micros
    return out


@kernel((BYTES, READ_INTS32, READ_INTS32))
def _parse_iso_times(buffer: Any, starts: Any, ends: Any) -> Any:
    out = np.full(starts.size, np.iinfo(np.int64).min, dtype=np.int64)
    for row in range(starts.size):
        s, e = starts[row], ends[row]
        if e - s < 19 or buffer[s + 4] != 45 or buffer[s + 7] != 45:
            continue
        if buffer[s + 10] != 84 and buffer[s + 10] != 32 and buffer[s + 10] != 116:
            continue
        if buffer[s + 13] != 58 or buffer[s + 16] != 58:
            continue
        year, month, day = (
            _digits(buffer, s, 4),
            _digits(buffer, s + 5, 2),
            _digits(buffer, s + 8, 2),
        )
        hour = _digits(buffer, s + 11, 2)
        minute = _digits(buffer, s + 14, 2)
        second = _digits(buffer, s + 17, 2)
        if day < 1 or day > 31 or month < 1 or month > 12 or year < 1970 or hour < 0 or hour > 23:
            continue
        if minute < 0 or minute > 59 or second < 0 or second > 60:
            continue
        micros = 0
        p = s + 19
        if p < e and (buffer[p] == 46 or buffer[p] == 44):
            p += 1
            unit = 100000
            while p < e and 48 <= buffer[p] <= 57:
                micros += (buffer[p] - 48) * unit
                unit //= 10
                p += 1
        if p < e and buffer[p] == 32:
            p += 1
        zone = 0
        if p < e and not (e - p == 1 and (buffer[p] == 90 or buffer[p] == 122)):
            size = e - p
            if (buffer[p] != 43 and buffer[p] != 45) or (size != 6 and size != 5 and size != 3):
                continue
            zone_hours = _digits(buffer, p + 1, 2)
            zone_minutes = 0 if size == 3 else _digits(buffer, e - 2, 2)
            if zone_hours < 0 or zone_minutes < 0 or zone_hours > 15:
                continue
            zone = zone_hours * 3600 + zone_minutes * 60
            if buffer[p] == 45:
                zone = -zone
        seconds = _days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
        out[row] = (seconds - zone) * 1000000 + micros
    return out
