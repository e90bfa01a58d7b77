"""Join the bodies of several payloads so that they are read in one pass, and find the way back.

Line protocols arrive as anything from one datagram with one line to a file chunk of many megabytes.
Bodies of the same sender's circumstances (tenant, environment, content) are joined with newlines; a
line's payload is found again by its offset.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from collector.payload import Payload


@dataclass(frozen=True, slots=True)
class JoinedBody:
    """Bodies of `payloads` in order, as UTF-8 with a newline between two."""

    tenant: str
    environment: str | None
    content: str
    text: bytes
    payloads: tuple[Payload, ...]
    first_lines: tuple[int, ...]
    """Index in `text` of the first line of each payload."""

    def locate(self, line: int) -> tuple[Payload, int]:
        """Payload of a line (by index in `text`) and the line's number in it, from 1."""
        i = bisect_right(self.first_lines, line) - 1
        return self.payloads[i], line - self.first_lines[i] + 1


def join_bodies(payloads: Sequence[Payload]) -> Iterator[JoinedBody]:
    """Group payloads by tenant, environment and content, in order of first appearance."""
    groups: dict[tuple[str, str | None, str], list[Payload]] = {}
    for payload in payloads:
        key = (payload.tenant, payload.environment, payload.content)
        groups.setdefault(key, []).append(payload)
    for (tenant, environment, content), members in groups.items():
        parts: list[bytes] = []
        first_lines: list[int] = []
        line = 0
        for payload in members:
            body = _one_line_json(readable_utf8(payload.body))
            body = body[:-1] if body.endswith(b"\n") else body
            first_lines.append(line)
            line += body.count(b"\n") + 1
            parts.append(body)
        yield JoinedBody(
            tenant, environment, content, b"\n".join(parts), tuple(members), tuple(first_lines)
        )


def _one_line_json(body: bytes) -> bytes:
    """A JSON document over several lines as one line; anything else as it is.

    Exports and hand-made posts are pretty-printed. Only looked at where the first line opens a
    document and does not close it, so that JSON lines cost nothing here.
    """
    start = body[:64].lstrip()
    if start[:1] not in (b"{", b"[") or b"\n" not in body:
        return body
    first = body.lstrip().partition(b"\n")[0].rstrip()
    if first.endswith((b"}", b"]")) and len(first) > 1:
        return body
    try:
        return orjson.dumps(orjson.loads(body))
    except orjson.JSONDecodeError:
        return body


def readable_utf8(body: bytes) -> bytes:
    """The body with NUL and bytes that are not UTF-8 written as `\\xNN`; most stay as they are.

    A user agent in Latin-1 must not cost a request, and a block of NULs left by a crash must not
    reach Arrow as text: escaped, the first parses and the second ends in `rejects`, readable.
    """
    if b"\0" in body:
        body = body.replace(b"\0", b"\\x00")
    if body.isascii():
        return body
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("utf-8", "backslashreplace").encode()
    return body


def count_lines(body: bytes) -> int:
    """Lines with something in them."""
    if b"\n\n" in body or b"\r\n" in body or body.startswith(b"\n"):
        return sum(1 for line in body.split(b"\n") if line.removesuffix(b"\r"))
    return body.count(b"\n") + (body != b"" and not body.endswith(b"\n"))
