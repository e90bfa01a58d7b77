"""Label matchers, as in Alertmanager: `api=orders`, `team!=core`, `route=~"/v1/.*"`, `a!~b`.

Patterns are RE2's, as there: Python's own would let one person's `(a+)+b` hold up every rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

MatchOperator = Literal["=", "!=", "=~", "!~"]
_MATCHER = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
PATTERN_CHARS_MAX = 200
"""Length of a regular expression."""

_HITS_KEPT = 65_536
"""Answers of patterns that are kept: asking Arrow for one value takes some ten microseconds, and
each round asks the same of the same alerts."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label. A missing label counts as ''. Patterns match the whole value."""

    label: str
    operator: MatchOperator
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        found = labels.get(self.label, "")
        if self.operator == "=":
            return found == self.value
        if self.operator == "!=":
            return found != self.value
        try:
            hit = _whole_match(self.value, found)
        except pa.ArrowInvalid:  # kept since RE2 was not asked: what it quietened is told
            return False
        return hit is (self.operator == "=~")

    def __str__(self) -> str:
        return f'{self.label}{self.operator}"{self.value}"'


def parse_matcher(text: str) -> Matcher:
    """Raises ValueError with one sentence."""
    match = _MATCHER.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r} is no matcher; write label=value or label=~"pattern"')
    label, sign, value = match.groups()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    if sign in ("=~", "!~"):
        if len(value) > PATTERN_CHARS_MAX:
            raise ValueError(f"the pattern of {label} is longer than {PATTERN_CHARS_MAX}")
        try:
            _whole_match(value, "")
        except pa.ArrowInvalid as err:
            said = str(err).split(":", 1)[-1].strip()
            raise ValueError(f"the pattern of {label} is not one: {said}") from err
    return Matcher(label, sign, value)  # type: ignore[arg-type]


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)


@lru_cache(maxsize=_HITS_KEPT)
def _whole_match(pattern: str, text: str) -> bool:
    """In time that grows with the lengths alone. Raises pa.ArrowInvalid."""
    one = pa.array([text])
    pc.match_substring_regex(one, pattern)  # alone: `a)|(b` is no pattern, in brackets it would be
    return bool(pc.match_substring_regex(one, rf"\A(?:{pattern})\z")[0].as_py())
