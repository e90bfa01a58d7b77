"""Messages without what varies in them: a small Drain (He et al. 2017, "Drain: An Online Log
Parsing Approach with Fixed Depth Tree").

Messages are split at spaces and compared within groups of the same number of words and the same
first word. A message joins the pattern it shares most words with, if at least SIMILAR of them; the
words that differ become `<*>`. What numbers and ids were is masked before (SQL does that, so that
a million records come here as a few thousand lines with counts).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

ANY = "<*>"
SIMILAR = 0.6
"""Share of words that must agree, wildcards not counted as agreeing."""

PATTERNS_MAX = 1_000
"""Patterns kept; of what comes beyond, only what fits one of them is counted."""

WORDS_MAX = 60
"""Words of one message that count; the rest is cut."""


@dataclass(frozen=True, slots=True)
class Message:
    """One masked text, how often it came, from where, and how grave it was at the worst."""

    text: str
    records: int
    service: str | None
    severity_number: int | None
    last_seen: datetime


@dataclass(slots=True)
class Pattern:
    words: list[str]
    records: int = 0
    services: set[str | None] = field(default_factory=set)
    severity_number: int | None = None
    last_seen: datetime | None = None

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def take(self, words: list[str], message: Message) -> None:
        self.words = [a if a == b else ANY for a, b in zip(self.words, words, strict=True)]
        self.records += message.records
        self.services.add(message.service)
        if message.severity_number is not None:
            self.severity_number = max(self.severity_number or 0, message.severity_number)
        if self.last_seen is None or message.last_seen > self.last_seen:
            self.last_seen = message.last_seen


def find_patterns(messages: Iterable[Message]) -> list[Pattern]:
    """Patterns, most records first. Deterministic: commoner messages are taken first."""
    groups: dict[tuple[int, str], list[Pattern]] = {}
    count = 0
    for message in sorted(messages, key=lambda m: (-m.records, m.text)):
        words = message.text.split()[:WORDS_MAX] or [""]
        group = groups.setdefault((len(words), _first(words[0])), [])
        best = max(group, key=lambda p: _alike(p.words, words), default=None)
        if best is None or _alike(best.words, words) < SIMILAR:
            if count >= PATTERNS_MAX:
                continue
            count += 1
            best = Pattern(list(words))
            group.append(best)
        best.take(words, message)
    found = [pattern for group in groups.values() for pattern in group]
    return sorted(found, key=lambda p: (-p.records, p.text))


def _first(word: str) -> str:
    """First words with a mask or digit in them vary: they do not tell groups apart."""
    return ANY if "#" in word or any(c.isdigit() for c in word) else word


def _alike(pattern: list[str], words: list[str]) -> float:
    """Masked words say nothing: `order # failed` and `order # listed` share one word of two."""
    telling = [(a, b) for a, b in zip(pattern, words, strict=True) if any(c.isalpha() for c in b)]
    if not telling:
        return 1.0
    return sum(a == b for a, b in telling) / len(telling)
