"""What people type to find spans and log records: `key=value` terms, and the rest as text.

`carrier=north http.response.status_code>=500 "connection reset"`: every term must hold. Keys are
attributes, or one of the well-known columns. Values are always bound; a key only ever is a value
looked up in a map, so nothing typed becomes part of a statement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

TERMS_MAX = 6
"""Terms of one search; further ones are ignored."""

_TERM = re.compile(
    r"""(?P<key>[\w.\-/]{1,100})(?P<op>!=|>=|<=|=|>|<)(?:"(?P<quoted>[^"]*)"|(?P<value>\S+))"""
)
_OPS = {"=": "=", "!=": "IS DISTINCT FROM", ">": ">", ">=": ">=", "<": "<", "<=": "<="}


@dataclass(frozen=True, slots=True)
class Term:
    key: str
    op: str
    value: str


@dataclass(frozen=True, slots=True)
class Search:
    terms: tuple[Term, ...]
    text: str | None
    """What is left; None = nothing. Quotes around the whole of it are taken off."""


def parse_search(typed: str | None) -> Search:
    """Never raises: what is no term is text."""
    terms: list[Term] = []

    def take(match: re.Match[str]) -> str:
        if len(terms) >= TERMS_MAX:
            return ""
        value = match["quoted"] if match["quoted"] is not None else match["value"]
        terms.append(Term(match["key"], match["op"], value))
        return ""

    rest = " ".join(_TERM.sub(take, typed or "").split())
    if len(rest) > 1 and rest[0] == rest[-1] == '"':
        rest = rest[1:-1]
    return Search(tuple(terms), rest or None)


def conditions(
    search: Search, columns: Mapping[str, str], maps: tuple[str, ...]
) -> tuple[str, dict[str, object]]:
    """SQL that holds where every term does (starts with AND, '' for no terms), and its parameters.

    columns: key as typed -> column of the table; other keys are looked up in `maps`, of which the
    first that has the key counts.
    """
    parts: list[str] = []
    params: dict[str, object] = {}
    for index, term in enumerate(search.terms):
        column = columns.get(term.key)
        if column is None:
            params[f"k{index}"] = term.key
            looked_up = ", ".join(f"{name}[$k{index}]" for name in maps)
            column = f"coalesce({looked_up})" if len(maps) > 1 else looked_up
        else:
            column = f"CAST({column} AS VARCHAR)"
        number = _number(term.value) if term.op not in ("=", "!=") else None
        if term.op in ("=", "!="):
            params[f"v{index}"] = term.value
        elif number is not None:
            params[f"v{index}"] = number
            column = f"TRY_CAST({column} AS DOUBLE)"
        else:
            parts.append("AND FALSE")  # an order among texts is not offered
            params.pop(f"k{index}", None)
            continue
        parts.append(f"AND {column} {_OPS[term.op]} $v{index}")
    return "\n".join(parts), params


def with_term(typed: str | None, key: str, value: str) -> str:
    """The search with one more term: what a click on a facet makes of it."""
    quoted = f'"{value}"' if re.search(r"\s", value) else value
    term = f"{key}={quoted}".replace('""', '"')
    return " ".join(part for part in ((typed or "").strip(), term) if part)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
