"""Snappy blocks (not the framed form): what Loki and Prometheus clients send.

The declared length stands first, so a bomb is refused before anything is unpacked; the codec is
Arrow's, which never writes beyond it. Source: google/snappy format_description.txt.
"""

from __future__ import annotations

import pyarrow as pa

from collector.errors import BodyTooLarge, MalformedBody
from collector.receivers.limits import SNAPPY_RATIO_MAX

_CODEC = pa.Codec("snappy")


def declared_length(body: bytes) -> tuple[int, int]:
    """(length after unpacking, bytes the length takes). Raises MalformedBody."""
    length = 0
    for i, byte in enumerate(body[:5]):
        length |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if length >= 2**32:
                break
            return length, i + 1
    raise MalformedBody("no snappy block: its length is not a varint of 32 bits", 0)


def unpack_snappy(body: bytes, bytes_max: int) -> bytes:
    """The block's content. Raises BodyTooLarge beyond `bytes_max`, MalformedBody."""
    length, start = declared_length(body)
    if length > bytes_max:
        raise BodyTooLarge(bytes_max, "decompressed body")
    if length > SNAPPY_RATIO_MAX * (len(body) - start):
        raise MalformedBody("the snappy block declares more than it can hold", 0)
    if not length:
        if len(body) > start:
            raise MalformedBody("the snappy block declares no content and has some", start)
        return b""
    try:
        return bytes(_CODEC.decompress(body, decompressed_size=length, asbytes=True))
    except (OSError, pa.ArrowInvalid) as err:
        raise MalformedBody("the snappy block is damaged") from err
