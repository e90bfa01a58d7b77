"""The lake in a notebook: relations, frames and Arrow from SQL, always of the newest rows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import duckdb
import polars as pl
import pyarrow as pa

from storage.lake import Lake
from storage.log import time_to_us
from storage.macros import create_macros
from storage.schemas import TABLES
from storage.sql_bounds import time_bounds
from storage.views import quoted, reading_order, view_sql

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Notebook:
    """One DuckDB instance over a lake, for its owner: the SQL may do what DuckDB may do in this
    process, so it is not for strangers (they get `sql_worker`). Not thread-safe.

    `start`, `end`: only rows whose time can lie in [start, end) are looked at; None = all.
    """

    def __init__(
        self,
        lake: Lake,
        *,
        tenant: str | None = "default",
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> None:
        self._lake = lake
        self._tenant = tenant
        self._start_us = None if start is None else time_to_us(start)
        self._end_us = None if end is None else time_to_us(end)
        self._con = duckdb.connect()
        self._con.execute("SET GLOBAL TimeZone = 'UTC'")
        create_macros(self._con)

    def sql(
        self, query: str, params: Mapping[str, object] | Sequence[object] = ()
    ) -> duckdb.DuckDBPyRelation:
        """A relation over the lake as it is now. Conditions on `time` and `day` in the query keep
        other files closed. Relations of one notebook cannot be joined with each other in Python: do
        that in SQL. Raises duckdb.Error."""
        # A cursor of its own per query: temporary views belong to it, so a relation that is
        # evaluated later still sees the files that were chosen for it.
        cursor = self._con.cursor()
        given = dict(params) if isinstance(params, Mapping) else list(params)
        tree = self._parse(query)
        for name in sorted({w.lower() for w in _WORD.findall(query)} & TABLES.keys()):
            cursor.execute(
                f"CREATE TEMP VIEW {quoted(name)} AS {self._view(name, query, tree, given)}"
            )
        return cursor.sql(query, params=given) if given else cursor.sql(query)

    def polars(
        self, query: str, params: Mapping[str, object] | Sequence[object] = ()
    ) -> pl.DataFrame:
        """The rows as a Polars frame."""
        frame = pl.from_arrow(self.arrow(query, params))
        assert isinstance(frame, pl.DataFrame)
        return frame

    def arrow(self, query: str, params: Mapping[str, object] | Sequence[object] = ()) -> pa.Table:
        """The rows as an Arrow table."""
        return self.sql(query, params).to_arrow_table()

    def close(self) -> None:
        self._con.close()

    def __enter__(self) -> Notebook:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _parse(self, query: str) -> dict[str, object]:
        """DuckDB's parse; of what is not one SELECT, nothing, and then nothing is left out."""
        statement = "SELECT json_serialize_sql($1, skip_null := true, skip_empty := true)"
        try:
            (text,) = self._con.execute(statement, [query]).fetchall()[0]
        except duckdb.Error:
            return {}
        tree: dict[str, object] = json.loads(text)
        return {} if tree.get("error") else tree

    def _view(
        self,
        name: str,
        query: str,
        tree: dict[str, object],
        params: dict[str, object] | list[object],
    ) -> str:
        table = self._lake.existing(name)
        if table is None:
            return view_sql(self._con, name, self._lake.root / name, [])
        bounds = time_bounds(self._con, tree, name, params)
        starts = [s for s in (self._start_us, bounds.start_us) if s is not None]
        ends = [e for e in (self._end_us, bounds.end_us) if e is not None]
        files = table.snapshot().select(
            self._tenant, max(starts, default=None), min(ends, default=None)
        )
        table.fetch(files)
        return view_sql(
            self._con, name, table.location, reading_order(query, [f.path for f in files])
        )
