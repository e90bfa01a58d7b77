"""Asking the lake: DuckDB over exactly the files that can hold the answer.

TRUSTED SQL only (ours); an analyst's SQL goes through `sql_worker`. Every query sees one consistent
snapshot per table, at most as old as the start of the query.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from datetime import datetime

import duckdb
import pyarrow as pa

from storage.lake import Lake
from storage.log import FileEntry, time_to_us
from storage.macros import create_macros
from storage.row_scope import RowScope, scoped_sql
from storage.schemas import TABLES
from storage.views import quoted, reading_order, view_sql

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_ASKED = re.compile(
    r"""'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|\b(?:from|join)\s+(?:main\.)?"?(?P<table>\w+)""",
    re.IGNORECASE | re.DOTALL,
)
"""A name behind FROM or JOIN. Texts and comments are passed over whole."""

Params = Mapping[str, object] | Sequence[object]


class ReadSession:
    """One DuckDB instance over a lake, for one tenant. Thread-safe: a cursor per call.

    `tenant` None = all tenants (jobs). Tables that were never written are empty, not missing.
    """

    def __init__(
        self,
        lake: Lake,
        *,
        tenant: str | None = "default",
        memory_limit: str = "1GB",
        threads: int = 2,
    ) -> None:
        self.lake = lake
        self.tenant = tenant
        self.scope: RowScope | None = None
        """Which rows may be seen; None = all of the tenant's."""
        self._con = duckdb.connect(config={"threads": threads, "memory_limit": memory_limit})
        self._con.execute("SET GLOBAL TimeZone = 'UTC'")  # cursors do not inherit a session's own
        self._con.execute("SET GLOBAL parquet_metadata_cache = true")
        # a table we made no view of must be an error, not a variable of whoever asks
        self._con.execute("SET GLOBAL python_enable_replacements = false")
        create_macros(self._con)
        self._closed = threading.Event()

    def query(
        self,
        sql: str,
        params: Params = (),
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        files: Mapping[str, Sequence[FileEntry]] | None = None,
    ) -> pa.Table:
        """Run a SELECT and return all rows.

        Lake tables are views by name with all documented columns plus day and hour. Only files
        whose `time` range overlaps [start, end) are opened (None = unbounded); the SQL must still
        filter `time` itself, since a file may hold more. `params`: values for `?` (sequence) or
        `$name` (mapping). `files` replaces a table's files by exactly those (for incremental jobs,
        with `Changes.files`). Raises duckdb.Error.
        """
        cursor = self._con.cursor()
        try:
            given = dict(params) if isinstance(params, Mapping) else list(params)
            asked = asked_tables(sql)
            self._create_views(cursor, asked, sql, start, end, files or {})
            try:
                return cursor.execute(sql, given).to_arrow_table()
            except duckdb.CatalogException:
                # FROM a, b and the like: every table the text names anywhere
                others = named_tables(sql) - asked
                if not others:
                    raise
                self._create_views(cursor, others, sql, start, end, files or {})
                return cursor.execute(sql, given).to_arrow_table()
        except UnicodeDecodeError as err:  # DuckDB's own message quotes the damaged name
            raise duckdb.IOException("A data file is damaged; run `gatelens doctor`.") from err
        finally:
            cursor.close()

    def narrowed(self, scope: RowScope | None, *, tenant: str | None = None) -> ReadSession:
        """The same session for somebody who may see only some rows, or rows of another tenant
        (None = the same). Closing the first closes it."""
        session = copy(self)
        session.scope = scope
        session.tenant = tenant or self.tenant
        return session

    def close(self) -> None:
        self._con.close()

    def __enter__(self) -> ReadSession:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _create_views(
        self,
        cursor: duckdb.DuckDBPyConnection,
        tables: AbstractSet[str],
        sql: str,
        start: datetime | None,
        end: datetime | None,
        files: Mapping[str, Sequence[FileEntry]],
    ) -> None:
        # Temporary views belong to the cursor alone, so queries side by side see their own files.
        for name in sorted(tables):
            chosen = self._own(files[name]) if name in files else self.files(name, start, end)
            self.lake.fetch(name, chosen)
            body = view_sql(
                cursor, name, self.lake.root / name, reading_order(sql, [f.path for f in chosen])
            )
            if chosen:
                body = scoped_sql(name, body, self.scope)
            cursor.execute(f"CREATE TEMP VIEW {quoted(name)} AS {body}")

    def _own(self, files: Sequence[FileEntry]) -> Sequence[FileEntry]:
        """Of files chosen elsewhere, the tenant's: a question cannot bring another's along."""
        return [f for f in files if self.tenant in (None, f.tenant)]

    def files(
        self, table: str, start: datetime | None = None, end: datetime | None = None
    ) -> list[FileEntry]:
        """Live files of a table that can hold rows of this tenant in [start, end)."""
        found = self.lake.existing(table)
        if found is None:
            return []
        return found.snapshot().select(
            self.tenant,
            None if start is None else time_to_us(start),
            None if end is None else time_to_us(end),
        )


def asked_tables(sql: str) -> set[str]:
    """Tables of the lake behind FROM or JOIN: those a query of ours asks, and seldom one more. Most
    measures are named like tables (`requests`), and a view opens every file's footer."""
    return {(m["table"] or "").lower() for m in _ASKED.finditer(sql)} & TABLES.keys()


def named_tables(sql: str) -> set[str]:
    """Tables of the lake whose names stand anywhere in the text."""
    return {w.lower() for w in _WORD.findall(sql)} & TABLES.keys()
