"""Undo what log writers do to bytes that would break a quoted field.

NGINX writes every byte below 32, above 126, the quote and the backslash as `\\xNN`; Apache puts a
backslash before the last two. Control bytes stay escaped: they only spoil what a person reads.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([\"\\]))")


def unescaped(values: pa.Array | None) -> pa.Array | None:
    """The texts with escapes undone where the result is UTF-8."""
    if values is None or not pc.any(pc.match_substring(values, "\\")).as_py():
        return values
    return pa.array([_unescape(v) for v in values.to_pylist()], pa.string())


def _unescape(value: str | None) -> str | None:
    if value is None or "\\" not in value:
        return value

    def byte(match: re.Match[bytes]) -> bytes:
        if match.group(2):
            return match.group(2)
        code = int(match.group(1), 16)
        return match.group(0) if code < 32 or code == 127 else bytes([code])

    return _ESCAPE.sub(byte, value.encode()).decode("utf-8", "backslashreplace")
