"""Parquet's page index: where the pages of a chunk lie, and what lies between which values.

A reader that looks for some rows then undoes their pages alone. Source: parquet-format:
PageIndex.md, parquet.thrift (ColumnIndex, OffsetIndex).
"""

from __future__ import annotations

from storage.coded_pages import Chunk
from storage.thrift import BINARY, I32, I64, LIST, STRUCT, TRUE, Struct

_YES, _NO = 1, 2
"""Elements of a list of bool."""

_UNORDERED = 0


def offset_index(chunk: Chunk, at: int) -> Struct:
    """OffsetIndex of a chunk whose first data page lies at `at` of the file."""
    places = []
    row = 0
    for page in chunk.pages:
        size = len(page.stored)
        place: Struct = [(1, I64, at), (2, I32, size), (3, I64, row)]
        places.append(place)
        at += size
        row += page.rows
    return [(1, LIST, (STRUCT, places))]


def column_index(chunk: Chunk) -> Struct | None:
    """ColumnIndex of a chunk of a flat column; None = its pages do not tell their bounds."""
    if chunk.bounds is None:
        return None
    bounds = [page.bounds or (b"", b"") for page in chunk.pages]
    nothing = [_NO if page.bounds else _YES for page in chunk.pages]
    return [
        (1, LIST, (TRUE, nothing)),
        (2, LIST, (BINARY, [least for least, _ in bounds])),
        (3, LIST, (BINARY, [most for _, most in bounds])),
        (4, I32, _UNORDERED),
        (5, LIST, (I64, [page.nulls for page in chunk.pages])),
    ]
