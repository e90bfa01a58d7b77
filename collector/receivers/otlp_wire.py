"""OTLP messages written by hand: what every receiver turns its records into.

The rows of logs, spans and metrics are then made by `collector/otlp`, so that hot columns, series
hashes, time checks and rejects are the same whatever a record came by. Field numbers are those of
opentelemetry-proto 1.x; tests/collector/receivers/test_otlp_wire.py holds them against the
official classes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache

import orjson

from collector.receivers.limits import PAIR_MEMO_ENTRIES

_DOUBLE = struct.Struct("<d")
_FIXED64 = struct.Struct("<Q")
_U64 = 2**64 - 1


def varint(number: int) -> bytes:
    """An unsigned varint; `number` is taken modulo 2**64."""
    number &= _U64
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_SHORT = tuple(varint(n) for n in range(4096))
"""Most lengths are small."""


def block(tag: bytes, data: bytes) -> bytes:
    """A length-delimited field; `tag` is its encoded key."""
    size = len(data)
    return tag + (_SHORT[size] if size < 4096 else varint(size)) + data


def text(tag: bytes, value: str) -> bytes:
    """A string field, left out when empty as proto3 does."""
    return block(tag, value.encode("utf-8", "replace")) if value else b""


def fixed64(tag: bytes, value: int) -> bytes:
    """A fixed64 or sfixed64 field, left out when zero; beyond 64 bits it is zero."""
    return tag + _FIXED64.pack(value) if 0 < value <= _U64 else b""


def double(tag: bytes, value: float) -> bytes:
    return tag + _DOUBLE.pack(value)


@lru_cache(maxsize=PAIR_MEMO_ENTRIES)
def pair(key: str, value: str) -> bytes:
    """KeyValue{key=1, value=2{string_value=1}}."""
    inner = block(b"\x0a", value.encode("utf-8", "replace"))
    return block(b"\x0a", key.encode("utf-8", "replace")) + block(b"\x12", inner)


def to_json(value: object) -> bytes:
    """JSON of a decoded JSON value, of whatever size its numbers are and whatever its text holds:
    what a sender can write must not fail here."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def rendered(value: object) -> str:
    """A JSON value as the text an attribute column holds: text as is, anything else as JSON."""
    return value if isinstance(value, str) else to_json(value).decode()


def pairs(tag: bytes, attributes: Mapping[str, str] | Iterable[tuple[str, str]]) -> bytes:
    """Repeated KeyValue fields."""
    items = attributes.items() if isinstance(attributes, Mapping) else attributes
    return b"".join([block(tag, pair(key, value)) for key, value in items])


def envelope(
    resource: Iterable[tuple[str, str]], records: Iterable[bytes], *, scope: str = ""
) -> bytes:
    """One Resource{Logs,Spans,Metrics} as a field of its export request. `records`: encoded
    fields of the scope (LogRecord, Span or Metric, each with its key 0x12)."""
    inner = block(b"\x0a", text(b"\x0a", scope)) + b"".join(records)
    return block(b"\x0a", block(b"\x0a", pairs(b"\x0a", resource)) + block(b"\x12", inner))


def log_record(
    *,
    time_ns: int,
    observed_ns: int,
    body: str | None,
    severity_number: int = 0,
    severity_text: str = "",
    attributes: Iterable[tuple[str, str]] = (),
    trace_id: bytes = b"",
    span_id: bytes = b"",
) -> bytes:
    """A LogRecord as a field of ScopeLogs. Time 0 = the observed time counts."""
    data = fixed64(b"\x09", time_ns)
    if severity_number:
        data += b"\x10" + varint(severity_number)
    data += text(b"\x1a", severity_text)
    if body is not None:
        data += block(b"\x2a", block(b"\x0a", body.encode("utf-8", "replace")))
    data += pairs(b"\x32", attributes)
    if trace_id:
        data += block(b"\x4a", trace_id)
    if span_id:
        data += block(b"\x52", span_id)
    return block(b"\x12", data + fixed64(b"\x59", observed_ns))


def hex_id(value: object, size: int) -> bytes:
    """An id of `size` bytes from its hex text, b'' if it is none. Shorter ones are padded left, as
    Zipkin and Jaeger write 64-bit trace ids."""
    if not isinstance(value, str) or not 0 < len(value) <= 2 * size:
        return b""
    try:
        return bytes.fromhex(value.rjust(2 * size, "0"))
    except ValueError:
        return b""
