"""The wire scanner: protobuf bytes -> rows of int64 slots, driven by the tables of plan.py.

One compiled function for all messages. It accepts and rejects exactly what Google's decoder (upb)
does; tests/collector/otlp/test_scan.py and fuzz.py hold it to that. The rules, measured on upb:

* a tag is at most 5 bytes and 32 bits; field number 0 is malformed, except inside a skipped group;
* a length is at most 5 bytes and below 2^31; a varint at most 10 bytes, bits past 64 are dropped;
* a known field with a wire type of another kind is an unknown field and skipped; wire types 6 and 7
  and an end of group without its start are malformed;
* repeated scalars are taken packed and unpacked; messages and groups nest to DEPTH_MAX;
* strings must be UTF-8 without surrogates or overlong forms.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.core import types

from collector.otlp.limits import DEPTH_MAX
from collector.otlp.machine import (
    BYTES,
    INTS,
    address_of,
    kernel,
    read8,
    read16,
    read32,
    read64,
)
from collector.otlp.plan import (
    CASE,
    CLEAR_FROM,
    CLEAR_TO,
    CONTEXT,
    ENTRY_WIDTH,
    EXTRA_BYTES,
    EXTRA_SLOT,
    FIELDS,
    HAS_BIT,
    KIND_SLOT,
    LIVE_TABLE,
    OP,
    OP_BOOL,
    OP_BYTES,
    OP_FIXED64,
    OP_INT32,
    OP_LIST,
    OP_MESSAGE,
    OP_SINT32,
    OP_STRING,
    OP_UINT32,
    OWNER_SHIFT,
    PAIR,
    POSITION_SLOT,
    SLOT,
    TABLE,
    WIRE,
)  # fmt: skip

OK, TRUNCATED, BAD_TAG, BAD_VARINT, BAD_LENGTH, BAD_GROUP, BAD_UTF8, TOO_DEEP, TOO_MANY = range(9)
"""What the scanner answers. Twin: REASONS in body.py."""

SCRATCH = 64
"""First slots of the output, where rows without room go. No row is wider."""

_pair: Any = types.UniTuple
_ANSWER = _pair(types.int64, 2)
_HIGH_BITS = np.uint64(0x8080808080808080)
_ENTRIES = types.Array(types.int32, 1, "C", readonly=True)


@numba.njit(inline="never", nogil=True)
def valid_utf8(memory, position, end):  # type: ignore[no-untyped-def]
    """Unicode 15 table 3-7: no overlong forms, no surrogates, nothing past U+10FFFF."""
    while position < end:
        lead = read8(memory + position)
        if lead < 0x80:
            position += 1
            continue
        if lead < 0xC2 or lead > 0xF4:
            return False
        length = 2 if lead < 0xE0 else (3 if lead < 0xF0 else 4)
        if position + length > end:
            return False
        second = read8(memory + position + 1)
        low, high = 0x80, 0xBF
        if lead == 0xE0:
            low = 0xA0
        elif lead == 0xED:
            high = 0x9F
        elif lead == 0xF0:
            low = 0x90
        elif lead == 0xF4:
            high = 0x8F
        if second < low or second > high:
            return False
        for i in range(position + 2, position + length):
            if read8(memory + i) & np.uint64(0xC0) != 0x80:
                return False
        position += length
    return True


@numba.njit(inline="always", nogil=True)
def _text_ok(memory, position, end):  # type: ignore[no-untyped-def]
    """valid_utf8 with a short way for ASCII, which nearly all keys and values are."""
    start = position
    high = np.uint64(0)
    size = end - position
    if size >= 8:
        while position + 8 < end:
            high |= read64(memory + position)
            position += 8
        high |= read64(memory + end - 8)
    elif size >= 4:
        high = read32(memory + position) | read32(memory + end - 4)
    elif size >= 2:
        high = read16(memory + position) | read16(memory + end - 2)
    elif size == 1:
        high = read8(memory + position)
    if high & _HIGH_BITS == 0:
        return True
    return valid_utf8(memory, start, end)


@numba.njit(inline="always", nogil=True)
def _varint(memory, position, end, size_max):  # type: ignore[no-untyped-def]
    """(value, next position); position -1: it does not end within size_max bytes or before end."""
    value = np.uint64(0)
    shift = np.uint64(0)
    stop = min(end, position + size_max)
    while position < stop:
        byte = read8(memory + position)
        position += 1
        value |= (byte & np.uint64(0x7F)) << shift
        if byte < 0x80:
            return value, position
        shift += np.uint64(7)
    return value, -1


@numba.njit(inline="never", nogil=True)
def _skip_group(memory, position, end, tag, depth):  # type: ignore[no-untyped-def]
    """(status, position behind the group that `tag` opened). Groups count towards the depth."""
    tags = np.empty(DEPTH_MAX + 1, dtype=np.uint64)
    level = 0
    if depth >= DEPTH_MAX:
        return TOO_DEEP, position
    tags[0] = tag
    while True:
        value, after = _varint(memory, position, end, 5)
        if after < 0 or value > np.uint64(0xFFFFFFFF):
            return BAD_TAG, position
        wire = value & np.uint64(7)
        if wire == 0:
            _, after = _varint(memory, after, end, 10)
            if after < 0:
                return BAD_VARINT, position
        elif wire == 1:
            after += 8
        elif wire == 5:
            after += 4
        elif wire == 2:
            size, after = _varint(memory, after, end, 5)
            if after < 0 or size > np.uint64(0x7FFFFFFF):
                return BAD_LENGTH, position
            after += np.int64(size)
        elif wire == 3:
            level += 1
            if depth + level >= DEPTH_MAX:
                return TOO_DEEP, position
            tags[level] = value
        elif wire == 4:
            if value != tags[level] + np.uint64(1):
                return BAD_GROUP, position
            if level == 0:
                return OK, after
            level -= 1
        else:
            return BAD_TAG, position
        if after > end:
            return TRUNCATED, position
        position = after


@numba.njit(inline="always", nogil=True)
def _convert(value, op):  # type: ignore[no-untyped-def]
    """A varint as the int64 its field type makes of it."""
    if op == OP_INT32:
        return np.int64(np.int32(np.uint32(value & np.uint64(0xFFFFFFFF))))
    if op == OP_UINT32:
        return np.int64(value & np.uint64(0xFFFFFFFF))
    if op == OP_BOOL:
        return np.int64(value != 0)
    if op == OP_SINT32:
        low = np.uint32(value & np.uint64(0xFFFFFFFF))
        half = np.int64(low >> np.uint32(1))
        return ~half if low & np.uint32(1) else half
    return np.int64(value)


@numba.njit(inline="always", nogil=True)
def _key_value(memory, position, end):  # type: ignore[no-untyped-def]
    """(kind, key, value) of a KeyValue as nearly all are written: key and value once, in this
    order, shorter than 128 bytes, the value a string, bool, int or double. Kind 0: it is not, or
    not well-formed; then nothing of this counts."""
    size = np.int64(end - position)
    if size < 4 or read8(memory + position) != 0x0A or read8(memory + position + 1) >= 0x80:
        return np.int64(0), np.int64(0), np.int64(0)
    at = position + 2
    after = at + np.int64(read8(memory + position + 1))
    if after + 3 > end or read8(memory + after) != 0x12:
        return np.int64(0), np.int64(0), np.int64(0)
    if after + 2 + np.int64(read8(memory + after + 1)) != end:
        return np.int64(0), np.int64(0), np.int64(0)
    key = (at << 32) | (after - at)
    kind, value = np.int64(0), np.int64(0)
    tag = read8(memory + after + 2)
    start = after + 3
    if tag == 0x0A:
        if start < end and start + 1 + np.int64(read8(memory + start)) == end:
            start += 1
            if _text_ok(memory, start, end):
                kind, value = np.int64(1), (start << 32) | (end - start)
    elif tag == 0x18 or tag == 0x10:
        raw, stop = _varint(memory, start, end, 10)
        if stop == end:
            kind = np.int64(tag >> np.uint64(3))
            value = np.int64(raw) if tag == 0x18 else np.int64(raw != 0)
    elif tag == 0x21 and start + 8 == end:
        kind, value = np.int64(4), np.int64(read64(memory + start))
    if kind > 0 and not _text_ok(memory, at, after):
        kind = np.int64(0)
    return kind, key, value


@numba.njit(inline="always", nogil=True)
def _append(out, starts, room, counts, widths, table, owner, slot, value):  # type: ignore[no-untyped-def]
    """One element of a list, as a row of `table`: (owner, -, slot of the list, element)."""
    row = counts[table]
    counts[table] = row + 1
    to = np.int64(0)
    if row < room[table]:
        to = starts[table] + row * widths[table]
    out[to] = owner
    out[to + 2] = slot
    out[to + 3] = value


@kernel(_ANSWER(BYTES, _ENTRIES, INTS, INTS, INTS, INTS, INTS, types.int64))
def scan(buf, entries, widths, out, starts, room, counts, items_max):  # type: ignore[no-untyped-def]
    """Read `buf`, one request or several joined. Returns (status, position).

    Rows of table t go to out[starts[t] + row * widths[t]], as long as row < room[t]; the rest is
    checked and counted only. `counts` (zeros on entry) gets the rows of every table, stored or not.
    With no room anywhere this is validation. `out` starts with SCRATCH slots that belong to nobody.
    """
    stack = np.empty((DEPTH_MAX + 1, 4), dtype=np.int64)
    memory = address_of(buf)
    depth = 0
    position = np.int64(0)
    end = np.int64(len(buf))
    context = np.int64(0)
    base = np.int64(0)
    owner = np.int64(0)
    items = np.int64(0)
    elements = np.int64(5)  # the table of list elements
    while True:
        while position == end:
            if depth == 0:
                return OK, position
            depth -= 1
            end = stack[depth, 0]
            context = stack[depth, 1]
            base = stack[depth, 2]
            owner = stack[depth, 3]
        at = position
        tag = np.uint64(buf[position])
        position += 1
        if tag >= 0x80:
            tag, position = _varint(memory, at, end, 5)
            if position < 0 or tag > np.uint64(0xFFFFFFFF):
                return BAD_TAG, at
        number = np.int64(tag >> np.uint64(3))
        wire = np.int64(tag & np.uint64(7))
        if number == 0:
            return BAD_TAG, at
        op = np.int64(0)
        entry = np.int64(0)
        if number < FIELDS:
            entry = (context * FIELDS + number) * ENTRY_WIDTH
            op = np.int64(entries[entry + OP])
            # Packed is the other way to write a list of numbers.
            packed = op > OP_LIST and wire == 2
            if op > 0 and wire != entries[entry + WIRE] and not packed:
                op = np.int64(0)

        if wire == 2:
            size = np.int64(0)
            if position < end and buf[position] < 0x80:
                size = np.int64(buf[position])
                position += 1
            else:
                length, position = _varint(memory, position, end, 5)
                if position < 0 or length > np.uint64(0x7FFFFFFF):
                    return BAD_LENGTH, at
                size = np.int64(length)
            if size > end - position:
                return TRUNCATED, at
            if op == OP_MESSAGE:
                if entries[entry + PAIR] == 1 and depth + 1 < DEPTH_MAX:
                    # What the long way below does, for messages of five fields in one go, and for
                    # all of them that follow one another.
                    extra = np.int64(entries[entry + EXTRA_SLOT])
                    by_bytes = entries[entry + EXTRA_BYTES] == 1
                    table = np.int64(entries[entry + TABLE])
                    width = widths[table]
                    of_key = (np.int64(entries[entry + CONTEXT]) * FIELDS + 1) * ENTRY_WIDTH
                    key_slot = np.int64(entries[of_key + SLOT])
                    of_value = of_key + ENTRY_WIDTH
                    kinds = np.int64(entries[of_value + CONTEXT]) * FIELDS
                    done = False
                    while items < items_max:
                        kind, key, number_value = _key_value(memory, position, position + size)
                        if kind == 0:
                            break
                        items += 1
                        position += size
                        if extra >= 0:
                            out[base + extra] += size if by_bytes else 1
                        row = counts[table]
                        counts[table] = row + 1
                        if row < room[table]:
                            to = starts[table] + row * width
                            for i in range(1, width):
                                out[to + i] = 0
                            of_kind = (kinds + kind) * ENTRY_WIDTH
                            out[to] = owner
                            out[to + key_slot] = key
                            out[to + entries[of_kind + SLOT]] = number_value
                            out[to + entries[of_kind + KIND_SLOT]] = kind
                        done = True
                        if tag >= 0x80 or position + 2 > end or buf[position] != tag:
                            break
                        following = np.int64(buf[position + 1])
                        if following >= 0x80 or following > end - position - 2:
                            break
                        done = False
                        at = position
                        position += 2
                        size = following
                    if done:
                        continue
                if depth >= DEPTH_MAX:
                    return TOO_DEEP, at
                stack[depth, 0] = end
                stack[depth, 1] = context
                stack[depth, 2] = base
                stack[depth, 3] = owner
                depth += 1
                extra = np.int64(entries[entry + EXTRA_SLOT])
                if extra >= 0:
                    out[base + extra] += size if entries[entry + EXTRA_BYTES] == 1 else 1
                if entries[entry + TABLE] >= 0:
                    items += 1
                    if items > items_max:
                        return TOO_MANY, at
                    table = np.int64(entries[entry + TABLE])
                    row = counts[table]
                    counts[table] = row + 1
                    width = widths[table]
                    base = np.int64(0)
                    if row < room[table]:
                        base = starts[table] + row * width
                        for i in range(1, width):
                            out[base + i] = 0
                    out[base] = owner
                    if entries[entry + POSITION_SLOT] >= 0:
                        out[base + entries[entry + POSITION_SLOT]] = at
                    owner = (table << OWNER_SHIFT) | row
                else:
                    if entries[entry + HAS_BIT] >= 0:
                        out[base + 1] |= np.int64(1) << np.int64(entries[entry + HAS_BIT])
                    kind = np.int64(entries[entry + KIND_SLOT])
                    if kind >= 0 and out[base + kind] != entries[entry + CASE]:
                        for i in range(entries[entry + CLEAR_FROM], entries[entry + CLEAR_TO]):
                            out[base + i] = 0
                        out[base + kind] = entries[entry + CASE]
                        out[base + entries[entry + SLOT]] = counts[entries[entry + LIVE_TABLE]]
                end = position + size
                context = np.int64(entries[entry + CONTEXT])
                continue
            if op in (OP_STRING, OP_BYTES, OP_STRING + OP_LIST):
                if op != OP_BYTES and not _text_ok(memory, position, position + size):
                    return BAD_UTF8, at
                reference = (position << 32) | size
                position += size
                if op < OP_LIST:
                    out[base + entries[entry + SLOT]] = reference
                    if entries[entry + KIND_SLOT] >= 0:
                        out[base + entries[entry + KIND_SLOT]] = entries[entry + CASE]
                else:
                    items += 1
                    slot = entries[entry + SLOT]
                    _append(out, starts, room, counts, widths, elements, owner, slot, reference)
                    if items > items_max:
                        return TOO_MANY, at
                continue
            if op > OP_LIST:
                stop = position + size
                item = op - OP_LIST
                if item == OP_FIXED64 and size & 7 != 0:
                    return BAD_LENGTH, at
                while position < stop:
                    if item == OP_FIXED64:
                        number_value = np.int64(read64(memory + position))
                        position += 8
                    else:
                        raw, position = _varint(memory, position, stop, 10)
                        if position < 0:
                            return BAD_VARINT, at
                        number_value = _convert(raw, item)
                    items += 1
                    slot = entries[entry + SLOT]
                    _append(out, starts, room, counts, widths, elements, owner, slot, number_value)
                if items > items_max:
                    return TOO_MANY, at
                continue
            position += size
            continue

        number_value = np.int64(0)
        if wire == 0:
            raw, position = _varint(memory, position, end, 10)
            if position < 0:
                return BAD_VARINT, at
            number_value = _convert(raw, op & (OP_LIST - 1))
        elif wire == 1 or wire == 5:
            size = np.int64(8 if wire == 1 else 4)
            if size > end - position:
                return TRUNCATED, at
            place = memory + position
            number_value = np.int64(read64(place) if wire == 1 else read32(place))
            position += size
        elif wire == 3:
            status, position = _skip_group(memory, position, end, tag, depth)
            if status != OK:
                return status, position
            continue
        else:
            return (BAD_GROUP if wire == 4 else BAD_TAG), at
        if op == 0:
            continue
        if op > OP_LIST:
            items += 1
            if items > items_max:
                return TOO_MANY, at
            slot = entries[entry + SLOT]
            _append(out, starts, room, counts, widths, elements, owner, slot, number_value)
            continue
        out[base + entries[entry + SLOT]] = number_value
        if entries[entry + HAS_BIT] >= 0:
            out[base + 1] |= np.int64(1) << np.int64(entries[entry + HAS_BIT])
        if entries[entry + KIND_SLOT] >= 0:
            out[base + entries[entry + KIND_SLOT]] = entries[entry + CASE]
