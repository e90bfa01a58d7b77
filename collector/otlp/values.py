"""Attribute values and log bodies as text: the kernels, and `render_values` around them.

| kind          | text                                                              |
|---------------|-------------------------------------------------------------------|
| string        | as it is                                                          |
| bool, int     | true, false; decimal, exact over 64 bits                          |
| double        | the shortest JSON number that reads back the same; NaN, Infinity, |
|               | -Infinity as words                                                |
| bytes         | a JSON string of base64                                           |
| array, kvlist | JSON; keys in the order sent; NaN and infinities as strings       |
| none of these | NULL (null inside JSON)                                           |
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
import orjson
from numba.core import types

from collector.otlp.body import Body, Bytes, Ints
from collector.otlp.machine import BYTES, INTS, OUT, kernel
from collector.otlp.plan import OWNER_SHIFT, TABLE_ID
from collector.otlp.text import LENGTH_MASK

STRING, BOOL, INT, DOUBLE, ARRAY, KVLIST, BYTES_VALUE = range(1, 8)
"""Field numbers of AnyValue's oneof."""

CONSTANTS = b"/truefalseNaNInfinity-Infinity"
"""Start of every `aux` buffer; the '/' is the path of a URL without one."""

_TRUE, _FALSE = (1 << 32) | 4, (5 << 32) | 5
_NAN, _INFINITY, _MINUS_INFINITY = (10 << 32) | 3, (13 << 32) | 8, (21 << 32) | 9
_INT_DIGITS_MAX = 20
_NODE = TABLE_ID["node"]
_ALPHABET = np.frombuffer(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", dtype=np.uint8
)


@kernel(types.int64(BYTES, INTS, INTS, OUT, types.int64, INTS))
def _render_scalars(buf, kinds, values, aux, to, out):  # type: ignore[no-untyped-def]
    """References of strings, bools, ints and bytes, the last two written to aux[to:]."""
    split = np.int64(len(buf))
    digits = np.empty(_INT_DIGITS_MAX, dtype=np.uint8)
    for i in range(len(kinds)):
        kind = kinds[i]
        value = values[i]
        if kind == STRING:
            out[i] = value
        elif kind == BOOL:
            out[i] = (split << 32) + (_TRUE if value else _FALSE)
        elif kind == INT:
            start = to
            rest = np.uint64(value)
            if value < 0:
                aux[to] = 45
                to += 1
                rest = np.uint64(0) - rest
            n = 0
            while True:
                quotient = rest // np.uint64(10)
                digits[n] = np.uint8(rest - quotient * np.uint64(10)) + 48
                rest = quotient
                n += 1
                if rest == 0:
                    break
            for j in range(n):
                aux[to + j] = digits[n - 1 - j]
            to += n
            out[i] = ((split + start) << 32) | (to - start)
        elif kind == BYTES_VALUE:
            start = to
            at = value >> 32
            end = at + (value & LENGTH_MASK)
            aux[to] = 34
            to += 1
            while at < end:
                left = end - at
                word = np.int64(buf[at]) << 16
                if left > 1:
                    word |= np.int64(buf[at + 1]) << 8
                if left > 2:
                    word |= np.int64(buf[at + 2])
                aux[to] = _ALPHABET[word >> 18]
                aux[to + 1] = _ALPHABET[(word >> 12) & 63]
                aux[to + 2] = _ALPHABET[(word >> 6) & 63] if left > 1 else 61
                aux[to + 3] = _ALPHABET[word & 63] if left > 2 else 61
                at += 3
                to += 4
            aux[to] = 34
            to += 1
            out[i] = ((split + start) << 32) | (to - start)
        else:
            out[i] = -1
    return to


@numba.njit(inline="never", nogil=True)
def _json_string(source, at, size, out, to, write):  # type: ignore[no-untyped-def]
    """A JSON string of UTF-8 text: controls, quote and backslash escaped, nothing else."""
    if write:
        out[to] = 34
    to += 1
    for i in range(at, at + size):
        byte = source[i]
        short = np.uint8(0)
        if byte == 34 or byte == 92:
            short = byte
        elif byte < 32:
            if byte == 8:
                short = np.uint8(98)
            elif byte == 9:
                short = np.uint8(116)
            elif byte == 10:
                short = np.uint8(110)
            elif byte == 12:
                short = np.uint8(102)
            elif byte == 13:
                short = np.uint8(114)
            else:
                if write:
                    out[to] = 92
                    out[to + 1] = 117
                    out[to + 2] = 48
                    out[to + 3] = 48
                    out[to + 4] = 48 + (byte >> 4)
                    low = byte & 15
                    out[to + 5] = low + (48 if low < 10 else 87)
                to += 6
                continue
        if short:
            if write:
                out[to] = 92
                out[to + 1] = short
            to += 2
        else:
            if write:
                out[to] = byte
            to += 1
    if write:
        out[to] = 34
    return to + 1


@numba.njit(inline="never", nogil=True)
def _json_node(buf, aux, kind, reference, out, to, write):  # type: ignore[no-untyped-def]
    """A value that holds no others."""
    if reference < 0:
        if write:
            out[to] = 110
            out[to + 1] = 117
            out[to + 2] = 108
            out[to + 3] = 108
        return to + 4
    at = reference >> 32
    size = reference & LENGTH_MASK
    if kind == STRING:
        return _json_string(buf, at, size, out, to, write)
    at -= len(buf)
    # NaN, Infinity and -Infinity are the only doubles that do not start or go on with a digit.
    if kind == DOUBLE and (aux[at] > 57 or aux[at + size - 1] > 57):
        return _json_string(aux, at, size, out, to, write)
    if write:
        for i in range(size):
            out[to + i] = aux[at + i]
    return to + size


@kernel(
    types.int64(
        BYTES, BYTES, INTS, INTS, INTS, INTS, INTS, INTS, INTS, INTS, INTS, INTS, OUT, types.boolean
    )
)
def _render_nested(  # type: ignore[no-untyped-def]
    buf, aux, tags, kinds, firsts, lasts, owners, node_kinds, node_values, node_keys, node_refs,
    sizes, out, write,
):  # fmt: skip
    """JSON of array and kvlist values, one after the other; `sizes` gets the length of each.

    Value i owns the nodes from firsts[i] on that descend from tags[i]; lasts[i] is the last one
    directly below it. Others may lie between (a log body sent in two parts around attributes). A
    node below a member of a oneof that was replaced is dead: its number is below the first of its
    owner, or its owner no longer holds others. First call with write=False for the size, then with
    the room.
    """
    live = np.full(len(owners), -1, dtype=np.int64)
    stack = np.empty(128, dtype=np.int64)
    to = np.int64(0)
    for i in range(len(tags)):
        start = to
        if write:
            out[to] = 91 if kinds[i] == ARRAY else 123
        to += 1
        level = 0
        stack[0] = -1
        fresh = True
        for j in range(firsts[i], len(owners)):
            parent = np.int64(-1)
            if owners[j] >> OWNER_SHIFT == _NODE:
                parent = owners[j] & ((1 << OWNER_SHIFT) - 1)
                holds = node_kinds[parent] == ARRAY or node_kinds[parent] == KVLIST
                if live[parent] != i or not holds or j < node_values[parent]:
                    continue
            elif j > lasts[i]:
                break
            elif owners[j] != tags[i]:
                continue
            live[j] = i
            while stack[level] != parent:
                if write:
                    out[to] = 93 if node_kinds[stack[level]] == ARRAY else 125
                to += 1
                level -= 1
                fresh = False
            if not fresh:
                if write:
                    out[to] = 44
                to += 1
            if (kinds[i] if parent < 0 else node_kinds[parent]) == KVLIST:
                key = node_keys[j]
                to = _json_string(buf, key >> 32, key & LENGTH_MASK, out, to, write)
                if write:
                    out[to] = 58
                to += 1
            if node_kinds[j] == ARRAY or node_kinds[j] == KVLIST:
                if write:
                    out[to] = 91 if node_kinds[j] == ARRAY else 123
                to += 1
                level += 1
                stack[level] = j
                fresh = True
            else:
                to = _json_node(buf, aux, node_kinds[j], node_refs[j], out, to, write)
                fresh = False
        while level > 0:
            if write:
                out[to] = 93 if node_kinds[stack[level]] == ARRAY else 125
            to += 1
            level -= 1
        if write:
            out[to] = 93 if kinds[i] == ARRAY else 125
        to += 1
        sizes[i] = to - start
    return to


def number_texts(values: npt.NDArray[np.float64] | Ints) -> tuple[bytes, Ints]:
    """Text of integers or finite doubles joined by commas, and references into it."""
    blob = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
    commas = np.flatnonzero(np.frombuffer(blob, dtype=np.uint8) == 44)
    starts = np.concatenate(([0], commas + 1))
    ends = np.concatenate((commas, [len(blob)]))
    return blob, (starts << 32) | (ends - starts)


def render_values(body: Body, sources: tuple[str, ...]) -> tuple[dict[str, Ints], Bytes]:
    """References of the values of each table in `sources`, and the `aux` they may point to."""
    tables = (*sources, "node")
    rows = {name: body.count(name) for name in tables}
    filled = [name for name in tables if rows[name]] or ["attribute"]
    kinds, values = (
        np.concatenate(columns) if len(columns) > 1 else columns[0]
        for columns in (
            [body.column(name, path) for name in filled] for path in ("value.case", "value")
        )
    )
    split = len(body.data)
    references = np.empty(len(kinds), dtype=np.int64)

    raw = values[kinds == BYTES_VALUE] & LENGTH_MASK
    ints = int(np.count_nonzero(kinds == INT))
    size = len(CONSTANTS) + ints * _INT_DIGITS_MAX + int((4 * ((raw + 2) // 3) + 2).sum())
    aux = np.empty(size, dtype=np.uint8)
    aux[: len(CONSTANTS)] = np.frombuffer(CONSTANTS, dtype=np.uint8)
    used = _render_scalars(body.data, kinds, values, aux, len(CONSTANTS), references)
    aux = aux[:used]

    doubles = np.flatnonzero(kinds == DOUBLE)
    if len(doubles):
        aux = _render_doubles(aux, split, doubles, values, references)
    outer = kinds[: len(kinds) - rows["node"]]
    nested = np.flatnonzero((outer == ARRAY) | (outer == KVLIST))
    if len(nested):
        aux = _render_json(body, tables, aux, nested, kinds, values, references)
    result = {}
    start = 0
    for name in sources:
        result[name] = references[start : start + rows[name]]
        start += rows[name]
    return result, aux


def _render_doubles(aux: Bytes, split: int, at: Ints, values: Ints, references: Ints) -> Bytes:
    numbers = values[at].view(np.float64)
    finite = np.isfinite(numbers)
    words = np.where(np.isnan(numbers), _NAN, np.where(numbers > 0, _INFINITY, _MINUS_INFINITY))
    references[at] = words + (split << 32)
    if not finite.any():
        return aux
    blob, spans = number_texts(numbers[finite])
    references[at[finite]] = spans + ((split + len(aux)) << 32)
    return np.concatenate((aux, np.frombuffer(blob, dtype=np.uint8)))


def _render_json(
    body: Body,
    tables: tuple[str, ...],
    aux: Bytes,
    nested: Ints,
    kinds: Ints,
    values: Ints,
    references: Ints,
) -> Bytes:
    tags = np.concatenate(
        [(TABLE_ID[name] << OWNER_SHIFT) + np.arange(body.count(name)) for name in tables]
    )
    nodes = len(kinds) - body.count("node")
    owners = body.column("node", "owner")
    tags = tags[nested]
    order = np.argsort(tags)
    lasts = np.full(len(tags), -1, dtype=np.int64)
    # Where the owner holds no others any more its nodes match no tag; the comparison sees to that.
    below = np.flatnonzero(owners >> OWNER_SHIFT != _NODE)
    at = order[np.minimum(np.searchsorted(tags, owners[below], sorter=order), len(tags) - 1)]
    same = tags[at] == owners[below]
    np.maximum.at(lasts, at[same], below[same])
    arguments = (
        body.data, aux, tags, kinds[nested], values[nested], lasts, owners,
        kinds[nodes:].copy(), values[nodes:].copy(), body.column("node", "key"),
        references[nodes:].copy(),
    )  # fmt: skip
    sizes = np.empty(len(nested), dtype=np.int64)
    total = _render_nested(*arguments, sizes, np.empty(0, dtype=np.uint8), False)
    out = np.empty(total, dtype=np.uint8)
    _render_nested(*arguments, sizes, out, True)
    starts = np.cumsum(sizes) - sizes + len(body.data) + len(aux)
    references[nested] = (starts << 32) | sizes
    return np.concatenate((aux, out))


__all__ = ["CONSTANTS", "number_texts", "render_values"]
