"""Which rows a person may see: an API owner those of its APIs, an app developer those of its
consumer. Put into every view a session makes, so that no question can forget it.

A table is narrowed by the columns it has, and a table with none of them shows nothing: what cannot
be told apart is not shown.

    RowScope(apis=("orders",))       -> requests WHERE api IN ('orders'); spans WHERE false
    RowScope(consumers=("acme",))    -> requests WHERE consumer IN ('acme'); latency_* WHERE false
    both                             -> either of them is enough
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from storage.schemas import TABLES
from storage.views import quoted, sql_type

_COLUMNS = {"api": "apis", "consumer": "consumers", "service_name": "services"}
"""Column of a table -> the names of a scope that it is compared with."""

_SHAPED = {
    "traces": ("services", "list_has_any(services, [{names}])"),
    "service_edges": ("services", "(source IN ({names}) OR target IN ({names}))"),
    "alert_events": ("apis", "labels['api'] IN ({names})"),
}
"""Tables that name whose a row is in another way: group of names, and the condition on them."""

_INSIDE = frozenset(
    {"attributes", "gateway_instance", "upstream", "upstream_status", "response_flags"}
)
"""Columns of `requests` about the inside of the API company: NULL for somebody who is told of
consumers alone, its customer."""


@dataclass(frozen=True, slots=True)
class RowScope:
    """Rows of any of these APIs, consumers or services. Nothing named = no row at all."""

    apis: tuple[str, ...] = ()
    consumers: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    """Of spans, logs and metrics; an API owner's are those of its APIs' catalog entries."""

    def condition(self, table: str) -> str:
        """SQL over a table's columns; FALSE where the table has no column to tell by."""
        names = TABLES[table].column_names
        parts = [
            f"{column} IN ({_literals(getattr(self, group))})"
            for column, group in _COLUMNS.items()
            if column in names and getattr(self, group)
        ]
        group, shape = _SHAPED.get(table, ("apis", ""))
        if shape and getattr(self, group):
            parts.append(shape.format(names=_literals(getattr(self, group))))
        # a NULL dimension belongs to nobody
        return f"COALESCE({' OR '.join(parts)}, FALSE)" if parts else "FALSE"


def scoped_sql(table: str, body: str, scope: RowScope | None) -> str:
    """`body`, the SELECT behind a table's view, with only what is in scope."""
    if scope is None:
        return body
    hidden = ""
    if not scope.apis:
        empty = [
            f"CAST(NULL AS {sql_type(c.type)}) AS {quoted(c.name)}"
            for c in TABLES[table].columns
            if c.name in _INSIDE
        ]
        hidden = f" REPLACE ({', '.join(empty)})" if empty else ""
    return f"SELECT *{hidden} FROM ({body}) WHERE {scope.condition(table)}"  # noqa: S608 - quoted


def _literals(values: Iterable[str]) -> str:
    # a view takes no parameters
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)
