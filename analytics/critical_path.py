"""The critical path of a trace: the chain of spans that decided how long it took.

Walked backwards from the end of the root: at every moment the child that finished last before it is
what was waited for; where no child ran, the span itself was (Google's "critical path tracing", ACM
Queue 20(1), 2022, works the same way). Pure; hostile traces (cycles, missing parents, negative
times, children that outlive their parents) only shorten the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TimedSpan:
    """One span; `parent_id` None or unknown = a root."""

    span_id: str
    parent_id: str | None
    start_ns: int
    duration_ns: int

    @property
    def end_ns(self) -> int:
        return self.start_ns + max(0, self.duration_ns)


def critical_path(spans: Sequence[TimedSpan]) -> dict[int, int]:
    """Index of a span -> nanoseconds of it on the critical path; spans off the path are absent.

    Of several roots the one that ends last is followed. The values add up to its duration. {} for
    no spans.
    """
    if not spans:
        return {}
    known = {s.span_id for s in spans}
    children: dict[str, list[int]] = {}
    roots = []
    for index, span in enumerate(spans):
        if span.parent_id is None or span.parent_id not in known or span.parent_id == span.span_id:
            roots.append(index)
        else:
            children.setdefault(span.parent_id, []).append(index)
    if not roots:
        return {}
    root = max(roots, key=lambda i: (spans[i].end_ns, -i))
    return _walk(spans, children, root)


def _walk(
    spans: Sequence[TimedSpan], children: Mapping[str, Sequence[int]], root: int
) -> dict[int, int]:
    own: dict[int, int] = {}
    seen = {root}
    # (span, from, to): what of the span is still to be explained. A stack, since traces may be
    # thousands of levels deep.
    todo = [(root, spans[root].start_ns, spans[root].end_ns)]
    while todo:
        index, begin, cursor = todo.pop()
        own.setdefault(index, 0)
        below = sorted(
            children.get(spans[index].span_id, ()), key=lambda i: (spans[i].end_ns, i), reverse=True
        )
        for child in below:
            if child in seen or cursor <= begin:
                continue
            start = max(begin, spans[child].start_ns)
            end = min(cursor, spans[child].end_ns)
            if end <= start:
                continue
            seen.add(child)
            own[index] += cursor - end
            todo.append((child, start, end))
            cursor = start
        own[index] += max(0, cursor - begin)
    return own
