"""HTTP/2 frames by hand, for gRPC clients that behave as no library would."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""A client's first bytes: the preface and empty settings."""

DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_HEADERS = 4


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def call(stream: int, path: str, **metadata: str) -> bytes:
    """The HEADERS frame that opens a gRPC call; stream numbers are odd."""
    fields = {
        ":path": path,
        ":authority": "x",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    fields |= metadata
    # :method POST and :scheme http of HPACK's static table; the rest as literals, not indexed.
    head = b"\x83\x86" + b"".join(b"\0" + _text(k) + _text(v) for k, v in fields.items())
    return frame(HEADERS, END_HEADERS, stream, head)


def _text(value: str) -> bytes:
    data = value.encode()
    assert len(data) < 127
    return bytes([len(data)]) + data


def beginning(stream: int, size: int, sent: bytes) -> bytes:
    """A DATA frame with the first bytes of a message of `size` bytes."""
    return frame(DATA, 0, stream, struct.pack(">BI", 0, size) + sent)


@contextmanager
def connection(port: int, first: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.sendall(PREFACE + first)
        yield sock
