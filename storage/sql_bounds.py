"""Which stretch of time an analyst's query can ask for, so that older files stay closed.

From DuckDB's own parse: a table's bounds come from `time` compared with constant expressions in the
top-level ANDs of every WHERE it stands under.

    SELECT ... FROM requests WHERE time >= now() - INTERVAL 1 HOUR AND api = 'a'
    ->  requests: from (now - 1 h)

Anything else (a join, an OR, a parameter, a table named a second time without condition) leaves the
table unbounded: a bound may only ever leave out files that hold no row of the answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import duckdb

from storage.sql_guard import Tree, tree_nodes

_MARGIN_US = timedelta(minutes=1) // timedelta(microseconds=1)
"""The query itself evaluates now() a little later than we do."""

_FLIPPED = {
    "COMPARE_GREATERTHAN": "COMPARE_LESSTHAN",
    "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO",
    "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN",
    "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_EQUAL": "COMPARE_EQUAL",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Microseconds since 1970, half-open; None = unbounded."""

    start_us: int | None = None
    end_us: int | None = None


def time_bounds(con: duckdb.DuckDBPyConnection, tree: Tree, table: str) -> Bounds:
    """Bounds of `table` over the whole query. Raises nothing: in doubt, unbounded."""
    nodes = list(tree_nodes(tree))
    references = sum(_names(n, table) for n in nodes)
    conditions = [
        (_alias(n["from_table"]), n.get("where_clause"))
        for n in nodes
        if n.get("type") == "SELECT_NODE" and _names(n.get("from_table"), table)
    ]
    if references == 0 or len(conditions) != references:
        return Bounds()
    found = [_of_condition(con, alias, c) for alias, c in conditions]
    starts, ends = [f.start_us for f in found], [f.end_us for f in found]
    return Bounds(
        None if None in starts else min(s for s in starts if s is not None) - _MARGIN_US,
        None if None in ends else max(e for e in ends if e is not None) + _MARGIN_US,
    )


def _names(node: object, table: str) -> bool:
    if not isinstance(node, dict) or node.get("type") != "BASE_TABLE":
        return False
    return str(node.get("table_name", "")).lower() == table


def _alias(source: object) -> str:
    """What a column of the table may be qualified with."""
    node = cast("Tree", source)
    return str(node.get("alias") or node.get("table_name")).lower()


def _of_condition(con: duckdb.DuckDBPyConnection, alias: str, condition: object) -> Bounds:
    starts: list[int] = []
    ends: list[int] = []
    for kind, expression in _comparisons(alias, condition):
        moment = _evaluate(con, expression)
        if moment is None:
            continue
        if kind in ("COMPARE_GREATERTHAN", "COMPARE_GREATERTHANOREQUALTO", "COMPARE_EQUAL"):
            starts.append(moment)
        if kind in ("COMPARE_LESSTHAN", "COMPARE_LESSTHANOREQUALTO", "COMPARE_EQUAL"):
            ends.append(moment + 1)
    return Bounds(max(starts, default=None), min(ends, default=None))


def _comparisons(alias: str, condition: object) -> Iterator[tuple[str, Tree]]:
    """`time <op> expression` among the ANDed conditions, turned so that `time` is on the left."""
    if not isinstance(condition, dict):
        return
    kind = str(condition.get("type"))
    if kind == "CONJUNCTION_AND":
        for child in cast("list[object]", condition.get("children", [])):
            yield from _comparisons(alias, child)
    elif kind in _FLIPPED:
        left, right = condition.get("left"), condition.get("right")
        if _is_time(alias, left) and isinstance(right, dict):
            yield kind, right
        elif _is_time(alias, right) and isinstance(left, dict):
            yield _FLIPPED[kind], left
    elif kind == "COMPARE_BETWEEN" and _is_time(alias, condition.get("input")):
        yield "COMPARE_GREATERTHANOREQUALTO", cast("Tree", condition.get("lower"))
        yield "COMPARE_LESSTHANOREQUALTO", cast("Tree", condition.get("upper"))


def _is_time(alias: str, node: object) -> bool:
    """Whether this is the table's own `time`, not one of a query around it."""
    if not isinstance(node, dict) or node.get("class") != "COLUMN_REF":
        return False
    names = [n.lower() for n in cast("list[str]", node.get("column_names", []))]
    return names in (["time"], [alias, "time"])


def _evaluate(con: duckdb.DuckDBPyConnection, expression: Tree) -> int | None:
    """Microseconds of a constant expression; None when it is not constant or not a time."""
    variable = ("COLUMN_REF", "SUBQUERY", "PARAMETER", "WINDOW", "STAR", "LAMBDA")
    if any(n.get("class") in variable for n in tree_nodes(expression)):
        return None
    try:
        (frame,) = con.execute("SELECT json_serialize_sql('SELECT 1')").fetchall()[0]
        statement = json.loads(frame)
        statement["statements"][0]["node"]["select_list"] = [expression]
        (text,) = con.execute(
            "SELECT json_deserialize_sql($1::JSON)", [json.dumps(statement)]
        ).fetchall()[0]
        row = con.execute(f"SELECT epoch_us(CAST(({text}) AS TIMESTAMPTZ))").fetchone()
    except duckdb.Error:
        return None
    return None if row is None or row[0] is None else int(row[0])
