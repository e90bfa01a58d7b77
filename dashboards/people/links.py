"""Links that work once: for the first admin, for a new user, for a forgotten password."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from dashboards.people.errors import LinkGone
from dashboards.people.secret import digest, new_secret
from dashboards.people.users import User
from storage.audit import Actor, append_audit
from storage.state_people import user_links

SETUP_HOURS = 24
PASSWORD_HOURS = 72

Kind = Literal["setup", "password"]


@dataclass(frozen=True, slots=True)
class Link:
    kind: Kind
    user_id: str | None
    """Whose password it sets; None = set-up."""


class LinkBook:
    """Thread-safe."""

    def __init__(self, state: sa.Engine, *, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock

    def for_setup(self) -> str:
        """A secret that makes the first admin. Those made before stop working."""
        secret = new_secret()
        with self._state.begin() as connection:
            connection.execute(user_links.delete().where(user_links.c.kind == "setup"))
            connection.execute(self._row(secret, "setup", None, SETUP_HOURS))
        return secret

    def for_password(self, user: User, actor: Actor) -> str:
        """A secret that sets the user's password. Those made before stop working."""
        secret = new_secret()
        with self._state.begin() as connection:
            connection.execute(user_links.delete().where(user_links.c.user_id == user.id))
            connection.execute(self._row(secret, "password", user.id, PASSWORD_HOURS))
            append_audit(connection, actor.did("user.link", user.name, user.tenant))
        return secret

    def look(self, secret: str) -> Link:
        """What a link is for; it still works afterwards. Raises LinkGone."""
        query = sa.select(user_links).where(
            user_links.c.id == digest(secret), user_links.c.expires_at > self._clock()
        )
        with self._state.connect() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise LinkGone
        return Link(row["kind"], row["user_id"])

    def use(self, secret: str) -> Link:
        """The same, once: of two at the same time, one gets it. Raises LinkGone."""
        link = self.look(secret)
        with self._state.begin() as connection:
            gone = connection.execute(user_links.delete().where(user_links.c.id == digest(secret)))
            if gone.rowcount != 1:
                raise LinkGone
        return link

    def _row(self, secret: str, kind: Kind, user_id: str | None, hours: int) -> sa.Insert:
        now = self._clock()
        return user_links.insert().values(
            id=digest(secret),
            kind=kind,
            user_id=user_id,
            created_at=now,
            expires_at=now + hours * 3600,
        )
