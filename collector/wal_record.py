"""One record of the write-ahead log: the bytes, and how broken ones are told from good ones.

    segment file  <first sequence, 20 digits>.wal
    ┌──────────────────────── segment head, 44 bytes ────────────────────────────┐
    │ magic "GLWAL\\0\\0\\1" 8 │ wal id 16 │ first u64 │ previous u64 │ crc32 u32      │
    └────────────────────────────────────────────────────────────────────────────┘
    ┌──────────────────────── record, repeated ──────────────────────────────────┐
    │ marker "GLWR" 4 │ header bytes u32 │ body bytes u32 │ sequence u64          │
    │ crc32(header + body) u32 │ crc32(the 24 bytes so far) u32                   │  28 bytes
    ├────────────────────────────────────────────────────────────────────────────┤
    │ header: received u64 ns │ records u32 │ body size u32 │ content u8           │
    │         encoding u8 │ digest 16 (zeros = none)                              │  34 bytes
    │         4 x (u16 length, UTF-8): format, tenant, environment, origin        │
    ├────────────────────────────────────────────────────────────────────────────┤
    │ body, as it came over the wire (still compressed where it was)              │
    └────────────────────────────────────────────────────────────────────────────┘
    All integers little endian; record checksums start from the wal id's first four bytes (see
    `salt_of`). `previous` is the last sequence written before the segment, so that
    a missing segment or lost tail shows as an exact number. Environment length 0xFFFF = none.

The prefix has a checksum of its own: when only the body is damaged the next record is found at
its proper place; when the prefix is, the next marker with a good prefix is searched for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from zlib_ng import zlib_ng

from collector.limits import WAL_FIELD_BYTES_MAX
from collector.payload import Content, Payload

SEGMENT_MAGIC = b"GLWAL\x00\x00\x01"
_SEGMENT_HEAD = struct.Struct("<8s16sQQI")
SEGMENT_HEAD_BYTES = _SEGMENT_HEAD.size

MARKER = b"GLWR"
_PREFIX = struct.Struct("<4sIIQII")
PREFIX_BYTES = _PREFIX.size
_CHECKED = PREFIX_BYTES - 4
_HEADER = struct.Struct("<QIIBB16s")
_NONE = 0xFFFF

CONTENTS: tuple[Content, ...] = get_args(Content)
ENCODINGS = ("identity", "gzip", "deflate", "zstd", "snappy")
"""Content encodings by their number in a record. Append only."""

NO_DIGEST = bytes(16)


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """What a segment says about itself."""

    wal_id: str
    first: int
    """Sequence of its first record, should it have one."""
    previous: int
    """Last sequence before it; 0 = it is the first segment of the log."""

    def encode(self) -> bytes:
        packed = _SEGMENT_HEAD.pack(
            SEGMENT_MAGIC, bytes.fromhex(self.wal_id), self.first, self.previous, 0
        )
        return packed[:-4] + zlib_ng.crc32(packed[:-4]).to_bytes(4, "little")


def decode_segment_head(data: bytes) -> SegmentHead | None:
    """None where the bytes are no intact segment head."""
    if len(data) < SEGMENT_HEAD_BYTES:
        return None
    magic, wal_id, first, previous, crc = _SEGMENT_HEAD.unpack_from(data)
    if magic != SEGMENT_MAGIC or zlib_ng.crc32(data[: SEGMENT_HEAD_BYTES - 4]) != crc:
        return None
    return SegmentHead(wal_id.hex(), first, previous)


@dataclass(frozen=True, slots=True)
class WalRecord:
    """One admitted request as the log keeps it."""

    sequence: int
    """0 = not yet given one."""
    wire_body: bytes
    encoding: str
    """One of ENCODINGS: how `wire_body` is compressed."""
    body_bytes: int
    """Size of the body once decompressed."""
    records: int
    """What `Format.validate` counted."""
    digest: bytes
    """16 bytes; NO_DIGEST = this format does not recognise duplicates."""
    format: str
    content: Content
    tenant: str
    environment: str | None
    received_unix_nano: int
    origin: str

    def payload(self, body: bytes) -> Payload:
        """The payload a decoder takes; `body` is the decompressed one."""
        return Payload(
            body=body,
            format=self.format,
            content=self.content,
            tenant=self.tenant,
            environment=self.environment,
            received_unix_nano=self.received_unix_nano,
            origin=self.origin,
        )


def _text(value: str) -> bytes:
    data = value.encode("utf-8", "replace")[:WAL_FIELD_BYTES_MAX]
    return len(data).to_bytes(2, "little") + data


def encode_header(record: WalRecord) -> bytes:
    """The header part; its checksum does not depend on the sequence."""
    fixed = _HEADER.pack(
        record.received_unix_nano,
        record.records,
        record.body_bytes,
        CONTENTS.index(record.content),
        ENCODINGS.index(record.encoding),
        record.digest,
    )
    environment = (
        _NONE.to_bytes(2, "little") if record.environment is None else _text(record.environment)
    )
    return b"".join(
        (fixed, _text(record.format), _text(record.tenant), environment, _text(record.origin))
    )


def salt_of(wal_id: str) -> int:
    """Start value of a log's checksums. A sender cannot know it, so nothing inside a body can
    pass for a record when damage makes the scan look for the next one."""
    return int(wal_id[:8], 16)


def content_crc(header: bytes, body: bytes, salt: int) -> int:
    """crc32 over header and body. Costs 20 us per MB; computed outside any lock."""
    return zlib_ng.crc32(body, zlib_ng.crc32(header, salt))


def encode_prefix(header_bytes: int, body_bytes: int, sequence: int, crc: int, salt: int) -> bytes:
    packed = _PREFIX.pack(MARKER, header_bytes, body_bytes, sequence, crc, 0)
    return packed[:_CHECKED] + zlib_ng.crc32(packed[:_CHECKED], salt).to_bytes(4, "little")


def encode_record(record: WalRecord, salt: int) -> bytes:
    """The whole record at once (tests and tools; the log writes its parts without joining)."""
    header = encode_header(record)
    crc = content_crc(header, record.wire_body, salt)
    prefix = encode_prefix(len(header), len(record.wire_body), record.sequence, crc, salt)
    return b"".join((prefix, header, record.wire_body))


def _decode_content(data: memoryview, header_bytes: int, sequence: int) -> WalRecord | None:
    """The record from its checked header and body; None where the header makes no sense."""
    header = bytes(data[:header_bytes])
    try:
        received, records, body_bytes, content, encoding, digest = _HEADER.unpack_from(header)
        at = _HEADER.size
        texts: list[str | None] = []
        for _ in range(4):
            length = int.from_bytes(header[at : at + 2], "little")
            at += 2
            if length == _NONE:
                texts.append(None)
                continue
            texts.append(header[at : at + length].decode("utf-8", "replace"))
            at += length
        return WalRecord(
            sequence=sequence,
            wire_body=bytes(data[header_bytes:]),
            encoding=ENCODINGS[encoding],
            body_bytes=body_bytes,
            records=records,
            digest=digest,
            format=texts[0] or "",
            content=CONTENTS[content],
            tenant=texts[1] or "",
            environment=texts[2],
            received_unix_nano=received,
            origin=texts[3] or "",
        )
    except (struct.error, IndexError):
        return None


@dataclass(frozen=True, slots=True)
class Good:
    """An intact record and where it ends."""

    record: WalRecord
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Bad:
    """Bytes [start, end) that are no record. `torn`: nothing good follows in this file."""

    start: int
    end: int
    reason: str
    torn: bool


def _prefix_at(data: memoryview, at: int, salt: int) -> tuple[int, int, int, int] | None:
    """(header bytes, body bytes, sequence, crc) of an intact prefix at `at`."""
    if at + PREFIX_BYTES > len(data) or data[at : at + 4] != MARKER:
        return None
    _, header_bytes, body_bytes, sequence, crc, own = _PREFIX.unpack_from(data, at)
    if zlib_ng.crc32(data[at : at + _CHECKED], salt) != own:
        return None
    return header_bytes, body_bytes, sequence, crc


def record_size(prefix: bytes, salt: int) -> int | None:
    """Bytes of the whole record whose prefix this is; None where it is none."""
    found = _prefix_at(memoryview(prefix), 0, salt)
    return None if found is None else PREFIX_BYTES + found[0] + found[1]


def _next_prefix(data: memoryview, raw: bytes, start: int, salt: int) -> int | None:
    """Offset of the next intact prefix at or after `start`."""
    at = raw.find(MARKER, start)
    while at >= 0:
        if _prefix_at(data, at, salt) is not None:
            return at
        at = raw.find(MARKER, at + 1)
    return None


def scan_records(raw: bytes, salt: int, start: int = SEGMENT_HEAD_BYTES) -> Iterator[Good | Bad]:
    """What is in the bytes of a segment, in order and without gaps. Never raises.

    A body that contains a whole record (someone sends us our own log) is not mistaken for one:
    good records are stepped over as a unit, only damage makes the scan look for markers.
    """
    data = memoryview(raw)
    at = start
    while at < len(raw):
        prefix = _prefix_at(data, at, salt)
        if prefix is None:
            following = _next_prefix(data, raw, at + 1, salt)
            end = len(raw) if following is None else following
            reason = "zeros" if not any(raw[at : min(end, at + 4096)]) else "bad prefix"
            yield Bad(at, end, reason, torn=following is None)
            at = end
            continue
        header_bytes, body_bytes, sequence, crc = prefix
        body_start = at + PREFIX_BYTES
        end = body_start + header_bytes + body_bytes
        if end > len(raw):
            following = _next_prefix(data, raw, at + 1, salt)
            stop = len(raw) if following is None else following
            yield Bad(at, stop, "cut short", torn=following is None)
            at = stop
            continue
        content = data[body_start:end]
        record = (
            _decode_content(content, header_bytes, sequence)
            if zlib_ng.crc32(content, salt) == crc
            else None
        )
        if record is None:
            yield Bad(at, end, "bad checksum", torn=end == len(raw))
        else:
            yield Good(record, at, end)
        at = end


__all__ = [
    "CONTENTS",
    "ENCODINGS",
    "MARKER",
    "NO_DIGEST",
    "PREFIX_BYTES",
    "SEGMENT_HEAD_BYTES",
    "Bad",
    "Good",
    "SegmentHead",
    "WalRecord",
    "content_crc",
    "decode_segment_head",
    "encode_header",
    "encode_prefix",
    "encode_record",
    "record_size",
    "salt_of",
    "scan_records",
]
