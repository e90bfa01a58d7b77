"""A data file whose coded and flat columns are written by us, and the rest by pyarrow.

Arrow's writer spends about 20 ns on every key and value of a map and 15 on every NULL or code of a
column; from codes the pages are a copy (`coded_columns.py`), and nearly so from numbers and text
(`plain_pages.py`). Where other columns are left, it writes a file of those; ours go where its
footer was, and one footer says where everything lies.

    PAR1 | pyarrow's chunks, filters and page index | our chunks | our page index |
    footer | its length | PAR1
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from storage.coded_columns import Cut, map_chunks, text_chunks
from storage.coded_pages import Chunk, Leaf, null_chunk
from storage.page_index import column_index, offset_index
from storage.plain_pages import list_chunk, plain_chunk
from storage.thrift import I16, I32, I64, LIST, STRUCT, Struct, read_struct, struct_bytes

INDEXED_PAGE_ROWS = 20_000
"""Rows of our data pages in a file with a page index; pyarrow's are cut the same."""

_MAGIC = b"PAR1"


@dataclass(frozen=True, slots=True)
class _Template:
    """What files of a schema have in common."""

    footer: Struct
    leaves: dict[str, list[Leaf]]
    """Column -> its leaves, in order."""


_Placed = dict[str, list[Struct]]
"""Columns of a row group -> ColumnChunk of each of their leaves."""


@cache
def _template(schema: pa.Schema) -> _Template:
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema, store_schema=False):
        pass
    data = sink.getvalue()
    leaves: dict[str, list[Leaf]] = {}
    described = pq.ParquetFile(pa.BufferReader(data)).schema
    types = [_value(element, 1) for element in _value(_footer(data), 2)[1]]
    physical = [type_ for type_ in types if type_ is not None]
    for number, type_ in enumerate(physical):
        column = described.column(number)
        path = tuple(column.path.split("."))
        leaf = Leaf(path, type_, column.max_definition_level, column.max_repetition_level)
        leaves.setdefault(path[0], []).append(leaf)
    return _Template(_footer(data), leaves)


def _footer(data: pa.Buffer) -> Struct:
    size = int.from_bytes(data[data.size - 8 : data.size - 4].to_pybytes(), "little")
    return read_struct(data[data.size - 8 - size : data.size - 8].to_pybytes())[0]


def _value(fields: Struct, number: int) -> Any:
    return next((value for n, _, value in fields if n == number), None)


def write_coded_file(
    path: Path,
    schema: pa.Schema,
    rows: pa.Table,
    options: Mapping[str, object],
    *,
    group_rows: int | None = None,
    fast: Container[str] = (),
) -> None:
    """Write `rows`, at least one, in row groups of `group_rows`; None = all in one. `schema`: of
    the file, without codes. `options` of pyarrow's writer; with `write_page_index`, our pages are
    cut for one, and numbers and text without codes are left to pyarrow. `fast`: columns that are
    compressed with less care."""
    template = _template(schema)
    size = rows.num_rows if group_rows is None else group_rows
    groups = [rows.slice(at, size) for at in range(0, rows.num_rows, size)]
    made = {name: _chunks_of(name, template, groups, options, fast) for name in rows.column_names}
    ours = {name: chunks for name, chunks in made.items() if chunks is not None}
    theirs = [name for name in rows.column_names if name not in ours]
    placed: list[_Placed] = [{} for _ in groups]
    if theirs:
        _write_theirs(path, rows.select(theirs), options, size)
    with path.open("r+b" if theirs else "w+b") as file:
        if theirs:
            placed = [_by_name(group) for group in _value(_cut_footer(file), 4)[1]]
        else:
            file.write(_MAGIC)
        for name, of_groups in ours.items():
            for columns, chunks in zip(placed, of_groups, strict=True):
                columns[name] = [_append(file, chunk) for chunk in chunks]
        for name, of_groups in ours.items() if options.get("write_page_index") else ():
            for columns, chunks in zip(placed, of_groups, strict=True):
                pairs = zip(columns[name], chunks, strict=True)
                columns[name] = [_append_index(file, *pair) for pair in pairs]
        footer = struct_bytes(
            _completed(
                template.footer,
                [[column for name in rows.column_names for column in one[name]] for one in placed],
                [group.num_rows for group in groups],
            )
        )
        file.write(footer)
        file.write(len(footer).to_bytes(4, "little"))
        file.write(_MAGIC)


def _by_name(group: Struct) -> _Placed:
    placed: _Placed = {}
    for column in _value(group, 1)[1]:
        name = _value(_value(column, 3), 3)[1][0].decode()
        placed.setdefault(name, []).append(column)
    return placed


def _chunks_of(
    name: str,
    template: _Template,
    groups: list[pa.Table],
    options: Mapping[str, object],
    fast: Container[str],
) -> list[list[Chunk]] | None:
    """Our chunks of a column, by row group; None = it is pyarrow's."""
    leaves = template.leaves[name]
    columns = [group.column(name) for group in groups]
    made = [_chunks(leaves, column, name, options, fast, len(groups) > 1) for column in columns]
    chunks = [one for one in made if one is not None]
    return chunks if len(chunks) == len(groups) else None


def _append(file: BinaryIO, chunk: Chunk) -> Struct:
    """Write the chunk; its ColumnChunk."""
    at = file.tell()
    file.write(chunk.dictionary)
    file.writelines(page.stored for page in chunk.pages)
    return [(2, I64, 0), (3, STRUCT, chunk.metadata(at))]


def _append_index(file: BinaryIO, column: Struct, chunk: Chunk) -> Struct:
    """Write where the pages of a chunk lie and, where they tell, what lies in them; its ColumnChunk
    with both places."""
    first = _value(_value(column, 3), 9)
    places = struct_bytes(offset_index(chunk, first))
    column = [*column, (4, I64, file.tell()), (5, I32, len(places))]
    file.write(places)
    told = column_index(chunk)
    if told is not None:
        bounds = struct_bytes(told)
        column += [(6, I64, file.tell()), (7, I32, len(bounds))]
        file.write(bounds)
    return column


def _write_theirs(path: Path, rows: pa.Table, options: Mapping[str, object], size: int) -> None:
    """pyarrow's file of some columns, with what the options say about those."""
    names = set(rows.column_names)
    own = dict(options)
    for key, said in options.items():
        if isinstance(said, dict):
            own[key] = {leaf: value for leaf, value in said.items() if leaf.split(".")[0] in names}
        elif isinstance(said, list):
            own[key] = [leaf for leaf in said if leaf.split(".")[0] in names]
    with pq.ParquetWriter(path, rows.schema, **own) as writer:
        writer.write_table(rows, row_group_size=size)


def _cut_footer(file: BinaryIO) -> Struct:
    """The footer of a file, which goes on where it began."""
    file.seek(-8, os.SEEK_END)
    size = int.from_bytes(file.read(4), "little")
    file.seek(-8 - size, os.SEEK_END)
    footer = file.read(size)
    file.seek(-8 - size, os.SEEK_END)
    file.truncate()
    return read_struct(footer)[0]


def _completed(footer: Struct, groups: list[list[Struct]], rows: list[int]) -> Struct:
    """The footer with row groups of these columns."""
    described = []
    for ordinal, (columns, count) in enumerate(zip(groups, rows, strict=True)):
        sizes = [_value(column, 3) for column in columns]
        group: Struct = [
            (1, LIST, (STRUCT, columns)),
            (2, I64, sum(_value(one, 6) for one in sizes)),
            (3, I64, count),
            (5, I64, min(_value(one, 11) or _value(one, 9) for one in sizes)),
            (6, I64, sum(_value(one, 7) for one in sizes)),
            (7, I16, ordinal),
        ]
        described.append(group)
    changed = {3: (I64, sum(rows)), 4: (LIST, (STRUCT, described))}
    return [(n, *changed.get(n, (type_, value))) for n, type_, value in footer]


def _chunks(
    leaves: list[Leaf],
    column: pa.ChunkedArray,
    name: str,
    options: Mapping[str, object],
    fast: Container[str],
    part: bool,
) -> list[Chunk] | None:
    rows = len(column)
    if column.null_count == rows:
        return [null_chunk(leaf, rows) for leaf in leaves]
    indexed = bool(options.get("write_page_index"))
    compared = options["write_statistics"]
    assert isinstance(compared, list)
    cut = Cut(INDEXED_PAGE_ROWS if indexed else rows, name in compared, part)
    type_ = column.type
    if pa.types.is_dictionary(type_):
        return text_chunks(leaves, column.chunks, cut)
    if pa.types.is_map(type_) and all(
        map(pa.types.is_dictionary, (type_.key_type, type_.item_type))
    ):
        return map_chunks(leaves, column.chunks, cut)
    if indexed or len(leaves) > 1:
        return None
    if pa.types.is_list(type_):
        one = list_chunk(leaves[0], column)
    else:
        one = plain_chunk(leaves[0], column, compared=name in compared, fast=name in fast)
    return None if one is None else [one]
