"""Make paths into templates by the looks of their segments: `/orders/17` -> `/orders/{id}`.

    numbers                17, -3, 12.5                       -> {id}
    UUIDs                  9f1c…-…                            -> {id}
    hex of 8 and more      with a digit in it, or 16 and more -> {id}
    e-mail addresses       a@b.c, a%40b.c                     -> {id}
    dates                  2024-01-31                         -> {id}
    mixed tokens           ord_8f3k2d9, INV-2024-0001, ULIDs  -> {id}
    long segments          over 40 characters                 -> {id}
    versions and words     v1, v2.1, oauth2, 2fa, mp3         stay

Words that are ids all the same (`/users/alice`) are found by how many there are: `routes.py`.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
from numba.core import types

from collector.naming.limits import SEGMENTS_MAX
from collector.naming.unique import map_coded
from collector.otlp.machine import BYTES, INTS32, OUT, READ_INTS32, kernel
from storage.coded import plain

PARAMETER = "{id}"


@kernel(types.int64(BYTES, READ_INTS32, INTS32, OUT))
def _shorten(data: Any, offsets: Any, out_offsets: Any, out: Any) -> int:
    """Write the paths with `{id}` for segments that `template_segment` replaces beyond doubt:
    numbers, an `@` inside, four digits and more (not where it may be a version). Answers the size.

    Ids are what makes paths differ, so that few different texts remain for Python to look at.
    `out` has four bytes per byte of text: a path may be one digit.
    """
    to = 0
    out_offsets[0] = 0
    for row in range(offsets.size - 1):
        at, end = offsets[row], offsets[row + 1]
        while at < end:
            stop, digits, id_ = at, 0, False
            while stop < end and data[stop] != 47:
                digits += 48 <= data[stop] <= 57
                id_ |= data[stop] == 64
                stop += 1
            id_ |= digits >= 4 and data[at] != 118
            if id_ or (digits > 0 and digits == stop - at):
                out[to], out[to + 1], out[to + 2], out[to + 3] = 123, 105, 100, 125
                to += 4
            else:
                for i in range(at, stop):
                    out[to] = data[i]
                    to += 1
            if stop < end:
                out[to] = 47
                to += 1
            at = stop + 1
        out_offsets[row + 1] = to
    return to


def template_paths(paths: pa.Array) -> pa.DictionaryArray:
    """Templates of the paths, by looks alone; NULL stays NULL."""
    paths = plain(paths)
    if paths.offset:
        paths = pa.concat_arrays([paths])
    valid, bounds, data = paths.buffers()
    if data is None or not data.size:
        shortened = paths
    else:
        offsets = np.frombuffer(bounds, dtype=np.int32)[: len(paths) + 1]
        out_offsets = np.empty(len(offsets), dtype=np.int32)
        out = np.empty(4 * int(offsets[-1] - offsets[0]), dtype=np.uint8)
        _shorten(np.frombuffer(data, dtype=np.uint8), offsets, out_offsets, out)
        buffers = [valid, pa.py_buffer(out_offsets), pa.py_buffer(out)]
        shortened = pa.Array.from_buffers(pa.string(), len(paths), buffers)
    return map_coded(shortened.dictionary_encode(), template_path)


def template_path(path: str) -> str:
    """Template of one path; a closing slash is dropped, empty segments too."""
    segments = [segment for segment in path.split("/") if segment]
    rest = len(segments) > SEGMENTS_MAX
    named = [s if s == PARAMETER else template_segment(s) for s in segments[:SEGMENTS_MAX]]
    return "/" + "/".join([*named, "{rest}"] if rest else named)


_VERSION = re.compile(r"v\d{1,3}(\.\d{1,3}){0,2}$")
_HEX = re.compile(r"[0-9a-fA-F]{8,}$")
_UUID_OR_NUMBER = re.compile(
    r"(-?\d+([.,:]\d+)*|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$"
)


def template_segment(segment: str) -> str:
    """`{id}` if the segment looks like one, else the segment itself."""
    if _VERSION.match(segment):
        return segment
    if len(segment) > 40 or "@" in segment or "%40" in segment or _UUID_OR_NUMBER.match(segment):
        return PARAMETER
    digits = sum(c.isdigit() for c in segment)
    if not digits:
        long_hex = len(segment) >= 16 and _HEX.match(segment)
        return PARAMETER if long_hex else segment
    if digits >= 4 or _HEX.match(segment):
        return PARAMETER
    changes = sum(a.isdigit() != b.isdigit() for a, b in zip(segment, segment[1:], strict=False))
    if len(segment) >= 8 and digits >= 2 and changes >= 3:
        return PARAMETER
    return segment
