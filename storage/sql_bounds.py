"""Which stretch of time an analyst's query can ask for, so that older files stay closed.

From DuckDB's own parse: a table's bounds come from `time` or `day` compared with constants and
bound parameters, in the top-level ANDs of every WHERE it stands under and of every ON it is joined
by.

    SELECT ... FROM requests r JOIN spans s ON s.trace_id = r.trace_id AND s.time >= $since
    WHERE r.time >= now() - INTERVAL 1 HOUR AND r.api = 'a'
    ->  requests: from (now - 1 h); spans: from $since

| what | why it is safe to leave files out |
|---|---|
| WHERE on a joined table | a row that fails it is in no result, nor is one padded with NULL |
| ON of an inner join | the same as WHERE |
| ON of LEFT (RIGHT) | restricts the right (left) table only: the other side's rows stay |

Anything else (an OR, a positional or ASOF join, renamed columns, a sample, a table named a second
time without condition) leaves the table unbounded: a bound may only ever leave out files that hold
no row of the answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import duckdb

from storage.sql_guard import Tree, tree_nodes

_MARGIN_US = timedelta(minutes=1) // timedelta(microseconds=1)
"""The query itself evaluates now() a little later than we do."""

_DAY_US = timedelta(days=1) // timedelta(microseconds=1)
"""A row's `day` is at most this far from its `time`."""

_VOLATILE = ("random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "setseed", "nextval")
"""Another value with every row."""

Params = Mapping[str, object] | Sequence[object]

_Columns = Mapping[tuple[str, ...], int]
"""Name parts of a column -> slack in microseconds between its bound and one of `time`."""

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


def time_bounds(
    con: duckdb.DuckDBPyConnection, tree: Tree, table: str, params: Params = ()
) -> Bounds:
    """Bounds of `table` over the whole query. Raises nothing: in doubt, unbounded."""
    nodes = list(tree_nodes(tree))
    references = sum(_names(n, table) for n in nodes)
    known = [
        restricted
        for node in nodes
        if node.get("type") == "SELECT_NODE"
        for restricted in _restricted(node)
        if _names(restricted.source, table)
    ]
    if references == 0 or len(known) != references:
        return Bounds()
    found = [_of_conditions(con, k, params) for k in known]
    starts, ends = [f.start_us for f in found], [f.end_us for f in found]
    return Bounds(
        None if None in starts else min(s for s in starts if s is not None) - _MARGIN_US,
        None if None in ends else max(e for e in ends if e is not None) + _MARGIN_US,
    )


@dataclass(frozen=True, slots=True)
class _Restricted:
    """A table of a FROM with the conditions that each of its rows in the answer meets."""

    source: Tree
    conditions: tuple[object, ...]
    alone: bool
    """Whether it is the whole FROM, so that `time` without a qualifier can only be its own."""


def _restricted(select: Tree) -> list[_Restricted]:
    where = select.get("where_clause")
    source = select.get("from_table")
    if not isinstance(source, dict) or select.get("sample"):
        return []
    if source.get("type") == "BASE_TABLE":
        return [_Restricted(source, (where,), True)] if _plain(source) else []
    return _joined(source, (where,))


_ON_HOLDS = {"INNER": ("left", "right"), "LEFT": ("right",), "RIGHT": ("left",), "FULL": ()}
"""Kind of join -> sides whose rows meet the ON condition wherever they show up."""


def _joined(source: Tree, conditions: tuple[object, ...]) -> list[_Restricted]:
    """Tables of a tree of joins; of subqueries, none (they are SELECT nodes of their own)."""
    if source.get("type") == "BASE_TABLE":
        return [_Restricted(source, conditions, False)] if _plain(source) else []
    kind = str(source.get("join_type", "INNER"))
    ordinary = source.get("ref_type", "REGULAR") in ("REGULAR", "CROSS", "NATURAL")
    if source.get("type") != "JOIN" or kind not in _ON_HOLDS or not ordinary:
        return []
    found: list[_Restricted] = []
    for side in ("left", "right"):
        child = source.get(side)
        if isinstance(child, dict):
            held = (*conditions, source.get("condition")) if side in _ON_HOLDS[kind] else conditions
            found += _joined(child, held)
    return found


def _plain(source: Tree) -> bool:
    """Neither sampled (before the condition applies) nor with renamed columns."""
    return not source.get("sample") and not source.get("column_name_alias")


def _names(node: object, table: str) -> bool:
    if not isinstance(node, dict) or node.get("type") != "BASE_TABLE":
        return False
    return str(node.get("table_name", "")).lower() == table


def _alias(source: Tree) -> str:
    """What a column of the table may be qualified with."""
    return str(source.get("alias") or source.get("table_name")).lower()


def _of_conditions(con: duckdb.DuckDBPyConnection, table: _Restricted, params: Params) -> Bounds:
    starts: list[int] = []
    ends: list[int] = []
    qualifier = _alias(table.source)
    columns: dict[tuple[str, ...], int] = {(qualifier, "time"): 0, (qualifier, "day"): _DAY_US}
    if table.alone:
        columns |= {("time",): 0, ("day",): _DAY_US}
    for condition in table.conditions:
        for kind, slack, expression in _comparisons(columns, condition):
            moment = _evaluate(con, expression, params)
            if moment is None:
                continue
            if kind in ("COMPARE_GREATERTHAN", "COMPARE_GREATERTHANOREQUALTO", "COMPARE_EQUAL"):
                starts.append(moment - slack)
            if kind in ("COMPARE_LESSTHAN", "COMPARE_LESSTHANOREQUALTO", "COMPARE_EQUAL"):
                ends.append(moment + slack + 1)
    return Bounds(max(starts, default=None), min(ends, default=None))


def _comparisons(columns: _Columns, condition: object) -> Iterator[tuple[str, int, Tree]]:
    """`column <op> expression` among the ANDed conditions, turned so that the column is on the
    left, with the slack of the column."""
    if not isinstance(condition, dict):
        return
    kind = str(condition.get("type"))
    if kind == "CONJUNCTION_AND":
        for child in cast("list[object]", condition.get("children", [])):
            yield from _comparisons(columns, child)
    elif kind in _FLIPPED:
        left, right = condition.get("left"), condition.get("right")
        ours, theirs = _slack(columns, left), _slack(columns, right)
        if ours is not None and isinstance(right, dict):
            yield kind, ours, right
        elif theirs is not None and isinstance(left, dict):
            yield _FLIPPED[kind], theirs, left
    elif kind == "COMPARE_BETWEEN":
        slack = _slack(columns, condition.get("input"))
        if slack is not None:
            yield "COMPARE_GREATERTHANOREQUALTO", slack, cast("Tree", condition.get("lower"))
            yield "COMPARE_LESSTHANOREQUALTO", slack, cast("Tree", condition.get("upper"))


def _slack(columns: _Columns, node: object) -> int | None:
    """Slack of the table's own column `node`; None = it is something else."""
    if not isinstance(node, dict) or node.get("class") != "COLUMN_REF":
        return None
    return columns.get(tuple(n.lower() for n in cast("list[str]", node.get("column_names", []))))


def _evaluate(con: duckdb.DuckDBPyConnection, expression: Tree, params: Params) -> int | None:
    """Microseconds of a constant expression; None when it is not constant or not a time."""
    variable = ("COLUMN_REF", "SUBQUERY", "WINDOW", "STAR", "LAMBDA")
    nodes = list(tree_nodes(expression))
    if any(n.get("class") in variable or n.get("function_name") in _VOLATILE for n in nodes):
        return None
    try:
        given = {
            name: _parameter(params, name)
            for name in (str(n["identifier"]) for n in nodes if n.get("class") == "PARAMETER")
        }
        (frame,) = con.execute("SELECT json_serialize_sql('SELECT 1')").fetchall()[0]
        statement = json.loads(frame)
        statement["statements"][0]["node"]["select_list"] = [expression]
        (text,) = con.execute(
            "SELECT json_deserialize_sql($1::JSON)", [json.dumps(statement)]
        ).fetchall()[0]
        row = con.execute(f"SELECT epoch_us(CAST(({text}) AS TIMESTAMPTZ))", given).fetchone()
    except (duckdb.Error, LookupError, ValueError):
        return None
    return None if row is None or row[0] is None else int(row[0])


def _parameter(params: Params, name: str) -> object:
    """LookupError or ValueError when it is not given: the query itself will say so."""
    return params[name] if isinstance(params, Mapping) else params[int(name) - 1]
