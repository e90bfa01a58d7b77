"""The audit log: who did what, when, from where, and how it ended. Append-only; nothing is dropped.

An entry about a change is appended on the connection that makes the change, so that both are kept
or neither is. An entry about a question (SQL, an export) is committed before the answer is given:
where it cannot be written, there is no answer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import sqlalchemy as sa

from storage.state_people import audit_log

Outcome = Literal["done", "refused", "failed"]

TEXT_CHARS_MAX = 4000
"""Of one value in an entry; longer ones are cut, with an ellipsis."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line. Never holds a password, a secret or a token."""

    action: str
    """What was done, thing first: `silence.create`, `user.disable`, `sql.run`, `login`."""
    target: str = ""
    """What it was done to: a name or an id."""
    outcome: Outcome = "done"
    actor: str = ""
    """Name of the person or token; of a failed login, the name that was given."""
    actor_kind: str = "user"
    """user, token, local (no login is asked), cli, system."""
    tenant: str = "default"
    address: str = ""
    """Where the request came from; '' = not over the network."""
    detail: Mapping[str, object] = field(default_factory=dict)
    at: float = field(default_factory=time.time)
    """Epoch seconds."""
    id: int = 0
    """Given by the store."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, for entries of stores that do not know requests."""

    name: str
    kind: str = "user"
    address: str = ""

    def did(self, action: str, target: str, tenant: str, **detail: object) -> AuditEntry:
        return AuditEntry(
            action=action,
            target=target,
            actor=self.name,
            actor_kind=self.kind,
            tenant=tenant,
            address=self.address,
            detail=detail,
        )


def append_audit(connection: sa.Connection, entry: AuditEntry) -> None:
    """Add an entry in the caller's transaction. Raises SQLAlchemyError."""
    connection.execute(
        audit_log.insert().values(
            at=entry.at,
            tenant=_cut(entry.tenant),
            actor=_cut(entry.actor),
            actor_kind=entry.actor_kind,
            action=entry.action,
            target=_cut(entry.target),
            outcome=entry.outcome,
            address=_cut(entry.address),
            detail=json.dumps({k: _shown(v) for k, v in entry.detail.items()}),
        )
    )


def write_audit(state: sa.Engine, entry: AuditEntry) -> None:
    """Add an entry in a transaction of its own, committed on return."""
    with state.begin() as connection:
        append_audit(connection, entry)


def read_audit(
    state: sa.Engine,
    *,
    tenant: str | None = None,
    actor: str = "",
    action: str = "",
    since: float | None = None,
    until: float | None = None,
    before_id: int | None = None,
    limit: int = 200,
) -> list[AuditEntry]:
    """Entries, newest first. `actor`: part of the name; `action`: its beginning; times half-open;
    `before_id`: the next page after that entry; `tenant` None = all."""
    log = audit_log.c
    query = sa.select(audit_log).order_by(log.id.desc()).limit(limit)
    if tenant is not None:
        query = query.where(log.tenant == tenant)
    if actor:
        query = query.where(log.actor.contains(actor, autoescape=True))
    if action:
        query = query.where(log.action.startswith(action, autoescape=True))
    if since is not None:
        query = query.where(log.at >= since)
    if until is not None:
        query = query.where(log.at < until)
    if before_id is not None:
        query = query.where(log.id < before_id)
    with state.connect() as connection:
        return [_entry(row) for row in connection.execute(query).mappings()]


def every_entry(state: sa.Engine, *, tenant: str | None, page: int = 1000) -> Iterator[AuditEntry]:
    """All entries, newest first, a page at a time."""
    before: int | None = None
    while found := read_audit(state, tenant=tenant, before_id=before, limit=page):
        yield from found
        before = found[-1].id


def forget_audit(state: sa.Engine, *, older_than: float) -> int:
    """Delete entries from before that time (epoch seconds); how many there were."""
    with state.begin() as connection:
        done = connection.execute(audit_log.delete().where(audit_log.c.at < older_than))
        return done.rowcount


def _entry(row: sa.RowMapping) -> AuditEntry:
    values = {k: row[k] for k in row if k != "detail"}
    return AuditEntry(**values, detail=json.loads(row["detail"]))


def _shown(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_cut(str(v)) for v in value[:100]]
    return _cut(str(value))


def _cut(text: str) -> str:
    text = text.replace("\x00", "\ufffd")
    return text if len(text) <= TEXT_CHARS_MAX else text[: TEXT_CHARS_MAX - 1] + "…"
