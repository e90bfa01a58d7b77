"""Who is asking. Set once per request by `gate.py`, read wherever something is shown or changed.

    who = identity.current()              # raises NotSignedIn where nobody is
    identity.require("alerts.manage")     # raises Forbidden
    identity.audit(data.state, "silence.create", "42", matchers=...)

`Data` answers for whoever is asking (tenant and rows), so a question needs no check of its own.
Where no login is asked (this machine alone, no users) `LOCAL` asks, who may everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Literal

import sqlalchemy as sa

from dashboards.errors import Forbidden, NotSignedIn
from dashboards.roles import ROLES, Permission, Role
from storage.audit import Actor, AuditEntry, Outcome, append_audit, write_audit
from storage.row_scope import RowScope

HOME_TENANT = "default"
"""The installation's own tenant: the catalog, the alert rules and the Operate screen are its."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who asks: a person, an API token, a public link, or this machine."""

    id: str
    """Of the user or token; 'local' without login."""
    name: str
    kind: Literal["local", "user", "token", "public"]
    tenant: str
    permissions: frozenset[Permission]
    role: Role | None = None
    """None = a token or a public link."""
    scope: RowScope | None = None
    """Rows of the tenant that are seen; None = all."""
    address: str = ""
    """Where the request came from, for the audit log."""
    session: str = ""
    """Id of the login; '' = none."""

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    @property
    def at_home(self) -> bool:
        """Whether the installation's catalog, rules and upkeep are this one's to see."""
        return self.tenant == HOME_TENANT

    @property
    def actor(self) -> Actor:
        """For stores that write to the audit log themselves."""
        return Actor(self.name, self.kind, self.address)

    @property
    def role_title(self) -> str:
        return ROLES[self.role].title if self.role else ""


LOCAL = Principal("local", "local", "local", HOME_TENANT, ROLES["admin"].permissions, role="admin")
"""Whoever sits at this machine, as long as there are no users and nobody else can reach us."""

_asking: ContextVar[Principal | None] = ContextVar("gatelens_principal", default=None)
_refused: ContextVar[list[Permission] | None] = ContextVar("gatelens_refused", default=None)


def current() -> Principal:
    """Who is asking. Raises NotSignedIn: work that nobody asked for must say on whose behalf it
    is, with `acting_as`."""
    found = _asking.get()
    if found is None:
        raise NotSignedIn
    return found


def allowed(permission: Permission) -> bool:
    return current().may(permission)


def require(permission: Permission) -> Principal:
    """Who is asking, if they may. Raises NotSignedIn, Forbidden."""
    found = current()
    if not found.may(permission):
        refused = _refused.get()
        if refused is not None:
            refused.append(permission)
        raise Forbidden(permission)
    return found


def author(who: Principal, typed: object) -> str:
    """Whoever signed in is who it was; a name is only asked for where nobody signs in."""
    return who.name if who.kind == "user" else str(typed or "").strip()[:100]


def refused() -> list[Permission]:
    """What was asked for in vain in this request, for the server's answer and the audit log."""
    return _refused.get() or []


@contextmanager
def acting_as(principal: Principal) -> Iterator[Principal]:
    """Within the block (and in threads started with a copy of its context) `principal` asks."""
    token, before = _asking.set(principal), _refused.set([])
    try:
        yield principal
    finally:
        _asking.reset(token)
        _refused.reset(before)


def sees_all_alerts() -> bool:
    """Whether alerts, silences, rules and delivery are shown as a whole: they are the home
    tenant's, and those who see only some APIs or consumers see the alerts about those alone."""
    who = current()
    return who.at_home and who.scope is None and who.may("alerts")


def manages_alerts() -> bool:
    """Whether the asker may acknowledge, silence, plan maintenance and change rules."""
    return sees_all_alerts() and allowed("alerts.manage")


def sees_quotas() -> bool:
    """Whether whoever asks sees whole consumers: a quota and a bill count the calls to all APIs, so
    those who see only some APIs see neither."""
    scope = current().scope
    return scope is None or bool(scope.consumers)


def audit_entry(
    action: str, target: str = "", outcome: Outcome = "done", **detail: object
) -> AuditEntry:
    """An entry about whoever is asking; hand it to a store that appends it in its transaction."""
    who = current()
    return AuditEntry(
        action=action,
        target=target,
        outcome=outcome,
        actor=who.name,
        actor_kind=who.kind,
        tenant=who.tenant,
        address=who.address,
        detail=detail,
    )


def audit(
    state: sa.Engine | sa.Connection,
    action: str,
    target: str = "",
    outcome: Outcome = "done",
    **detail: object,
) -> None:
    """Write to the audit log; on return (given an engine) or with the caller's commit (given a
    connection) it is kept. Raises SQLAlchemyError: then do not do what was to be written down."""
    entry = audit_entry(action, target, outcome, **detail)
    if isinstance(state, sa.Connection):
        append_audit(state, entry)
    else:
        write_audit(state, entry)


def public(owner: Principal, *permissions: Permission, name: str) -> Principal:
    """For public read-only links: sees what `owner` sees, and may no more than `permissions`."""
    may = owner.permissions & frozenset(permissions)
    return replace(owner, id=name, name=name, kind="public", role=None, permissions=may, session="")
