"""API tokens of the query side: for scripts and notebooks that ask /api/v1.

Not the collector's tokens of senders (`gatelens token create` makes both kinds): these live in the
state store, begin with `glq_`, and may only ask.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from dashboards.people.errors import BadUser, NoSuchToken
from dashboards.people.secret import TOKEN_PREFIX, digest, new_id, new_secret
from dashboards.roles import TOKEN_SCOPES, Permission
from storage.audit import Actor, append_audit
from storage.row_scope import RowScope
from storage.state_people import api_tokens

USED_GRAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What a token may. The secret is kept nowhere."""

    id: str
    name: str
    tenant: str
    scopes: tuple[str, ...]
    apis: tuple[str, ...] | None
    """None = not narrowed."""
    consumers: tuple[str, ...] | None
    created_by: str
    created_at: float
    expires_at: float | None
    used_at: float | None
    revoked_at: float | None

    @property
    def permissions(self) -> frozenset[Permission]:
        return frozenset(p for scope in self.scopes for p in TOKEN_SCOPES.get(scope, ()))

    @property
    def rows(self) -> RowScope | None:
        if self.apis is None and self.consumers is None:
            return None
        return RowScope(apis=self.apis or (), consumers=self.consumers or ())

    def alive(self, now: float) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class ApiTokenBook:
    """Thread-safe. `tenant`: look-ups and changes stay in it; None = all (CLI)."""

    def __init__(
        self,
        state: sa.Engine,
        *,
        tenant: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._tenant = tenant
        self._clock = clock

    def within(self, tenant: str) -> ApiTokenBook:
        return ApiTokenBook(self._state, tenant=tenant, clock=self._clock)

    def create(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        actor: Actor,
        tenant: str = "default",
        apis: Sequence[str] | None = None,
        consumers: Sequence[str] | None = None,
        days: float | None = None,
    ) -> str:
        """The secret, shown this once. `days` None = it does not expire. Raises BadUser."""
        name = name.strip()
        if not 0 < len(name) <= 200:
            raise BadUser("A token needs a name of at most 200 characters.")
        unknown = [s for s in scopes if s not in TOKEN_SCOPES]
        if unknown or not scopes:
            raise BadUser(f"A token needs scopes, of {', '.join(TOKEN_SCOPES)}.")
        if self._tenant is not None and tenant != self._tenant:
            raise BadUser("That is another tenant than yours.")
        if days is not None and not 0 < days <= 3660:
            raise BadUser("A token lives for up to 3660 days.")
        secret, now = new_secret(TOKEN_PREFIX), self._clock()
        with self._state.begin() as connection:
            taken = sa.select(api_tokens.c.id).where(
                api_tokens.c.name == name,
                api_tokens.c.tenant == tenant,
                api_tokens.c.revoked_at.is_(None),
            )
            if connection.execute(taken).first():
                raise BadUser(f"There is a token named {name!r} already; revoke it first.")
            connection.execute(
                api_tokens.insert().values(
                    id=new_id(),
                    name=name,
                    sha256=digest(secret),
                    tenant=tenant,
                    scopes=json.dumps(list(dict.fromkeys(scopes))),
                    apis=None if not apis else json.dumps(list(apis)),
                    consumers=None if not consumers else json.dumps(list(consumers)),
                    created_by=actor.name,
                    created_at=now,
                    expires_at=None if days is None else now + days * 86_400,
                )
            )
            append_audit(connection, actor.did("token.create", name, tenant, scopes=list(scopes)))
        return secret

    def list(self) -> list[ApiToken]:
        """Those that are not revoked, by name."""
        query = self._mine(sa.select(api_tokens).where(api_tokens.c.revoked_at.is_(None)))
        with self._state.connect() as connection:
            rows = connection.execute(query.order_by(api_tokens.c.name)).mappings()
            return [_token(row) for row in rows]

    def revoke(self, name: str, *, actor: Actor) -> None:
        """Within seconds nothing is answered to it any more. Raises NoSuchToken."""
        wanted = self._mine(
            sa.select(api_tokens).where(
                api_tokens.c.name == name, api_tokens.c.revoked_at.is_(None)
            )
        )
        with self._state.begin() as connection:
            found = connection.execute(wanted).mappings().all()
            if not found:
                raise NoSuchToken(name)
            for row in found:
                connection.execute(
                    api_tokens.update()
                    .where(api_tokens.c.id == row["id"])
                    .values(revoked_at=self._clock())
                )
                append_audit(connection, actor.did("token.revoke", name, row["tenant"]))

    def find(self, secret: str) -> ApiToken | None:
        """Whose secret it is; None = nobody's, revoked or expired."""
        key, now = digest(secret), self._clock()
        if not key or not secret.startswith(TOKEN_PREFIX):
            return None
        query = sa.select(api_tokens).where(api_tokens.c.sha256 == key)
        with self._state.connect() as connection:
            row = connection.execute(query).mappings().first()
        token = None if row is None else _token(row)
        if token is None or not token.alive(now):
            return None
        if token.used_at is None or now - token.used_at > USED_GRAIN_S:
            with self._state.begin() as connection:
                connection.execute(
                    api_tokens.update().where(api_tokens.c.id == token.id).values(used_at=now)
                )
        return token

    def _mine(self, query: sa.Select[tuple[object, ...]]) -> sa.Select[tuple[object, ...]]:
        return query if self._tenant is None else query.where(api_tokens.c.tenant == self._tenant)


def _token(row: sa.RowMapping) -> ApiToken:
    def names(text: str | None) -> tuple[str, ...] | None:
        return None if text is None else tuple(json.loads(text))

    return ApiToken(
        id=row["id"],
        name=row["name"],
        tenant=row["tenant"],
        scopes=names(row["scopes"]) or (),
        apis=names(row["apis"]),
        consumers=names(row["consumers"]),
        created_by=row["created_by"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        used_at=row["used_at"],
        revoked_at=row["revoked_at"],
    )
