"""Statements that people keep by name, for themselves or for everybody of their tenant who may ask
in SQL. Whoever saved one changes and deletes it, nobody else does.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from dashboards import identity
from dashboards.errors import DashboardError
from dashboards.limits import STATEMENTS_SAVED_MAX
from storage.state_statements import saved_statements as table


class StatementRefused(DashboardError):
    """It was not saved; the message says why."""


class StatementMissing(DashboardError):
    """No statement of the asker's own has this id."""

    def __init__(self) -> None:
        super().__init__("You have no saved statement of this id; it may have been deleted.")


@dataclass(frozen=True, slots=True)
class Statement:
    """As one person sees it."""

    id: str
    name: str
    sql: str
    author: str
    mine: bool
    """Whether the asker saved it: others only read it."""
    shared: bool
    updated_at: float
    """Epoch seconds, UTC."""


class SavedStatements:
    """Of whoever asks (identity.current()). Blocking, thread-safe."""

    def __init__(self, state: sa.Engine, *, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock

    def all(self) -> list[Statement]:
        """The asker's own, and what others of the tenant share, by name."""
        who = identity.require("sql")
        seen = sa.or_(table.c.person == who.id, table.c.shared)
        query = sa.select(table).where(table.c.tenant == who.tenant, seen)
        with self._state.connect() as connection:
            found = [_statement(row, who.id) for row in connection.execute(query)]
        return sorted(found, key=lambda s: (s.name.lower(), s.author, s.id))

    def save(self, name: str, sql: str, *, shared: bool) -> Statement:
        """A new one, or the asker's own of that name anew. Raises StatementRefused."""
        try:
            return self._save(name, sql, shared)
        except sa.exc.IntegrityError:  # another tab of the same person was quicker
            return self._save(name, sql, shared)

    def delete(self, statement_id: str) -> None:
        """Raises StatementMissing."""
        who = identity.require("sql")
        own = (
            table.c.tenant == who.tenant,
            table.c.person == who.id,
            table.c.id == statement_id,
        )
        with self._state.begin() as connection:
            name = connection.execute(sa.select(table.c.name).where(*own)).scalar_one_or_none()
            if name is None:
                raise StatementMissing
            connection.execute(table.delete().where(*own))
            identity.audit(connection, "statement.delete", name)

    def _save(self, name: str, sql: str, shared: bool) -> Statement:
        who = identity.require("sql")
        own = sa.and_(table.c.tenant == who.tenant, table.c.person == who.id)
        values = {
            "author": who.name,
            "sql": sql,
            "shared": shared,
            "updated_at": self._clock(),
        }
        with self._state.begin() as connection:
            changed = connection.execute(
                table.update().where(own, table.c.name == name).values(values)
            )
            if not changed.rowcount:
                count = sa.select(sa.func.count()).select_from(table).where(own)
                if connection.execute(count).scalar_one() >= STATEMENTS_SAVED_MAX:
                    raise StatementRefused(
                        f"You have saved {STATEMENTS_SAVED_MAX} statements; delete one first."
                    )
                new = {"id": secrets.token_hex(16), "tenant": who.tenant, "person": who.id}
                connection.execute(table.insert().values(**new, name=name, **values))
            row = connection.execute(sa.select(table).where(own, table.c.name == name)).one()
            identity.audit(connection, "statement.save", name, sql=sql, shared=shared)
        return _statement(row, who.id)


def _statement(row: sa.Row[tuple[object, ...]], person: str) -> Statement:
    return Statement(
        id=row.id,
        name=row.name,
        sql=row.sql,
        author=row.author,
        mine=row.person == person,
        shared=row.shared,
        updated_at=row.updated_at,
    )
