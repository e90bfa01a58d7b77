"""Parquet column chunks straight from codes, as bytes.

A chunk is a dictionary page and data pages (version 1), or data pages alone (`plain_pages.py`).
Codes go in as one bit-packed run of 8, 16 or 32 bits a code: that is a copy, and zstd squeezes
whole bytes as well as it does packed bits. Levels are runs of Parquet's RLE hybrid. What is the
same in every row costs a few bytes and no compression. Every page has its checksum. Source:
parquet-format: README.md, Encodings.md, parquet.thrift.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.thrift import BINARY, I32, I64, LIST, STRUCT, Struct, struct_bytes, varint

Codes = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

_PLAIN, _RLE, _RLE_DICTIONARY = 0, 3, 8
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
BYTE_ARRAY = 6
"""Number of Parquet's Type for text."""
_UNCOMPRESSED, SNAPPY, ZSTD = 0, 1, 6
_COMPRESS_BYTES_MIN = 256
"""Chunks below this stay as they are."""

_CODECS = {ZSTD: pa.Codec("zstd", compression_level=1), SNAPPY: pa.Codec("snappy")}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A column of a file, as its schema has it."""

    path: tuple[str, ...]
    physical_type: int
    """Number of Parquet's Type."""
    definition_max: int
    repetition_max: int


Bounds = tuple[bytes, bytes]
"""The least and the greatest value, PLAIN without lengths."""


@dataclass(frozen=True, slots=True)
class Body:
    """A data page that is still to be compressed."""

    rows: int
    values: int
    """NULLs and empty lists included."""
    filled: int
    """Of them, what is not NULL."""
    data: bytes
    """Levels, repetition before definition, then values."""
    bounds: Bounds | None = None
    """None = not told, or nothing is filled."""


@dataclass(frozen=True, slots=True)
class Page:
    """A data page as it lies in the file."""

    rows: int
    nulls: int
    stored: bytes
    """Header included."""
    bounds: Bounds | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A column chunk; its metadata once it is known where it lies."""

    leaf: Leaf
    values: int
    """NULLs and empty lists included."""
    nulls: int
    codec: int
    encoding: int
    """Of the data pages."""
    dictionary: bytes
    """Page of the values that codes stand for; b"" = there are no codes."""
    pages: list[Page]
    raw_size: int
    """Of all pages without compression, headers included."""

    @property
    def size(self) -> int:
        return len(self.dictionary) + sum(len(page.stored) for page in self.pages)

    @property
    def bounds(self) -> Bounds | None:
        """Of all pages; None where one of them does not tell."""
        told = [page.bounds for page in self.pages if page.bounds is not None]
        if not told or len(told) < sum(page.nulls < page.rows for page in self.pages):
            return None
        if self.leaf.physical_type == BYTE_ARRAY:
            return min(least for least, _ in told), max(most for _, most in told)
        assert len(told) == 1, "bounds of numbers over several pages are not compared as bytes"
        return told[0]

    def metadata(self, offset: int) -> Struct:
        """ColumnMetaData of a chunk that starts at `offset` of the file."""
        encodings = [_RLE, self.encoding]
        if self.dictionary:
            encodings = [_RLE, _PLAIN, self.encoding]
        fields: Struct = [
            (1, I32, self.leaf.physical_type),
            (2, LIST, (I32, encodings)),
            (3, LIST, (BINARY, [name.encode() for name in self.leaf.path])),
            (4, I32, self.codec),
            (5, I64, self.values),
            (6, I64, self.raw_size),
            (7, I64, self.size),
            (9, I64, offset + len(self.dictionary)),
        ]
        if self.dictionary:
            fields.append((11, I64, offset))
        said: Struct = [(3, I64, self.nulls)]
        if self.bounds is not None:
            said += [(5, BINARY, self.bounds[1]), (6, BINARY, self.bounds[0])]
        fields.append((12, STRUCT, said))
        return fields


def null_chunk(leaf: Leaf, rows: int) -> Chunk:
    """A column without any value, at any depth."""
    body = constant_level(0, leaf.repetition_max, rows)
    body += constant_level(0, leaf.definition_max, rows)
    return data_chunk(leaf, [Body(rows, rows, 0, body)], _PLAIN, _UNCOMPRESSED)


def coded_chunk(leaf: Leaf, dictionary: bytes, distinct: int, bodies: list[Body]) -> Chunk:
    """`dictionary`: its `distinct` values, PLAIN."""
    enough = sum(len(body.data) for body in bodies) + len(dictionary) >= _COMPRESS_BYTES_MIN
    codec = ZSTD if enough else _UNCOMPRESSED
    said: Struct = [(1, I32, distinct), (2, I32, _PLAIN)]
    first, raw_size = _page(_DICTIONARY_PAGE, dictionary, codec, (7, STRUCT, said))
    return _chunk(leaf, first, raw_size, bodies, _RLE_DICTIONARY, codec)


def data_chunk(leaf: Leaf, bodies: list[Body], encoding: int, codec: int) -> Chunk:
    """Without a dictionary."""
    if sum(len(body.data) for body in bodies) < _COMPRESS_BYTES_MIN:
        codec = _UNCOMPRESSED
    return _chunk(leaf, b"", 0, bodies, encoding, codec)


def _chunk(
    leaf: Leaf, dictionary: bytes, raw_size: int, bodies: list[Body], encoding: int, codec: int
) -> Chunk:
    pages = []
    for body in bodies:
        header = _data_header(body.values, encoding)
        stored, size = _page(_DATA_PAGE, body.data, codec, header)
        raw_size += size
        pages.append(Page(body.rows, body.values - body.filled, stored, body.bounds))
    values = sum(body.values for body in bodies)
    nulls = sum(page.nulls for page in pages)
    return Chunk(leaf, values, nulls, codec, encoding, dictionary, pages, raw_size)


def _page(kind: int, body: bytes, codec: int, said: tuple[int, int, Struct]) -> tuple[bytes, int]:
    """A page with its header, and its size without compression."""
    stored = body if codec == _UNCOMPRESSED else _CODECS[codec].compress(body, asbytes=True)
    crc = zlib.crc32(stored)
    crc -= (crc >> 31) << 32  # the format has a signed number
    sizes: Struct = [(1, I32, kind), (2, I32, len(body)), (3, I32, len(stored)), (4, I32, crc)]
    header = struct_bytes([*sizes, said])
    return header + stored, len(header) + len(body)


def _data_header(values: int, encoding: int) -> tuple[int, int, Struct]:
    return (5, STRUCT, [(1, I32, values), (2, I32, encoding), (3, I32, _RLE), (4, I32, _RLE)])


def text_dictionary(texts: pa.StringArray) -> bytes:
    """Texts, none of them NULL, in PLAIN encoding: each behind its length in four bytes."""
    count = len(texts)
    if not count:
        return b""
    _, offset_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int32)[texts.offset : texts.offset + count + 1]
    start, size = int(offsets[0]), int(offsets[-1] - offsets[0])
    out = np.empty(size + 4 * count, dtype=np.uint8)
    if size:
        text = np.ones(len(out), dtype=np.bool_)
        places = (offsets[:-1] - start + 4 * np.arange(count))[:, None] + np.arange(4)
        text[places] = False
        out[text] = np.frombuffer(data_buffer, dtype=np.uint8)[start : start + size]
        out[places] = np.diff(offsets).astype("<i4").view(np.uint8).reshape(count, 4)
    else:
        out[:] = 0
    return out.tobytes()


def packed_codes(codes: Codes, distinct: int) -> bytes:
    """Dictionary indices of a data page: their width in bits, then runs."""
    if distinct <= 1 or not len(codes):
        return b"\0" + (varint(len(codes) << 1) if len(codes) else b"")
    if int(codes.min(initial=0)) == int(codes.max(initial=0)) == 0:
        return b"\x08" + varint(len(codes) << 1) + b"\0"
    width = 1 if distinct <= 1 << 8 else 2 if distinct <= 1 << 16 else 4
    groups = -(-len(codes) // 8)
    padded = np.zeros(groups * 8, dtype=f"<u{width}")
    padded[: len(codes)] = codes
    return bytes([8 * width]) + varint(groups << 1 | 1) + padded.tobytes()


def constant_level(level: int, level_max: int, count: int) -> bytes:
    """Levels that are all alike; nothing where there is only one."""
    if not level_max:
        return b""
    run = varint(count << 1) + bytes([level])
    return len(run).to_bytes(4, "little") + run


def bit_levels(ones: Bools) -> bytes:
    """Levels 0 and 1, of one bit."""
    groups = -(-len(ones) // 8)
    run = varint(groups << 1 | 1) + np.packbits(ones, bitorder="little").tobytes()
    return len(run).to_bytes(4, "little") + run


def two_bit_levels(levels: npt.NDArray[np.uint8]) -> bytes:
    """Levels 0 to 3, of two bits."""
    groups = -(-len(levels) // 8)
    bits = np.empty((len(levels), 2), dtype=np.uint8)
    bits[:, 0] = levels & 1
    bits[:, 1] = levels >> 1
    packed = np.packbits(bits, bitorder="little").tobytes()
    run = varint(groups << 1 | 1) + packed.ljust(groups * 2, b"\0")
    return len(run).to_bytes(4, "little") + run
