"""Reads the part of PromQL that alert rules over requests are written in. Pure: text in, tree out.

    sum by (api) (rate(http_requests_total{code=~"5.."}[5m])) / sum by (api) (rate(...)) > 0.05

Selectors with matchers and a range, calls, aggregations with `by`, the four operations, one
comparison. Anything else (offset, @, subqueries, without, on/ignoring, and/or/unless, bool) is
refused by name. Grammar: https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from alerting.limits import PROMQL_CHARS_MAX, PROMQL_DEPTH_MAX
from alerting.yaml_section import parse_duration

AGGREGATIONS = ("sum", "avg", "min", "max", "count")
COMPARISONS = (">=", "<=", "==", "!=", ">", "<")
_REFUSED = frozenset(
    ("offset", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless",
     "bool", "atan2")
)  # fmt: skip
_TOKEN = re.compile(
    r"""\s*(?:\#[^\n]*\n\s*)*(?:
        (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w:]))
      | (?P<word>[A-Za-z_:][\w:]*)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<range>\[[^\]\n]{0,40}\])
      | (?P<sign>=~|!~|>=|<=|==|!=|[-+*/><(){},=@^%])
    )""",
    re.VERBOSE,
)


class PromqlRefused(Exception):
    """The expression is outside of what is read; the message says what of it."""


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class LabelMatch:
    """One matcher; operator is =, !=, =~ or !~."""

    label: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    metric: str
    matchers: tuple[LabelMatch, ...] = ()
    range_s: float | None = None
    """Seconds of `[5m]`; None = an instant."""


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Aggregation:
    name: str
    by: tuple[str, ...]
    inner: Node


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Node
    right: Node


Node = Number | Selector | Call | Aggregation | Binary


def parse_promql(text: str) -> Node:
    """The tree of an expression. Raises PromqlRefused."""
    if len(text) > PROMQL_CHARS_MAX:
        raise PromqlRefused(f"it is longer than {PROMQL_CHARS_MAX} characters")
    parser = _Parser(_tokens(text))
    tree = parser.comparison()
    if parser.kind:
        raise PromqlRefused(f"{parser.token!r} is not expected there")
    return tree


def _tokens(text: str) -> list[tuple[str, str]]:
    found = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise PromqlRefused(f"{text[at : at + 20].strip()!r} cannot be read")
        token = match[match.lastgroup]
        if match.lastgroup == "word" and token in _REFUSED:
            raise PromqlRefused(f"{token!r} is not supported")
        found.append((match.lastgroup, token))
        at = match.end()
    return found


class _Parser:
    """Recursive descent. `kind` is '' at the end."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = [*tokens, ("", "")]
        self._at = 0
        self._depth = 0

    @property
    def kind(self) -> str:
        return self._tokens[self._at][0]

    @property
    def token(self) -> str:
        return self._tokens[self._at][1]

    def comparison(self) -> Node:
        left = self._sum()
        if self.kind == "sign" and self.token in COMPARISONS:
            operator = self._next()
            left = Binary(operator, left, self._sum())
        return left

    def _sum(self) -> Node:
        left = self._product()
        while self.kind == "sign" and self.token in ("+", "-"):
            operator = self._next()
            left = Binary(operator, left, self._product())
        return left

    def _product(self) -> Node:
        left = self._atom()
        while self.kind == "sign" and self.token in ("*", "/"):
            operator = self._next()
            left = Binary(operator, left, self._atom())
        return left

    def _atom(self) -> Node:
        self._depth += 1
        if self._depth > PROMQL_DEPTH_MAX:
            raise PromqlRefused("it is nested too deeply")
        try:
            return self._inner_atom()
        finally:
            self._depth -= 1

    def _inner_atom(self) -> Node:
        if self.kind == "number":
            return Number(float(self._next()))
        if self._is("-"):
            self._next()
            inner = self._atom()
            if not isinstance(inner, Number):
                raise PromqlRefused("a minus before an expression is not supported")
            return Number(-inner.value)
        if self._is("("):
            self._next()
            inner = self.comparison()
            self._expect(")")
            return inner
        if self.kind == "word":
            word = self._next()
            if word in AGGREGATIONS and (self._is("(") or self.token == "by"):
                return self._aggregation(word)
            return self._call(word) if self._is("(") else self._selector(word)
        if self._is("{"):
            return self._selector("")
        raise PromqlRefused(f"{self.token or 'the end'!r} is not expected there")

    def _aggregation(self, name: str) -> Aggregation:
        by = self._by()
        self._expect("(")
        inner = self.comparison()
        self._expect(")")
        return Aggregation(name, by or self._by(), inner)

    def _by(self) -> tuple[str, ...]:
        if self.token != "by":
            return ()
        self._next()
        self._expect("(")
        labels = []
        while not self._is(")"):
            labels.append(self._word())
            if not self._is(")"):
                self._expect(",")
        self._expect(")")
        return tuple(labels)

    def _call(self, name: str) -> Call:
        self._expect("(")
        arguments = []
        while not self._is(")"):
            arguments.append(self.comparison())
            if not self._is(")"):
                self._expect(",")
        self._expect(")")
        return Call(name, tuple(arguments))

    def _selector(self, metric: str) -> Selector:
        matchers = []
        if self._is("{"):
            self._next()
            while not self._is("}"):
                label, operator = self._word(), self._next()
                if operator not in ("=", "!=", "=~", "!~") or self.kind != "text":
                    raise PromqlRefused(f"the matcher of {label!r} cannot be read")
                matchers.append(LabelMatch(label, operator, _unquoted(self._next())))
                if not self._is("}"):
                    self._expect(",")
            self._expect("}")
        range_s = None
        if self.kind == "range":
            raw = self._next()[1:-1].strip()
            if ":" in raw:
                raise PromqlRefused("subqueries are not supported")
            range_s = parse_duration(raw)
            if not range_s:
                raise PromqlRefused(f"[{raw}] is no range")
        return Selector(metric, tuple(matchers), range_s)

    def _is(self, sign: str) -> bool:
        return self.kind == "sign" and self.token == sign

    def _next(self) -> str:
        token = self.token
        if not self.kind:
            raise PromqlRefused("it ends too early")
        self._at += 1
        return token

    def _word(self) -> str:
        if self.kind != "word":
            raise PromqlRefused(f"{self.token or 'the end'!r} is no label")
        return self._next()

    def _expect(self, sign: str) -> None:
        if not self._is(sign):
            raise PromqlRefused(f"{sign!r} is missing before {self.token or 'the end'!r}")
        self._next()


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1])
