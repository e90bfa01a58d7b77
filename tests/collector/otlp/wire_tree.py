"""Mutations that keep a message well-formed around the wound, however deep it is.

A body is read into a tree by its descriptors, changed in one place, and written again with all
lengths put right. Flipping bytes (messages.py) nearly always breaks an outer length first and so
hardly ever tests what happens inside.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.collector.otlp.messages import WireGenerator, sized, varint

STRING, BYTES, MESSAGE = 9, 12, 11
TEXTS = ("", "a", "GET", "naïve ✓ 𝄞", "\ud7ff\ue000\U0010ffff\x00", "x" * 17, '"\\\n\x7f')
BAD_TEXT = (
    b"\xff", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"ok\xc3",
    b"\xf0\x80\x80\x80", b"12345678\xbf",
)  # fmt: skip
NUMBERS = (
    b"\0", b"\1", b"\xff" * 9 + b"\1", b"\xff" * 9 + b"\x7f", b"\x80" * 9 + b"\1", b"\x80\0",
    b"\xff" * 10 + b"\1", b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\x7f", b"\x80" * 5 + b"\1",
)  # fmt: skip
"""Varints: of every length, with padding, past 32 and 64 bits, one byte too long."""
ODD = (
    b"\xf8\xff\xff\xff\x0f\0", b"\xf8\xff\xff\xff\x1f\0", b"\xf8\x80\x80\x80\0\0",
    b"\xf8\x80\x80\x80\x80\0\0", b"\0\0", b"\x0e", b"\x0f", b"\x0c", b"\x0b", b"\x0d\1\2",
    b"\x7a\x80\x80\x80\x80\x08", b"\x7a\x82\x80\x80\x80\0hi", b"\x7a\xff\xff\xff\xff\x07",
    b"\x7a\x82\x80\x80\x80\x80\0hi", b"\x79" + bytes(7), b"\x7b\x74", b"\x7a\3no",
    *(b"\x78" + number for number in NUMBERS),
)  # fmt: skip
"""Whole fields at the edge of what is allowed, inside and outside of groups."""


class Node:
    """One field as it is on the wire."""

    __slots__ = ("children", "field", "length_pad", "number", "raw", "tag_pad", "wire")

    def __init__(self, number: int, wire: int, raw: bytes, field: Any = None) -> None:
        self.number = number
        self.wire = wire
        self.raw = raw
        """Bytes after the tag; for wire type 2 those after the length."""
        self.field = field
        """Its descriptor, None = unknown."""
        self.children: Level | None = None
        """Of a message; `raw` does not count then."""
        self.tag_pad = self.length_pad = 0

    def write(self) -> bytes:
        tag = padded(varint(self.number << 3 | self.wire), self.tag_pad)
        if self.wire != 2:
            return tag + self.raw
        raw = self.raw if self.children is None else self.children.write()
        return tag + padded(varint(len(raw)), self.length_pad) + raw


class Odd(Node):
    """Bytes as they are, whatever they mean."""

    __slots__ = ()

    def __init__(self, raw: bytes) -> None:
        super().__init__(0, 7, raw)

    def write(self) -> bytes:
        return self.raw


class Level:
    """The fields of one message."""

    __slots__ = ("descriptor", "nodes")

    def __init__(self, descriptor: Any, nodes: list[Node]) -> None:
        self.descriptor = descriptor
        self.nodes = nodes

    def write(self) -> bytes:
        return b"".join([node.write() for node in self.nodes])


def padded(data: bytes, count: int) -> bytes:
    """A varint with `count` bytes more than it needs."""
    if not count:
        return data
    return data[:-1] + bytes([data[-1] | 0x80]) + b"\x80" * (count - 1) + b"\0"


def read_tree(body: bytes, descriptor: Any) -> Level | None:
    """The tree of a well-formed body; None where it is not, or has groups."""
    nodes = []
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        wire = tag & 7
        start = at
        if wire == 0:
            _, at = _varint(body, at)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        elif wire == 2:
            size, start = _varint(body, at)
            at = start + size
        else:
            return None
        if not 0 < at <= len(body):
            return None
        field = _fields(descriptor).get(tag >> 3)
        node = Node(tag >> 3, wire, body[start:at], field)
        if wire == 2 and field is not None and field.type == MESSAGE:
            node.children = read_tree(node.raw, field.message_type)
            if node.children is None:
                return None
        nodes.append(node)
    return Level(descriptor, nodes)


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """(value, next position); a position past the end where it is cut short."""
    value = shift = 0
    while at < len(body):
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    return value, len(body) + 1


_known: dict[str, dict[int, Any]] = {}


def _fields(descriptor: Any) -> dict[int, Any]:
    found = _known.get(descriptor.full_name)
    if found is None:
        found = _known[descriptor.full_name] = {f.number: f for f in descriptor.fields}
    return found


def levels(level: Level) -> Iterator[Level]:
    """The level and all below it."""
    yield level
    for node in level.nodes:
        if node.children is not None:
            yield from levels(node.children)


class TreeMutator:
    """Changes trees in place, one wound a call."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._wire = WireGenerator(seed)
        self._wounds: tuple[Callable[[Level], None], ...] = (
            self._twice, self._twice, self._delete, self._shuffle, self._renumber, self._rewire,
            self._unknown, self._unknown, self._number, self._number, self._pad, self._text,
            self._cut, self._packing, self._add, self._add, self._add, self._oneof, self._oneof,
            self._deepen, self._graft, self._odd,
        )  # fmt: skip
        self._shelf: list[Node] = []

    def wound(self, tree: Level) -> None:
        """Change `tree` in one place."""
        everywhere = list(levels(tree))
        self.random.choice(self._wounds)(self.random.choice(everywhere))

    def _pick(self, level: Level, *kinds: int) -> Node | None:
        """A node of the level, if there is one; only of these field types, if any are given."""
        nodes = [n for n in level.nodes if not kinds or (n.field and n.field.type in kinds)]
        return self.random.choice(nodes) if nodes else None

    def _put(self, level: Level, node: Node) -> None:
        level.nodes.insert(self.random.randrange(len(level.nodes) + 1), node)

    def _twice(self, level: Level) -> None:
        """The same node again: singular messages merge, of other singular fields the last wins."""
        node = self._pick(level)
        if node is not None:
            raw = node.raw if node.children is None else node.children.write()
            self._put(level, self._node(node.field, node.number, node.wire, raw))

    def _node(self, field: Any, number: int, wire: int, raw: bytes) -> Node:
        node = Node(number, wire, raw, field)
        if wire == 2 and field is not None and field.type == MESSAGE:
            node.children = read_tree(raw, field.message_type)
        return node

    def _delete(self, level: Level) -> None:
        if level.nodes:
            del level.nodes[self.random.randrange(len(level.nodes))]

    def _shuffle(self, level: Level) -> None:
        self.random.shuffle(level.nodes)

    def _renumber(self, level: Level) -> None:
        node = self._pick(level)
        if node is not None:
            known = tuple(_fields(level.descriptor))
            node.number = self.random.choice((*known * 3, 0, 19, 31, 32, 33, 2**29 - 1, 2**29))

    def _rewire(self, level: Level) -> None:
        """Another wire type, with bytes that fit it or with those it had."""
        node = self._pick(level)
        if node is None:
            return
        wire = self.random.choice((0, 1, 2, 3, 5) * 3 + (4, 6, 7))
        if self.random.random() < 0.85:
            fitting = {0: self.random.choice(NUMBERS), 1: bytes(range(8)), 5: b"\1\2\3\4"}
            node.raw = fitting.get(wire, b"")
            if wire == 3:
                node.raw = varint(node.number << 3 | 4)
        node.wire, node.children = wire, None

    def _unknown(self, level: Level) -> None:
        number = self.random.choice((*_fields(level.descriptor), 15, 31, 32, 500, 2**29 - 1))
        raw = self._wire._unknown(number, self.random.choice((0, 5, 10)))
        node = Node(0, 0, b"")
        node.raw = raw[len(varint(number << 3)) :]
        node.number, node.wire = number, raw[0] & 7
        if node.wire == 2:
            node.raw = b"\x08\x01" * self.random.randrange(3)
        self._put(level, node)

    def _number(self, level: Level) -> None:
        node = self.random.choice([n for n in level.nodes if n.wire == 0] or [None])  # type: ignore[list-item]
        if node is not None:
            node.raw = self.random.choice(NUMBERS)

    def _pad(self, level: Level) -> None:
        node = self._pick(level)
        if node is not None:
            if self.random.random() < 0.5:
                node.tag_pad = self.random.choice((1, 2, 3, 4, 5))
            else:
                node.length_pad = self.random.choice((1, 2, 3, 4, 5))

    def _text(self, level: Level) -> None:
        node = self._pick(level, STRING, BYTES)
        if node is not None:
            bad = self.random.random() < 0.15
            text = self.random.choice(BAD_TEXT) if bad else self.random.choice(TEXTS).encode()
            at = self.random.choice((0, len(node.raw)))
            node.raw = node.raw[:at] + text + node.raw[at:]

    def _cut(self, level: Level) -> None:
        """A leaf's own bytes cut short, its length put right."""
        node = self._pick(level)
        if node is not None and node.children is None:
            node.raw = node.raw[: self.random.randrange(len(node.raw) + 1)]

    def _odd(self, level: Level) -> None:
        raw = b"".join(self.random.choices(ODD, k=self.random.choice((1, 1, 2))))
        groups = self.random.choice((0, 1, 1, 2))
        self._put(level, Odd(b"\x7b" * groups + raw + b"\x7c" * groups))

    def _packing(self, level: Level) -> None:
        """A list of numbers in the other form, or in a broken packed one."""
        lists = [
            f
            for f in _fields(level.descriptor).values()
            if f.is_repeated and f.type not in (STRING, BYTES, MESSAGE)
        ]
        if not lists:
            return
        field = self.random.choice(lists)
        wide = field.type in (1, 6, 16)
        items = [
            self.random.randbytes(8) if wide else self.random.choice(NUMBERS)
            for _ in range(self.random.randrange(4))
        ]
        if self.random.random() < 0.5:
            for item in items:
                self._put(level, Node(field.number, 1 if wide else 0, item, field))
        else:
            cut = self.random.choice((0,) * 9 + (1, 4, 4, 7))
            raw = b"".join(items)
            self._put(level, Node(field.number, 2, raw[: len(raw) - cut], field))

    def _add(self, level: Level) -> None:
        """Any field of the message, with random content."""
        fields = list(_fields(level.descriptor).values())
        if fields:
            self._put_random(level, self.random.choice(fields))

    def _oneof(self, level: Level) -> None:
        """More members of a oneof: the last one on the wire wins."""
        oneofs = [o for o in level.descriptor.oneofs if len(o.fields) > 1]
        for _ in range(self.random.choice((1, 1, 2, 3)) if oneofs else 0):
            self._put_random(level, self.random.choice(self.random.choice(oneofs).fields))

    def _put_random(self, level: Level, field: Any) -> None:
        made = read_tree(self._wire._known(field, 6), level.descriptor)
        for node in made.nodes if made is not None else ():
            self._put(level, node)

    def _deepen(self, level: Level) -> None:
        """Wrap a value into arrays, maps or groups, up to and past the limit of 100."""
        if level.descriptor.name != "AnyValue":
            return
        groups = self.random.choice((0, 0, 0, 0, 1, 1, 2, 3, 99, 100, 101))
        content = self.random.choice((level.write()[:200], b"", b"\x10\x01"))
        content = b"\x7b" * groups + b"\x7c" * groups + content
        if self.random.random() < 0.5:
            content = sized(5, content)
        for _ in range(self.random.choice((1, 2, 10, 40, 44, 45, 46, 47, 48, 49, 50))):
            if self.random.random() < 0.9:
                content = sized(5, sized(1, content))
            else:
                content = sized(6, sized(1, sized(1, b"k") + sized(2, content)))
        level.nodes = [Node(5, 2, sized(1, content))]

    def _graft(self, level: Level) -> None:
        """A node seen elsewhere, perhaps of another kind of message."""
        node = self._pick(level)
        if node is not None:
            self._shelf.append(Node(node.number, node.wire, node.write()[1:], None))
            if node.wire == 2:
                raw = node.raw if node.children is None else node.children.write()
                self._shelf[-1].raw = raw
            del self._shelf[:-50]
        other = self.random.choice(self._shelf or [None])  # type: ignore[list-item]
        if other is not None:
            field = _fields(level.descriptor).get(other.number)
            self._put(level, self._node(field, other.number, other.wire, other.raw))


__all__ = ["Level", "Node", "TreeMutator", "levels", "padded", "read_tree"]
