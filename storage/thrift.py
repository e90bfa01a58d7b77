"""Thrift's compact protocol, as far as Parquet's footers and page headers use it.

A struct is a list of (field number, type, value) in order of their numbers; a list is (type of its
elements, values). Source: thrift/doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)

Struct = list[tuple[int, int, Any]]
"""Values by type: bool, int, bytes (of BINARY and, as it lies there, of DOUBLE), Struct, and of
LIST (element type, values)."""

_INTEGERS = (I16, I32, I64)


def read_struct(data: bytes, position: int = 0) -> tuple[Struct, int]:
    """The struct and the position behind it. Raises ValueError for what Parquet does not use."""
    fields: Struct = []
    number = 0
    while True:
        head = data[position]
        position += 1
        if head == 0:
            return fields, position
        type_ = head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, position = _zigzag(data, position)
        value: Any
        if type_ in (TRUE, FALSE):
            value, type_ = type_ == TRUE, TRUE
        else:
            value, position = _read(data, position, type_)
        fields.append((number, type_, value))


def _read(data: bytes, position: int, type_: int) -> tuple[Any, int]:
    if type_ in _INTEGERS:
        return _zigzag(data, position)
    if type_ == BINARY:
        size, position = _varint(data, position)
        return data[position : position + size], position + size
    if type_ == STRUCT:
        return read_struct(data, position)
    if type_ == LIST:
        head = data[position]
        size, position = head >> 4, position + 1
        if size == 15:
            size, position = _varint(data, position)
        values = []
        for _ in range(size):
            value, position = _read(data, position, head & 15)
            values.append(value)
        return (head & 15, values), position
    if type_ == DOUBLE:
        return data[position : position + 8], position + 8
    if type_ in (BYTE, TRUE, FALSE):
        return data[position], position + 1
    raise ValueError(f"type {type_} of Thrift's compact protocol is not used by Parquet")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7


def _zigzag(data: bytes, position: int) -> tuple[int, int]:
    value, position = _varint(data, position)
    return (value >> 1) ^ -(value & 1), position


def varint(value: int) -> bytes:
    """An unsigned number, seven bits a byte; Parquet's run headers are the same."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def struct_bytes(fields: Struct) -> bytes:
    """The inverse of `read_struct`."""
    out = bytearray()
    last = 0
    for number, type_, value in fields:
        said = FALSE if type_ == TRUE and not value else type_
        if 0 < number - last < 16:
            out.append((number - last) << 4 | said)
        else:
            out.append(said)
            out += _signed(number)
        last = number
        if type_ != TRUE:
            _write(out, type_, value)
    out.append(0)
    return bytes(out)


def _signed(value: int) -> bytes:
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def _write(out: bytearray, type_: int, value: Any) -> None:
    if type_ in _INTEGERS:
        out += _signed(value)
    elif type_ == BINARY:
        out += varint(len(value))
        out += value
    elif type_ == STRUCT:
        out += struct_bytes(value)
    elif type_ == LIST:
        element, values = value
        if len(values) < 15:
            out.append(len(values) << 4 | element)
        else:
            out.append(0xF0 | element)
            out += varint(len(values))
        for item in values:
            _write(out, element, item)
    elif type_ == DOUBLE:
        out += value
    else:
        out.append(value)
