"""Seeded random OTLP requests, valid and hostile, for the comparison with Google's decoder."""

from __future__ import annotations

import random
from typing import Any

from tests.collector.otlp.reference import REQUESTS

NOW = 1_795_257_417_000_000_000
"""Reception time of all generated bodies, ns."""

KEYS = (
    "http.request.method", "http.method", "http.route", "http.response.status_code",
    "http.status_code", "url.path", "http.target", "url.full", "http.url", "server.address",
    "http.host", "net.host.name", "client.address", "http.client_ip", "service.name",
    "service.namespace", "service.version", "service.instance.id", "deployment.environment",
    "deployment.environment.name", "k", "", "ключ", "user_agent.original",
)  # fmt: skip
TEXTS = (
    "", "a", "GET", "200", "099", "1000", "/orders/7?x=1#y", "https://shop.example/a/b?q#f",
    "http://h?x", "://", "x://y/z", "naïve ✓ 𝄞", 'quote " back \\ tab \t nul \0 del \x7f',
    "x" * 130, "production",
)  # fmt: skip
INTS = (0, 1, 2, 200, 404, 999, 1000, -1, 2**31 - 1, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63))
DOUBLES = (
    0.0,
    -0.0,
    1.0,
    0.1,
    1e16,
    1e-7,
    5e-324,
    1.7e308,
    float("nan"),
    float("inf"),
    -float("inf"),
)
TIMES = (
    NOW, NOW - 10**9, NOW + 1, NOW, NOW - 12_345_678, 0, 1, 946_684_800 * 10**9,
    946_684_800 * 10**9 - 1, NOW + 10 * 366 * 86_400 * 10**9, NOW + 10 * 366 * 86_400 * 10**9 + 1,
    2**63 - 1, 2**63, 2**64 - 1,
)  # fmt: skip


class Generator:
    """Random messages by descriptor. Half of all times are sound, so that most records are kept."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def request(self, format_name: str, size: float = 1.0) -> bytes:
        message = REQUESTS[format_name]()
        self._fill(message, 0, size)
        return bytes(message.SerializeToString())

    def _fill(self, message: Any, depth: int, size: float) -> None:
        chance = self.random.random
        for field in message.DESCRIPTOR.fields:
            deep = depth > 14 or (field.message_type is not None and depth > 11)
            if chance() < (0.95 if deep else 0.25 if depth > 4 else 0.15):
                continue
            if field.is_repeated:
                count = self.random.choice((0, 1, 1, 2, 3)) if size > 0.5 else 1
                for _ in range(count):
                    if field.message_type is not None:
                        self._fill(getattr(message, field.name).add(), depth + 1, size)
                    else:
                        getattr(message, field.name).append(self._scalar(field))
            elif field.message_type is not None:
                child = getattr(message, field.name)
                child.SetInParent()
                self._fill(child, depth + 1, size)
            else:
                setattr(message, field.name, self._scalar(field))

    def _scalar(self, field: Any) -> Any:
        pick = self.random.choice
        if field.name == "key":
            return pick(KEYS)
        if "time_unix_nano" in field.name:
            return pick(TIMES) if self.random.random() < 0.3 else pick(TIMES[:5])
        if field.type == 9:
            return pick(TEXTS)
        if field.type == 12:
            return self._raw(field.name)
        if field.type == 8:
            return pick((True, False))
        if field.type == 1:
            return pick(DOUBLES)
        if field.type == 14:
            return pick((0, 1, 2, 3, 4, 5, 6, 24, 25, -1, 2**31 - 1))
        low, high = {
            3: (-(2**63), 2**63 - 1), 16: (-(2**63), 2**63 - 1), 4: (0, 2**64 - 1),
            6: (0, 2**64 - 1), 5: (-(2**31), 2**31 - 1), 17: (-(2**31), 2**31 - 1),
            7: (0, 2**32 - 1), 13: (0, 2**32 - 1),
        }[field.type]  # fmt: skip
        return min(max(pick(INTS), low), high) if self.random.random() < 0.7 else pick((low, high))

    def _raw(self, name: str) -> bytes:
        size = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}.get(name)
        if size is None:
            return self.random.randbytes(self.random.choice((0, 1, 2, 3, 4, 17)))
        if self.random.random() < 0.1:
            return self.random.choice((b"", bytes(size), b"x", b"y" * (size + 1)))
        return self.random.randbytes(size)

    def mutated(self, body: bytes) -> bytes:
        """`body` with one to four wounds."""
        data = bytearray(body)
        for _ in range(self.random.choice((1, 1, 2, 4))):
            wound = self.random.choice(WOUNDS)
            wound(self.random, data)
        return bytes(data)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def sized(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def _at(rng: random.Random, data: bytearray) -> int:
    return rng.randrange(len(data) + 1)


def _flip(rng: random.Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(rng: random.Random, data: bytearray) -> None:
    if data:
        value = rng.choice((0, 1, 2, 3, 4, 0x7F, 0x80, 0xFF, 0x0A, 0x12, rng.randrange(256)))
        data[rng.randrange(len(data))] = value


def _truncate(rng: random.Random, data: bytearray) -> None:
    del data[_at(rng, data) :]


def _trail(rng: random.Random, data: bytearray) -> None:
    data += rng.choice((b"\0", b"\x0a", b"\x0a\0", b"\xff" * 11, b"\x0b\x0c", rng.randbytes(3)))


def _insert(rng: random.Random, data: bytearray) -> None:
    at = _at(rng, data)
    data[at:at] = rng.choice(
        (
            b"\0", b"\x80", b"\xff" * 9 + b"\x01", b"\x80\0", b"\x7b\x7c", b"\xf8\x07\x01",
            b"\xa3\x06\x08\x01\xa4\x06", b"\x0a\x02\x0a\x00", b"\xc0\x80", rng.randbytes(2),
        )
    )  # fmt: skip


def _delete(rng: random.Random, data: bytearray) -> None:
    at = _at(rng, data)
    del data[at : at + rng.choice((1, 1, 2, 8))]


def _repeat(rng: random.Random, data: bytearray) -> None:
    at = _at(rng, data)
    size = rng.choice((2, 8, 40, 200))
    data[at:at] = data[at : at + size]


WOUNDS = (_flip, _flip, _set, _set, _truncate, _trail, _insert, _insert, _delete, _repeat)


class WireGenerator:
    """Random wire format that follows the descriptors loosely: any field with any wire type, fields
    out of order, singular messages repeated, packed and unpacked, unknown fields, groups. Nearly
    all of it is well-formed, which byte flips seldom leave inside deeply nested messages."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def request(self, format_name: str) -> bytes:
        return self._message(REQUESTS[format_name].DESCRIPTOR, 0)

    def _message(self, descriptor: Any, depth: int) -> bytes:
        out = b""
        fields = list(descriptor.fields)
        most = 6 if depth < 6 else 3 if depth < 12 else 1
        for _ in range(self.random.randrange(most + 1)):
            field = self.random.choice(fields)
            if self.random.random() < 0.08:
                out += self._unknown(self.random.choice((field.number, 15, 31, 32, 500)), depth)
            else:
                out += self._known(field, depth)
        return out

    def _known(self, field: Any, depth: int) -> bytes:
        rng = self.random
        if field.message_type is not None:
            return sized(field.number, self._message(field.message_type, depth + 1))
        if field.type == 9:
            text = rng.choice(KEYS if field.name == "key" else TEXTS).encode()
            return sized(
                field.number, rng.choice((text, text, text, text, b"\xed\xa0\x80", b"\xff"))
            )
        if field.type == 12:
            return sized(field.number, rng.randbytes(rng.choice((0, 8, 16, 8, 16, 3))))
        if field.type in (1, 6, 16):
            count = rng.randrange(4)
            if field.is_repeated and rng.random() < 0.5:
                return sized(field.number, b"".join(self._fixed64(field) for _ in range(count)))
            return varint(field.number << 3 | 1) + self._fixed64(field)
        if field.type == 7:
            return varint(field.number << 3 | 5) + rng.randbytes(4)
        if field.is_repeated and rng.random() < 0.5:
            return sized(field.number, b"".join(self._varint() for _ in range(rng.randrange(4))))
        return varint(field.number << 3) + self._varint()

    def _fixed64(self, field: Any) -> bytes:
        if "time" in field.name and self.random.random() < 0.8:
            return NOW.to_bytes(8, "little")
        return self.random.choice((bytes(8), b"\xff" * 8, self.random.randbytes(8)))

    def _varint(self) -> bytes:
        rng = self.random
        return rng.choice(
            (
                varint(rng.randrange(7)), varint(rng.randrange(7)), varint(rng.getrandbits(64)),
                b"\xff" * 9 + b"\x01", b"\x80" * 9 + b"\x7f", b"\x80\x80\0", varint(2**32 + 1),
            )
        )  # fmt: skip

    def _unknown(self, number: int, depth: int) -> bytes:
        rng = self.random
        wire = rng.choice((0, 1, 2, 3, 5))
        tag = varint(number << 3 | wire)
        if wire == 0:
            return tag + self._varint()
        if wire == 1:
            return tag + rng.randbytes(8)
        if wire == 2:
            return tag + sized(1, rng.randbytes(rng.randrange(3)))[1:]
        if wire == 5:
            return tag + rng.randbytes(4)
        inner = (
            b""
            if depth > 12
            else b"".join(
                self._unknown(rng.choice((1, 2, 40)), depth + 4) for _ in range(rng.randrange(3))
            )
        )
        return tag + inner + varint(number << 3 | 4)
