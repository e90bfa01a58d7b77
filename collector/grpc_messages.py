"""Compressed gRPC messages, undone by us instead of the gRPC core.

The core makes a gzip message in pieces of a kilobyte, then joins them, all before anybody has
reserved the bytes; `decompress.py` is several times faster and stops at its limits. Told not to
decompress, the core hands over what came and does not say how it is compressed, so that is read
off the first bytes: no protobuf message starts like gzip (0x1F would be wire type 7), and one that
starts like zlib would begin with a field 15, which no message here has. A message that only looks
like zlib is taken as it is.
"""

from __future__ import annotations

from collector.decompress import decompress
from collector.errors import MalformedBody
from collector.intake import Intake

PER_MESSAGE_DECOMPRESSION = "grpc.per_message_decompression"
"""Option of the server, to be 0. GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION."""

_ZLIB_HEAD = 0x78


def encoding_of(message: bytes) -> str:
    """What it seems to be: gzip, deflate (zlib's format) or identity."""
    if message[:3] == b"\x1f\x8b\x08":
        return "gzip"
    if len(message) > 2 and message[0] == _ZLIB_HEAD and (_ZLIB_HEAD << 8 | message[1]) % 31 == 0:
        return "deflate"
    return "identity"


def plain_message(intake: Intake, message: bytes) -> bytes:
    """The message as it was before compression. Raises as `Intake.reserve` and `decompress`."""
    encoding = encoding_of(message)
    if encoding == "identity":
        return message
    settings = intake.settings
    reservation = intake.reserve(len(message))
    try:
        return decompress(
            message,
            encoding,
            bytes_max=settings.body_bytes_max,
            ratio_max=settings.body_ratio_max,
            grow=lambda size: reservation.grow_to(size + len(message)),
        )
    except MalformedBody:
        if encoding == "deflate":
            return message
        raise
    finally:
        reservation.release()
