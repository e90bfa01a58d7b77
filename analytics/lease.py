"""A lease in the state store: one of several processes holds it. Fenced by a growing token.

The holder renews; when it is silent for `ttl_s`, another may take it and gets a higher token. Work
done under a lease calls `check` right before it commits: whoever lost the lease meanwhile (a paused
machine, a clock that jumped) stops there. Kleppmann 2016, "How to do distributed locking".
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from analytics.errors import LeaseLost
from storage.state import leases


def holder_name() -> str:
    """host:pid:random, unique per process start."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{secrets.token_hex(4)}"


class Lease:
    """One named lease as seen by one holder."""

    def __init__(
        self,
        engine: Engine,
        name: str,
        *,
        ttl_s: float,
        holder: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._name = name
        self.ttl_s = ttl_s
        self._clock = clock
        self.holder = holder or holder_name()
        self.token: int | None = None
        """Fencing token while held; None otherwise."""

    def acquire(self) -> bool:
        """Take or renew. False = somebody else holds it and is alive."""
        now = self._clock()
        with self._engine.begin() as connection:
            row = connection.execute(
                select(leases).where(leases.c.name == self._name)
            ).one_or_none()
            if row is None:
                taken = self._insert(connection, now)
            elif row.holder == self.holder and self.token == row.token:
                taken = self._replace(connection, row.token, row.token, now)
            elif row.expires_at <= now or self._is_dead(row.holder) or self._absurd(row, now):
                taken = self._replace(connection, row.token, row.token + 1, now)
            else:
                taken = None
        self.token = taken
        return taken is not None

    def check(self) -> None:
        """Raise LeaseLost unless this holder still has the lease it took."""
        with self._engine.connect() as connection:
            row = connection.execute(
                select(leases).where(leases.c.name == self._name)
            ).one_or_none()
        if row is None or self.token is None or row.token != self.token:
            raise LeaseLost(
                f"another process took the lease {self._name!r}; run one jobs process per store"
            )

    def release(self) -> None:
        """Give it up at once, so that the next process need not wait."""
        if self.token is None:
            return
        with self._engine.begin() as connection:
            connection.execute(
                update(leases)
                .where(leases.c.name == self._name, leases.c.token == self.token)
                .values(expires_at=0.0)
            )
        self.token = None

    def _insert(self, connection: Connection, now: float) -> int | None:
        values = {"name": self._name, "holder": self.holder, "token": 1}
        try:
            with connection.begin_nested():
                connection.execute(insert(leases).values(expires_at=now + self.ttl_s, **values))
        except IntegrityError:
            return None  # two processes started at once; the other one was first
        return 1

    def _replace(
        self, connection: Connection, old_token: int, new_token: int, now: float
    ) -> int | None:
        # compare-and-set on the token: of two that saw the same expired lease, one gets it
        done = connection.execute(
            update(leases)
            .where(leases.c.name == self._name, leases.c.token == old_token)
            .values(holder=self.holder, token=new_token, expires_at=now + self.ttl_s)
        )
        return new_token if done.rowcount == 1 else None

    def _absurd(self, row: object, now: float) -> bool:
        """An expiry far ahead comes from a clock that has jumped back since; nobody renews it."""
        return bool(row.expires_at > now + 20 * self.ttl_s)  # type: ignore[attr-defined]

    @staticmethod
    def _is_dead(holder: str) -> bool:
        """Whether the holder was a process of this machine that no longer runs (kill -9)."""
        host, _, rest = holder.partition(":")
        pid = rest.partition(":")[0]
        if host != socket.gethostname()[:100] or not pid.isdigit() or int(pid) == os.getpid():
            return False
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False
