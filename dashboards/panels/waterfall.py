"""A trace as rows of a waterfall: depth-first, children by start, every span exactly once.

Pure. Hostile traces are expected: missing parents (shown as roots), cycles (cut), spans that are
their own parent, negative durations (drawn as a point), thousands of levels (no recursion).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    span_id: str
    parent_id: str | None
    start_ns: int
    duration_ns: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A span's place: `index` into the input, `depth` from 0; `left` and `width` in percent."""

    index: int
    depth: int
    left: float
    width: float


LEAST_WIDTH = 0.15
"""Percent; a span that took no time still shows."""


def place(spans: Sequence[Span]) -> list[Placed]:
    """Rows in the order they are drawn. As many as spans; [] for none."""
    if not spans:
        return []
    begin = min(s.start_ns for s in spans)
    whole = max(1, max(s.start_ns + max(0, s.duration_ns) for s in spans) - begin)
    ids = {s.span_id for s in spans}
    children: dict[str, list[int]] = {}
    roots: list[int] = []
    for index, span in enumerate(spans):
        if span.parent_id is None or span.parent_id not in ids or span.parent_id == span.span_id:
            roots.append(index)
        else:
            children.setdefault(span.parent_id, []).append(index)
    rows: list[Placed] = []
    seen: set[int] = set()

    def by_start(indices: Sequence[int]) -> list[int]:
        return sorted(indices, key=lambda i: (spans[i].start_ns, i))

    def walk(start: Sequence[int]) -> None:
        stack = [(index, 0) for index in reversed(by_start(start))]
        while stack:
            index, depth = stack.pop()
            if index in seen:
                continue
            seen.add(index)
            span = spans[index]
            left = (span.start_ns - begin) / whole * 100
            width = max(LEAST_WIDTH, max(0, span.duration_ns) / whole * 100)
            rows.append(Placed(index, depth, round(left, 3), round(min(width, 100), 3)))
            for child in reversed(by_start(children.get(span.span_id, ()))):
                stack.append((child, depth + 1))

    walk(roots)
    # What is left hangs in a cycle: cut it at its earliest span.
    for index in by_start([i for i in range(len(spans)) if i not in seen]):
        if index not in seen:
            walk([index])
    return rows
