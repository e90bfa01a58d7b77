"""Content encodings, undone without ever making more output than allowed.

    encoding   codec           notes
    identity   -
    gzip       zlib-ng         members one after the other are all read (RFC 1952, 2.2)
    deflate    zlib-ng         zlib format (RFC 9110, 8.4.1.2); bare deflate is taken too,
                               since some senders mean that
    zstd       backports.zstd  frames one after the other are all read (RFC 8878, 3)
    snappy     pyarrow         one block, only where a receiver's protocol says so

One-shot decompressors are not used: some of them believe the size a frame declares.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Protocol

from zlib_ng import zlib_ng

from collector.errors import BodyTooLarge, MalformedBody, UnsupportedEncoding
from collector.limits import DECOMPRESS_STEP_BYTES, GZIP_MEMBERS_MAX, ZSTD_WINDOW_LOG_MAX
from collector.receivers.snappy import unpack_snappy

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

RATIO_FREE_BYTES = 1024 * 1024
"""Output up to this is never too much for its input: tiny bodies of zeros are no bombs."""


_EXPANSION = 8
"""Bytes of telemetry per byte of it compressed, about."""


def plain_bytes_expected(size: int, encoding: str) -> int:
    """About how many bytes a body of `size` bytes becomes. A guess, to decide where the work is
    done and how much memory it will want, before any is done."""
    return size if encoding == "identity" else size * _EXPANSION


class _Decoder(Protocol):
    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def _gzip() -> _Decoder:
    return zlib_ng.decompressobj(31)


def _zlib() -> _Decoder:
    return zlib_ng.decompressobj(15)


def _bare_deflate() -> _Decoder:
    return zlib_ng.decompressobj(-15)


def _zstd() -> Any:
    parameter: int = zstd.DecompressionParameter.window_log_max
    return zstd.ZstdDecompressor(options={parameter: ZSTD_WINDOW_LOG_MAX})


_DAMAGED: Any = (zlib_ng.error, zstd.ZstdError)


def parse_encoding(value: str) -> str:
    """The one encoding a Content-Encoding header names; '' and identity are 'identity'.

    Raises UnsupportedEncoding, also for a list: nothing is ever decoded twice.
    """
    name = value.strip().lower()
    if name in ("", "identity"):
        return "identity"
    if name in ("gzip", "deflate", "zstd"):
        return name
    if name == "x-gzip":
        return "gzip"
    raise UnsupportedEncoding(value)


def decompress(
    body: bytes,
    encoding: str,
    *,
    bytes_max: int,
    ratio_max: int = 0,
    grow: Callable[[int], None] | None = None,
) -> bytes:
    """The body as its format wants it. `encoding` is a result of `parse_encoding`. `grow` is told
    the size so far before more is made of a large body; what it raises ends the work.

    Raises BodyTooLarge once the output passes `bytes_max` (or `ratio_max` times the input, for
    more than RATIO_FREE_BYTES; 0 = no such limit), MalformedBody where the input is no such
    stream or ends early. Never holds more than the limit plus one codec buffer.
    """
    if encoding == "identity" or not body:
        if len(body) > bytes_max:
            raise BodyTooLarge(bytes_max)
        return body
    limit = bytes_max
    if ratio_max:
        limit = min(limit, max(RATIO_FREE_BYTES, ratio_max * len(body)))
    if encoding == "snappy":
        return unpack_snappy(body, limit)
    try:
        if encoding == "gzip":
            return _run(body, _gzip, limit, grow)
        if encoding == "deflate":
            return _run(body, _zlib if _looks_like_zlib(body) else _bare_deflate, limit, grow)
        return _run(body, _zstd, limit, grow)
    except _DAMAGED as err:
        raise MalformedBody(f"the {encoding} stream is damaged ({err})") from err


def _looks_like_zlib(body: bytes) -> bool:
    """RFC 1950, 2.2: method 8 and a header divisible by 31."""
    return len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0


def _run(body: bytes, new: Any, limit: int, grow: Callable[[int], None] | None) -> bytes:
    parts: list[bytes] = []
    size = 0
    rest = body
    for _ in range(GZIP_MEMBERS_MAX):
        decoder: _Decoder = new()
        while True:
            wanted = min(DECOMPRESS_STEP_BYTES, limit + 1 - size)
            out = decoder.decompress(rest, wanted)
            size += len(out)
            if size > limit:
                raise BodyTooLarge(limit, "decompressed body")
            parts.append(out)
            if decoder.eof:
                break
            if len(out) < wanted:
                # The output limit was not reached, so it is the input that ended.
                raise MalformedBody("the compressed body ends early", len(body))
            if grow is not None:
                grow(size + min(DECOMPRESS_STEP_BYTES, limit + 1 - size))
            # zlib hands back what it has not read yet, zstd keeps it.
            rest = getattr(decoder, "unconsumed_tail", b"")
        rest = decoder.unused_data
        if not rest:
            return parts[0] if len(parts) == 1 else b"".join(parts)
    raise MalformedBody(f"more than {GZIP_MEMBERS_MAX} compressed members")
