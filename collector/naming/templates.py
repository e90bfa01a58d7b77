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

import polars as pl
import pyarrow as pa

from collector.naming.limits import SEGMENTS_MAX

PARAMETER = "{id}"

_PLAIN = (
    r"/(?:-?\d+(?:\.\d+)?"
    r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|[0-9a-f]{16,}|[0-9A-F]{16,}"
    r"|[^/]*(?:@|%40)[^/]*)/"
)
"""Segments that are ids beyond doubt, matched on paths whose slashes were doubled."""


def template_paths(paths: pa.Array) -> pa.Array:
    """Templates of the paths, by looks alone; NULL stays NULL.

    One regular expression per path, then Python once per different result.
    """
    series = pl.Series("path", pl.from_arrow(paths), dtype=pl.String)
    doubled = series.str.replace_all("/", "//", literal=True) + "/"
    replaced = doubled.str.replace_all(_PLAIN, "/{id}/").str.replace_all("//", "/", literal=True)
    coded = replaced.to_arrow().cast(pa.string()).dictionary_encode()
    templates = [template_path(path) for path in coded.dictionary.to_pylist()]
    return pa.array(templates, pa.string()).take(coded.indices)


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
