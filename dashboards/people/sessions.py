"""Sessions: a random cookie in the browser, its hash and what it stands for on the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from dashboards.people.secret import digest, new_secret
from dashboards.people.users import User, user_of
from storage.audit import Actor, append_audit
from storage.state_people import user_links, user_sessions, users

SEEN_GRAIN_S = 60.0
"""`seen_at` is written at most this often, so that looking at screens writes next to nothing."""


@dataclass(frozen=True, slots=True)
class Session:
    id: str
    """Hash of the cookie."""
    user: User


class SessionBook:
    """Thread-safe."""

    def __init__(
        self,
        state: sa.Engine,
        *,
        idle_s: float,
        longest_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._idle_s = idle_s
        self._longest_s = longest_s
        self._clock = clock

    @property
    def longest_s(self) -> float:
        return self._longest_s

    def start(self, user: User, address: str, *, how: str = "password") -> str:
        """The secret for the browser's cookie. Every login has a secret of its own, so one that
        was planted before is worth nothing."""
        secret, now = new_secret(), self._clock()
        with self._state.begin() as connection:
            connection.execute(
                user_sessions.insert().values(
                    id=digest(secret),
                    user_id=user.id,
                    created_at=now,
                    seen_at=now,
                    expires_at=now + self._longest_s,
                    address=address[:100],
                )
            )
            connection.execute(users.update().where(users.c.id == user.id).values(seen_at=now))
            entry = Actor(user.name, "user", address).did("login", user.name, user.tenant, how=how)
            append_audit(connection, entry)
        return secret

    def find(self, secret: str) -> Session | None:
        """Whose session it is; None = nobody's, too old, idle for too long, or disabled."""
        key, now = digest(secret), self._clock()
        if not key:
            return None
        query = (
            sa.select(users, user_sessions.c.seen_at.label("session_seen_at"))
            .join(user_sessions, user_sessions.c.user_id == users.c.id)
            .where(
                user_sessions.c.id == key,
                user_sessions.c.expires_at > now,
                user_sessions.c.seen_at > now - self._idle_s,
                users.c.disabled_at.is_(None),
            )
        )
        with self._state.connect() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        if now - row["session_seen_at"] > SEEN_GRAIN_S:
            with self._state.begin() as connection:
                connection.execute(
                    user_sessions.update().where(user_sessions.c.id == key).values(seen_at=now)
                )
        return Session(key, user_of(row))

    def end(self, session_id: str, actor: Actor, tenant: str) -> None:
        """Log out."""
        with self._state.begin() as connection:
            connection.execute(user_sessions.delete().where(user_sessions.c.id == session_id))
            append_audit(connection, actor.did("logout", actor.name, tenant))

    def sweep(self) -> int:
        """Delete sessions and links that are over; how many sessions."""
        now = self._clock()
        with self._state.begin() as connection:
            connection.execute(user_links.delete().where(user_links.c.expires_at < now))
            over = sa.or_(
                user_sessions.c.expires_at < now, user_sessions.c.seen_at < now - self._idle_s
            )
            return connection.execute(user_sessions.delete().where(over)).rowcount
