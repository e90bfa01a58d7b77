"""A data file whose coded and flat columns are written by us, and the rest by pyarrow.

Arrow's writer spends about 20 ns on every key and value of a map and 15 on every NULL or code of a
column; from codes the pages are a copy (`coded_pages.py`), and nearly so from numbers and text
(`plain_pages.py`). Where other columns are left, its own file of those is taken apart: its chunks
are copied as they are, and one footer says where everything lies.

    PAR1 | our chunks | pyarrow's chunks | footer | its length | PAR1
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage.coded import is_valid
from storage.coded_pages import (
    Chunk,
    Codes,
    Leaf,
    bit_levels,
    coded_chunk,
    constant_level,
    null_chunk,
    text_dictionary,
    two_bit_levels,
)
from storage.list_levels import pieces, shape_of
from storage.plain_pages import list_chunk, plain_chunk
from storage.thrift import I16, I64, LIST, STRUCT, Struct, read_struct, struct_bytes

_MAGIC = b"PAR1"
_BYTE_ARRAY = 6
_PAGE_OFFSETS = (9, 10, 11)
"""Fields of ColumnMetaData that count from the start of the file."""


@dataclass(frozen=True, slots=True)
class _Template:
    """What files of a schema have in common."""

    footer: Struct
    leaves: dict[str, list[Leaf]]
    """Column -> its leaves, in order."""


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
    fast: Container[str] = (),
) -> None:
    """Write `rows`, at least one, as one row group. `schema`: of the file, without codes. `options`
    of pyarrow's writer. `fast`: columns that are compressed with less care."""
    template = _template(schema)
    compared = options["write_statistics"]
    assert isinstance(compared, list)
    ours: dict[str, list[Chunk]] = {}
    for name in rows.column_names:
        leaves, column = template.leaves[name], rows.column(name)
        chunks = _chunks(leaves, column)
        if chunks is None and len(leaves) == 1:
            if pa.types.is_list(column.type):
                one = list_chunk(leaves[0], column)
            else:
                one = plain_chunk(leaves[0], column, compared=name in compared, fast=name in fast)
            chunks = None if one is None else [one]
        if chunks is not None:
            ours[name] = chunks
    theirs = [name for name in rows.column_names if name not in ours]
    others = _written(rows.select(theirs), options) if theirs else None
    with path.open("wb") as file:
        file.write(_MAGIC)
        at = len(_MAGIC)
        placed: dict[str, list[Struct]] = {}
        for name, chunks in ours.items():
            placed[name] = []
            for chunk in chunks:
                placed[name].append(chunk.metadata(at))
                file.writelines(chunk.pages)
                at += chunk.size
        if others is not None:
            footer_size = int.from_bytes(others[others.size - 8 : others.size - 4], "little")
            file.write(others[len(_MAGIC) : others.size - 8 - footer_size])
            (group,) = _value(_footer(others), 4)[1]
            for chunk in _value(group, 1)[1]:
                moved = _moved(chunk, at - len(_MAGIC))
                name = _value(_value(moved, 3), 3)[1][0].decode()
                placed.setdefault(name, []).append(moved)
        columns = [chunk for name in rows.column_names for chunk in placed[name]]
        footer = struct_bytes(_completed(template.footer, columns, rows.num_rows))
        file.write(footer)
        file.write(len(footer).to_bytes(4, "little"))
        file.write(_MAGIC)


def _written(rows: pa.Table, options: Mapping[str, object]) -> pa.Buffer:
    """pyarrow's file of some columns, with what the options say about those."""
    names = set(rows.column_names)
    own = dict(options)
    for key in ("use_dictionary", "write_statistics", "column_encoding"):
        said = own[key]
        if isinstance(said, dict):
            own[key] = {leaf: value for leaf, value in said.items() if leaf.split(".")[0] in names}
        elif isinstance(said, Iterable):
            own[key] = [leaf for leaf in said if leaf.split(".")[0] in names]
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, rows.schema, **own) as writer:
        writer.write_table(rows, row_group_size=rows.num_rows)
    return sink.getvalue()


def _moved(chunk: Struct, by: int) -> Struct:
    """A ColumnChunk whose pages lie `by` bytes further on."""
    inner: Struct = [
        (n, type_, value + by if n in _PAGE_OFFSETS else value)
        for n, type_, value in _value(chunk, 3)
    ]
    return [(2, I64, 0), (3, STRUCT, inner)]


def _completed(footer: Struct, columns: list[Struct], rows: int) -> Struct:
    """The footer with one row group of these columns."""
    sizes = [_value(column, 3) for column in columns]
    group: Struct = [
        (1, LIST, (STRUCT, columns)),
        (2, I64, sum(_value(one, 6) for one in sizes)),
        (3, I64, rows),
        (5, I64, len(_MAGIC)),
        (6, I64, sum(_value(one, 7) for one in sizes)),
        (7, I16, 0),
    ]
    changed = {3: (I64, rows), 4: (LIST, (STRUCT, [group]))}
    return [(n, *changed.get(n, (type_, value))) for n, type_, value in footer]


def _chunks(leaves: list[Leaf], column: pa.ChunkedArray) -> list[Chunk] | None:
    """Our chunks of a column; None = it is pyarrow's."""
    rows = len(column)
    if column.null_count == rows:
        return [null_chunk(leaf, rows) for leaf in leaves]
    if any(leaf.physical_type != _BYTE_ARRAY for leaf in leaves):
        return None
    if pa.types.is_dictionary(column.type):
        return _of_codes(leaves[0], column.chunks)
    type_ = column.type
    if pa.types.is_map(type_) and all(
        map(pa.types.is_dictionary, (type_.key_type, type_.item_type))
    ):
        return _of_maps(leaves, column.chunks)
    return None


@dataclass(frozen=True, slots=True)
class _Texts:
    """Coded text of all parts of a column."""

    dictionary: pa.StringArray
    codes: Codes
    """Any number where NULL."""
    valid: np.ndarray[Any, np.dtype[np.bool_]] | None
    """None = all."""


def _texts(parts: list[pa.DictionaryArray]) -> _Texts | None:
    """None: the parts have different dictionaries."""
    first = parts[0].dictionary
    if any(not part.dictionary.equals(first) for part in parts[1:]):
        return None
    codes = np.concatenate([_codes(part) for part in parts]) if len(parts) > 1 else _codes(parts[0])
    valid = None
    if any(part.null_count for part in parts):
        valid = np.concatenate([is_valid(part) for part in parts])
    return _Texts(first, codes, valid)


def _codes(part: pa.DictionaryArray) -> Codes:
    codes: Codes = np.frombuffer(part.indices.buffers()[1], dtype=np.int32)
    return codes[part.offset : part.offset + len(part)]


def _of_codes(leaf: Leaf, parts: list[pa.DictionaryArray]) -> list[Chunk] | None:
    if parts[0].type.index_type != pa.int32():
        return None
    texts = _texts(parts)
    if texts is None:
        return None
    rows = len(texts.codes)
    if texts.valid is None:
        levels, codes = constant_level(1, 1, rows), texts.codes
    else:
        levels, codes = bit_levels(texts.valid), texts.codes[texts.valid]
    dictionary = texts.dictionary
    return [coded_chunk(leaf, text_dictionary(dictionary), len(dictionary), codes, levels, rows)]


def _of_maps(leaves: list[Leaf], parts: list[pa.MapArray]) -> list[Chunk] | None:
    """Keys are never NULL."""
    parts = pieces(parts)
    shape = shape_of(parts)
    keys, items = _texts([p.keys for p in parts]), _texts([p.items for p in parts])
    if shape is None or keys is None or items is None or keys.valid is not None:
        return None
    definition, count = shape.definition, shape.count
    of_keys = constant_level(2, 2, count) if definition is None else two_bit_levels(definition)
    of_items, codes = constant_level(3, 3, count), items.codes
    if definition is not None or items.valid is not None:
        of_values = np.full(count, 2, dtype=np.uint8) if definition is None else definition
        there = np.ones(len(codes), dtype=np.bool_) if items.valid is None else items.valid
        of_values[of_values == 2] += there
        of_items, codes = two_bit_levels(of_values), codes[there]
    return [
        coded_chunk(
            leaf, text_dictionary(texts.dictionary), len(texts.dictionary), own,
            shape.repetition + levels, count,
        )
        for leaf, texts, own, levels in (
            (leaves[0], keys, keys.codes, of_keys),
            (leaves[1], items, codes, of_items),
        )
    ]  # fmt: skip
