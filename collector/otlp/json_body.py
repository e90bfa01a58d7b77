"""OTLP/JSON bodies -> the same messages in protobuf, which the scanner then reads.

The rules are those of the OTLP specification ("JSON Protobuf Encoding") on top of proto3's JSON:

* names in lowerCamelCase only; unknown names (snake_case ones too) are ignored; null is absent;
* trace and span ids are hex in either case, other bytes base64 (plain or URL-safe, padded or not);
* enums are integers, never names; integers are numbers or strings of digits, exact at 64 bits;
  a number with a fraction, or one written so that it was rounded (beyond 2^53), is malformed;
* doubles are numbers, strings of numbers, "NaN", "Infinity" or "-Infinity"; bare NaN is no JSON;
* of two members of a oneof the later one wins; of two equal names too;
* a value of another type than its field's makes the body malformed, and so does nesting that the
  same message in protobuf would not be allowed.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.otlp.limits import DEPTH_MAX
from collector.payload import MalformedBody

_DOUBLE = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_WORDS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_HEX_IDS = {"trace_id", "span_id", "parent_span_id"}
_EXACT_MAX = 2**53
_INT32, _UINT32 = (-(2**31), 2**31 - 1), (0, 2**32 - 1)
_INT64, _UINT64 = (-(2**63), 2**63 - 1), (0, 2**64 - 1)


class _Wrong(Exception):
    """A value does not fit its field; the argument says what was expected."""


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _integer(value: object, limits: tuple[int, int]) -> int:
    if type(value) is int:
        number = value
    elif (type(value) is str and _INTEGER.fullmatch(value)) or (
        type(value) is float and value.is_integer() and abs(value) <= _EXACT_MAX
    ):
        number = int(value)
    else:
        raise _Wrong("an integer")
    if not limits[0] <= number <= limits[1]:
        raise _Wrong(f"an integer from {limits[0]} to {limits[1]}")
    return number


def _double(value: object) -> bytes:
    if type(value) is str:
        if value in _WORDS:
            return struct.pack("<d", _WORDS[value])
        if not _DOUBLE.fullmatch(value):
            raise _Wrong("a number")
        return struct.pack("<d", float(value))
    if type(value) not in (int, float):
        raise _Wrong("a number")
    return struct.pack("<d", value)


def _signed(value: object, limits: tuple[int, int]) -> bytes:
    return _varint(_integer(value, limits) & 0xFFFFFFFFFFFFFFFF)


def _zigzag(value: object) -> bytes:
    number = _integer(value, _INT32)
    return _varint((number << 1) ^ (number >> 63) if number < 0 else number << 1)


def _enum(value: object) -> bytes:
    if type(value) is not int:
        raise _Wrong("an integer: OTLP does not allow names of enum values")
    return _signed(value, _INT32)


def _bool(value: object) -> bytes:
    if type(value) is not bool:
        raise _Wrong("true or false")
    return b"\1" if value else b"\0"


def _sized(raw: bytes) -> bytes:
    return _varint(len(raw)) + raw


def _string(value: object) -> bytes:
    if type(value) is not str:
        raise _Wrong("a string")
    return _sized(value.encode())


def _hex(value: object) -> bytes:
    if type(value) is not str or not re.fullmatch(r"(?:[0-9a-fA-F]{2})*", value):
        raise _Wrong("a string of hex digits")
    return _sized(bytes.fromhex(value))


def _base64(value: object) -> bytes:
    if type(value) is not str:
        raise _Wrong("a string of base64")
    plain = value.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return _sized(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))
    except (binascii.Error, ValueError) as err:
        raise _Wrong("a string of base64") from err


# google.protobuf.FieldDescriptor.TYPE_* -> (wire type, encoder)
_SCALARS: Mapping[int, tuple[int, Callable[[object], bytes]]] = {
    1: (1, _double),
    3: (0, lambda value: _signed(value, _INT64)),
    4: (0, lambda value: _signed(value, _UINT64)),
    5: (0, lambda value: _signed(value, _INT32)),
    6: (1, lambda value: struct.pack("<Q", _integer(value, _UINT64))),
    7: (5, lambda value: struct.pack("<I", _integer(value, _UINT32))),
    8: (0, _bool),
    9: (2, _string),
    12: (2, _base64),
    13: (0, lambda value: _signed(value, _UINT32)),
    14: (0, _enum),
    16: (1, lambda value: struct.pack("<q", _integer(value, _INT64))),
    17: (0, _zigzag),
}


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    tag: bytes
    repeated: bool
    encode: Callable[[object], bytes] | None
    """None for messages."""
    message: _Message | None


@dataclass(frozen=True, slots=True)
class _Message:
    fields: dict[str, _Field] = field(default_factory=dict)
    """By name in JSON."""

    def encode(self, value: object, depth: int) -> bytes:
        if not isinstance(value, dict):
            raise _Wrong("an object")
        if depth > DEPTH_MAX:
            raise MalformedBody("messages nested too deeply")
        out = bytearray()
        for name, content in value.items():
            known = self.fields.get(name)
            if known is None or content is None:
                continue
            try:
                if not known.repeated:
                    out += known.tag + _one(known, content, depth)
                    continue
                if not isinstance(content, list):
                    raise _Wrong("an array")
                for element in content:
                    out += known.tag + _one(known, element, depth)
            except _Wrong as wrong:
                raise MalformedBody(f"{known.name} must be {wrong}") from wrong
        return bytes(out)


def _one(known: _Field, content: object, depth: int) -> bytes:
    if known.message is not None:
        return _sized(known.message.encode(content, depth + 1))
    assert known.encode is not None
    return known.encode(content)


def _message(descriptor: Any, known: dict[str, _Message]) -> _Message:
    if descriptor.full_name in known:
        return known[descriptor.full_name]
    message = known[descriptor.full_name] = _Message()
    for proto in descriptor.fields:
        wire, encode = (2, None) if proto.message_type else _SCALARS[proto.type]
        if proto.name in _HEX_IDS:
            encode = _hex
        child = _message(proto.message_type, known) if proto.message_type else None
        message.fields[proto.json_name] = _Field(
            proto.json_name, _varint(proto.number << 3 | wire), proto.is_repeated, encode, child
        )
    return message


_KNOWN: dict[str, _Message] = {}
_REQUESTS = {
    "otlp_traces": _message(ExportTraceServiceRequest.DESCRIPTOR, _KNOWN),
    "otlp_logs": _message(ExportLogsServiceRequest.DESCRIPTOR, _KNOWN),
    "otlp_metrics": _message(ExportMetricsServiceRequest.DESCRIPTOR, _KNOWN),
}


def protobuf_from_json(format_name: str, body: bytes) -> bytes:
    """The request in protobuf. Raises MalformedBody; the offset is known for broken JSON only."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as err:
        raise MalformedBody(f"not valid JSON: {err.msg}", err.pos) from err
    try:
        return _REQUESTS[format_name].encode(value, 0)
    except _Wrong as wrong:
        raise MalformedBody(f"the body must be {wrong}") from wrong
