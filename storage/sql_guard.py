"""What SQL an analyst may run: one SELECT, DESCRIBE or SUMMARIZE over lake tables.

Two parsers look at every query. `check_text` (sqlglot, in the server) refuses early, with a line
and column. `check_tree` (DuckDB's own parse, in the worker) is the authority: it sees exactly what
DuckDB is going to run, so nothing can hide in a difference between two parsers. Both are
allow-lists. Behind them stand a locked configuration, a list of readable files and a killable
process (`sql_worker.py`, `sql_process.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import cast

import sqlglot
import sqlglot.errors
from sqlglot import exp

from storage.errors import SqlRefused
from storage.limits import SQL_CHARS_MAX
from storage.schemas import TABLES
from storage.sql_functions import FUNCTIONS, OPERATORS, TABLE_FUNCTIONS

_CTE_NAME = re.compile(r"(?!duckdb_|pg_|sqlite_|pragma_|information_schema)[A-Za-z_][A-Za-z0-9_]*")
"""Names a CTE may have: never one of DuckDB's own, which would be found where the CTE is out of
scope."""

_FORBIDDEN = (
    exp.Command,
    exp.DDL,
    exp.DML,
    exp.Into,
    exp.Lock,
    exp.Set,
    exp.Pragma,
    exp.Attach,
    exp.Detach,
    exp.Copy,
    exp.Use,
    exp.Transaction,
    exp.Commit,
    exp.Rollback,
    exp.Kill,
    exp.ReadCSV,
    exp.ReadParquet,
)

Tree = dict[str, object]


def check_text(sql: str, *, tables: Collection[str] = tuple(TABLES)) -> None:
    """Raises SqlRefused with position unless the text is one permitted query."""
    if len(sql) > SQL_CHARS_MAX:
        raise SqlRefused(
            f"The query is {len(sql)} characters long; at most {SQL_CHARS_MAX} are read."
        )
    if "\x00" in sql:
        raise SqlRefused("The query holds a NUL character.")
    root = _parse(sql)
    if not isinstance(root, (exp.Query, exp.Values, exp.Describe, exp.Summarize)):
        raise SqlRefused(f"Only SELECT is allowed, not {_verb(sql)}.", line=1, column=1)
    names = _cte_names(root)
    known = {t.lower() for t in tables} | names
    for node in root.walk():
        if isinstance(node, _FORBIDDEN):
            _refuse(f"{_label(node)} is not allowed", node)
        elif isinstance(node, exp.Table):
            _check_table(node, known)
        elif isinstance(node, exp.Anonymous) and node.name.lower() not in FUNCTIONS:
            _refuse(f"The function {node.name} is not available", node)


def _parse(sql: str) -> exp.Expr:
    try:
        statements = [s for s in sqlglot.parse(sql, read="duckdb") if s is not None]
    except sqlglot.errors.ParseError as err:
        first = err.errors[0] if err.errors else {}
        raise SqlRefused(
            f"The query cannot be understood near {str(first.get('highlight', ''))[:60]!r}: "
            f"{str(first.get('description', err)).rstrip('.')}.",
            line=cast("int | None", first.get("line")),
            column=cast("int | None", first.get("col")),
        ) from err
    except sqlglot.errors.SqlglotError as err:
        raise SqlRefused(f"The query cannot be understood: {str(err)[:200]}.") from err
    except RecursionError as err:
        raise SqlRefused("The query is nested too deeply.") from err
    if len(statements) != 1:
        raise SqlRefused(
            "The query is empty." if not statements else "Only one statement at a time is allowed."
        )
    return statements[0]


def _check_table(node: exp.Table, known: set[str]) -> None:
    source = node.this
    if isinstance(source, exp.Func):
        name = (source.name if isinstance(source, exp.Anonymous) else source.sql_name()).lower()
        if name not in TABLE_FUNCTIONS and name not in ("explode", "generateseries"):
            _refuse(f"{name} cannot be used as a table", source)
        return
    if node.db or node.catalog or node.name.lower() not in known:
        name = ".".join(p for p in (node.catalog, node.db, node.name) if p)
        _refuse(f"There is no table {name!r}", node)


def _cte_names(root: exp.Expr) -> set[str]:
    names = set()
    for cte in root.find_all(exp.CTE):
        if not _CTE_NAME.fullmatch(cte.alias.lower()):
            _refuse(f"{cte.alias[:60]!r} cannot be the name of a CTE", cte)
        names.add(cte.alias.lower())
    return names


def _refuse(message: str, node: exp.Expr) -> None:
    found = next((n for n in node.walk() if "line" in n.meta), None)
    line = cast("int | None", found.meta.get("line")) if found else None
    end = cast("int | None", found.meta.get("col")) if found else None
    # sqlglot's column is where the name ends
    column = None if found is None or end is None else max(1, end - len(found.name) + 1)
    raise SqlRefused(f"{message}.", line=line, column=column, hint=_hint(message))


def _hint(message: str) -> str:
    return "See `gatelens sql --schema`." if message.startswith("There is no table") else ""


def _label(node: exp.Expr) -> str:
    return str(node.this).upper() if isinstance(node, exp.Command) else node.key.upper()


def _verb(sql: str) -> str:
    words = re.findall(r"[A-Za-z]+", re.sub(r"--[^\n]*|/\*.*?\*/", " ", sql, flags=re.S))
    return words[0].upper() if words else "this"


_SOURCES = frozenset(
    {"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "SHOW_REF"}
)


def check_tree(tree: Tree, *, sql: str, tables: Collection[str] = tuple(TABLES)) -> None:
    """Raises SqlRefused unless DuckDB's own parse (json_serialize_sql) is one permitted query."""
    if tree.get("error"):
        message = str(tree.get("error_message", ""))
        if "Only SELECT" in message:
            raise SqlRefused("Only SELECT is allowed.")
        line, column = position_of(sql, tree.get("position"))
        raise SqlRefused(f"The query cannot be understood: {message}.", line=line, column=column)
    statements = cast("list[Tree]", tree.get("statements", []))
    if len(statements) != 1:
        raise SqlRefused("Only one statement at a time is allowed.")
    nodes = list(tree_nodes(statements[0]))
    known = {t.lower() for t in tables} | _tree_cte_names(nodes)
    for node in nodes:
        _check_node(node, known, sql)


def _check_node(node: Tree, known: set[str], sql: str) -> None:
    kind = node.get("type")
    if kind == "BASE_TABLE":
        name = str(node.get("table_name", ""))
        qualified = node.get("schema_name") or node.get("catalog_name")
        if qualified or name.lower() not in known:
            _refuse_at(f"There is no table {name!r}", node, sql)
    elif kind == "SHOW_REF" and "query" not in node:
        _refuse_at("SHOW is not allowed", node, sql)
    elif kind == "TABLE_FUNCTION":
        name = str(cast("Tree", node.get("function", {})).get("function_name", "")).lower()
        if name not in TABLE_FUNCTIONS:
            _refuse_at(f"{name} cannot be used as a table", node, sql)
    if "function_name" in node:
        name = str(node["function_name"]).lower()
        foreign = node.get("catalog") or node.get("schema") not in (None, "", "main")
        if foreign or (name not in FUNCTIONS and name not in OPERATORS):
            _refuse_at(f"The function {name} is not available", node, sql)
    for key in ("from_table", "left", "right"):
        child = node.get(key)
        is_source = key == "from_table" or kind == "JOIN"
        if is_source and isinstance(child, dict) and child.get("type") not in _SOURCES:
            _refuse_at(f"{child.get('type')} is not allowed in FROM", child, sql)


def tree_nodes(value: object) -> Iterator[Tree]:
    """Every object of the tree; iterative, so that depth cannot exhaust the stack."""
    stack = [value]
    while stack:
        found = stack.pop()
        if isinstance(found, dict):
            yield found
            stack.extend(found.values())
        elif isinstance(found, list):
            stack.extend(found)


def _tree_cte_names(nodes: list[Tree]) -> set[str]:
    names = set()
    for node in nodes:
        cte_map = node.get("cte_map")
        if not isinstance(cte_map, dict):
            continue
        for entry in cast("list[Tree]", cte_map.get("map", [])):
            name = str(entry["key"]).lower()
            if not _CTE_NAME.fullmatch(name):
                raise SqlRefused(f"{name[:60]!r} cannot be the name of a CTE.")
            names.add(name)
    return names


def _refuse_at(message: str, node: Tree, sql: str) -> None:
    line, column = position_of(sql, node.get("query_location"))
    raise SqlRefused(f"{message}.", line=line, column=column, hint=_hint(message))


def position_of(sql: str, offset: object) -> tuple[int | None, int | None]:
    """(line, column), from 1, of DuckDB's byte offset; (None, None) where it has none."""
    try:
        at = int(cast("int | str", offset))
    except (TypeError, ValueError):
        return None, None
    data = sql.encode()
    if not 0 <= at <= len(data):
        return None, None
    before = data[:at].decode(errors="replace")
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
