"""Cut a TCP stream into messages: lines, or syslog's octet counting. No I/O; feed it bytes."""

from __future__ import annotations

from collections.abc import Iterator

from collector.receivers.limits import MESSAGE_BYTES_MAX


class FrameTooLong(ValueError):
    """A message is longer than MESSAGE_BYTES_MAX; the stream cannot be followed further."""


class Deframer:
    """One connection's stream.

    `octets`: a message may begin with its length (RFC 6587, 3.4.1); told by its first byte, which
    is a digit then and `<` otherwise.
    """

    def __init__(self, *, octets: bool) -> None:
        self._octets = octets
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Messages that are complete now. Raises FrameTooLong."""
        body, at = self._rest + data, 0
        try:
            while at < len(body):
                if self._octets and body[at : at + 1].isdigit():
                    found = _counted(body, at)
                else:
                    found = _line(body, at)
                if found is None:
                    break
                message, at = found
                if message.strip():
                    yield message
        finally:
            self._rest = body[at:]

    def finish(self) -> bytes:
        """What is left when the peer closes: a last line without its newline, or b''. Half a
        counted message is none."""
        rest, self._rest = self._rest.strip(), b""
        return b"" if self._octets and rest[:1].isdigit() else rest


def _counted(body: bytes, at: int) -> tuple[bytes, int] | None:
    space = body.find(b" ", at, at + 8)
    if space < 0:
        if len(body) - at >= 8:
            raise FrameTooLong
        return None
    digits = body[at:space]
    if not digits.isdigit() or int(digits) > MESSAGE_BYTES_MAX:
        raise FrameTooLong
    end = space + 1 + int(digits)
    return None if end > len(body) else (body[space + 1 : end], end)


def _line(body: bytes, at: int) -> tuple[bytes, int] | None:
    end = body.find(b"\n", at)
    if end < 0 and len(body) - at > MESSAGE_BYTES_MAX:
        raise FrameTooLong
    if end < 0:
        return None
    if end - at > MESSAGE_BYTES_MAX:
        raise FrameTooLong
    return body[at:end], end + 1
