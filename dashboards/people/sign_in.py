"""Coming in and being recognised: the people's side of gate.py, without HTTP.

Blocking (database, argon2): call it from a thread.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import sqlalchemy as sa
import structlog

from dashboards.identity import HOME_TENANT, Principal
from dashboards.people.attempts import Attempts
from dashboards.people.errors import LinkGone, TooManyAttempts, WrongPassword
from dashboards.people.links import LinkBook
from dashboards.people.passwords import Passwords
from dashboards.people.principals import principal_of_session, principal_of_token
from dashboards.people.secret import digest
from dashboards.people.sessions import SessionBook
from dashboards.people.tokens import ApiTokenBook
from dashboards.people.users import Place, User, UserBook, user_name
from dashboards.settings import DashboardSettings
from storage.audit import Actor, AuditEntry, forget_audit, write_audit
from storage.catalog import Catalog

log = structlog.get_logger(__name__)

RECOGNISED_S = 2.0
"""How long somebody stays recognised without a look at the store: so long a change made by the
command line takes to be noticed. Changes on the screen are noticed at once."""

RECOGNISED_MAX = 10_000

SWEEP_EVERY_S = 3600.0


class SignIn:
    """Everything about coming in, of one installation. Thread-safe."""

    def __init__(
        self,
        state: sa.Engine,
        settings: DashboardSettings,
        catalog: Catalog,
        *,
        passwords: Passwords | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.state = state
        self.settings = settings
        self._catalog = catalog
        self._passwords = passwords or Passwords()
        self._clock = clock
        self.users = UserBook(state, self._passwords, clock=clock)
        self.sessions = SessionBook(
            state,
            idle_s=settings.session_idle_minutes * 60.0,
            longest_s=settings.session_hours_max * 3600.0,
            clock=clock,
        )
        self.links = LinkBook(state, clock=clock)
        self.tokens = ApiTokenBook(state, clock=clock)
        self.attempts = Attempts()
        self._hashing = threading.BoundedSemaphore(2)  # each takes 64 MiB
        self._lock = threading.Lock()
        self._recognised: OrderedDict[str, tuple[float, Principal]] = OrderedDict()
        self._asked: tuple[float, bool] | None = None
        self._swept_at = 0.0

    def asked(self) -> bool:
        """Whether people have to log in: told to, or there is a user."""
        if self.settings.login == "on" or self.settings.oidc_issuer:
            return True
        now = self._clock()
        if self._asked is None or not self._asked[1] and now - self._asked[0] > RECOGNISED_S:
            self._asked = (now, self.users.any())
        return self._asked[1]

    def with_password(self, name: str, password: str, address: str) -> str:
        """A session's secret. Raises WrongPassword, TooManyAttempts; all of it is written down."""
        account = name.strip().lower()[:200]
        self._take(account, address)
        found = self.users.kept_password(account)
        with self._hashing:
            right = self._passwords.matches(None if found is None else found[1], password)
        if found is None or not right:
            self.attempts.wrong()
            tenant = HOME_TENANT if found is None else found[0].tenant
            self._failed("login", account, tenant, address, "wrong name or password")
            raise WrongPassword
        user, kept = found
        self.attempts.right(account, address)
        if self._passwords.outdated(kept):
            self.users.rehash(user, password)
        return self.sessions.start(user, address)

    def with_link(self, secret: str, name: str, password: str, address: str) -> str:
        """Use a link that works once: make the first admin, or set a password. A session's secret.

        Raises LinkGone, WeakPassword, BadUser, NoSuchUser, TooManyAttempts.
        """
        self._take("", address)
        link = self.links.look(secret)
        if link.kind == "setup":
            # A mistake in the form must not use the link up; of two at once, one gets it.
            self._passwords.hash(password, user_name(name))
            self.links.use(secret)
            user = self.users.add(
                name,
                Place("admin", HOME_TENANT),
                actor=Actor("set-up link", "system", address),
                password=password,
                only_first=True,
            )
        else:
            assert link.user_id is not None
            user = self.users.by_id(link.user_id)
            if user.disabled_at is not None:
                raise LinkGone
            self._passwords.hash(password, user.name)  # refused before the link is used up
            self.links.use(secret)
            self.users.set_password(user.name, password, actor=Actor(user.name, "user", address))
        self.attempts.right("", address)
        self.forget()
        return self.sessions.start(user, address, how="link")

    def linked_user(self, secret: str, address: str) -> User | None:
        """Whose password a link sets; None = set-up. Raises LinkGone, TooManyAttempts."""
        self._take("", address)
        link = self.links.look(secret)
        self.attempts.right("", address)
        return None if link.user_id is None else self.users.by_id(link.user_id)

    def by_cookie(self, secret: str, address: str) -> Principal | None:
        """Who comes with this cookie; None = nobody."""

        def look() -> Principal | None:
            session = self.sessions.find(secret)
            if session is None:
                return None
            return principal_of_session(session, self._catalog, address)

        return self._recognise("c" + digest(secret) + address, look)

    def by_token(self, secret: str, address: str) -> Principal | None:
        """Who comes with this API token; None = nobody. Raises TooManyAttempts after many wrong
        ones from there."""

        def look() -> Principal | None:
            token = self.tokens.find(secret)
            return None if token is None else principal_of_token(token, self._catalog, address)

        found = self._recognise("t" + digest(secret) + address, look)
        if found is None:
            self.attempts.wrong()
            self._take("", address)
            self._failed("token", "", HOME_TENANT, address, "unknown, revoked or expired token")
        return found

    def log_out(self, who: Principal) -> None:
        self.sessions.end(who.session, who.actor, who.tenant)
        self.forget()

    def forget(self) -> None:
        """Look everybody up anew: something about users, sessions or tokens was changed."""
        with self._lock:
            self._recognised.clear()
        self._asked = None

    def setup_link_wanted(self) -> bool:
        """Whether nobody could come in without a set-up link."""
        return self.asked() and not self.users.any() and not self.settings.oidc_issuer

    def sweep(self) -> None:
        """Delete what is over, once an hour."""
        now = self._clock()
        if now - self._swept_at < SWEEP_EVERY_S:
            return
        self._swept_at = now
        self.sessions.sweep()
        days = self.settings.audit_days
        if days > 0:
            gone = forget_audit(self.state, older_than=now - days * 86_400)
            if gone:
                log.info("audit_entries_past_retention_deleted", entries=gone, days=days)

    def _recognise(self, key: str, look: Callable[[], Principal | None]) -> Principal | None:
        now = self._clock()
        with self._lock:
            kept = self._recognised.get(key)
        if kept is not None and kept[0] > now:
            return kept[1]
        found = look()
        if found is not None:
            with self._lock:
                self._recognised[key] = (now + RECOGNISED_S, found)
                while len(self._recognised) > RECOGNISED_MAX:
                    self._recognised.popitem(last=False)
        return found

    def _take(self, account: str, address: str) -> None:
        try:
            self.attempts.take(account, address)
        except TooManyAttempts:
            log.warning("login_put_off", account=account, address=address)
            for known, number in self.attempts.to_note(address):
                write_audit(
                    self.state,
                    AuditEntry(
                        action="login.put_off",
                        target=account,
                        outcome="refused",
                        address=known,
                        detail={"guesses": number},
                    ),
                )
            raise

    def _failed(self, action: str, name: str, tenant: str, address: str, why: str) -> None:
        write_audit(
            self.state,
            AuditEntry(
                action=action,
                target=name,
                outcome="failed",
                actor=name,
                tenant=tenant,
                address=address,
                detail={"why": why},
            ),
        )
