"""Label matchers, as in Alertmanager: `api=orders`, `team!=core`, `route=~"/v1/.*"`, `a!~b`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

MatchOperator = Literal["=", "!=", "=~", "!~"]
_MATCHER = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
PATTERN_CHARS_MAX = 200
"""Length of a regular expression; with labels cut to 500 characters that bounds the matching."""


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
        hit = re.fullmatch(self.value, found) is not None
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
            re.compile(value)
        except re.error as err:
            raise ValueError(f"the pattern of {label} is not one: {err}") from err
    return Matcher(label, sign, value)  # type: ignore[arg-type]


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)
