"""Users: who they are, what they may (a role), where (a tenant), and which rows of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from dashboards.people.errors import BadUser, NoSuchUser
from dashboards.people.passwords import Passwords
from dashboards.people.secret import new_id
from dashboards.roles import ROLES, Role
from storage.audit import Actor, append_audit
from storage.state_people import user_links, user_sessions, users

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,199}")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
NAMES_MAX = 200
"""APIs or consumers of one user."""
TITLE_CHARS_MAX = 200
"""What somebody is called; longer is cut off."""


@dataclass(frozen=True, slots=True)
class User:
    id: str
    name: str
    """To log in with; lower case."""
    title: str
    role: Role
    tenant: str
    apis: tuple[str, ...] = ()
    """Names of APIs; `owner:<team>` = all the catalog says that team owns."""
    consumers: tuple[str, ...] = ()
    issuer: str | None = None
    """Of single sign-on; None = a local user."""
    has_password: bool = False
    disabled_at: float | None = None
    created_at: float = 0.0
    seen_at: float | None = None
    """Last login, epoch seconds; None = never."""

    @property
    def called(self) -> str:
        return self.title or self.name


@dataclass(frozen=True, slots=True)
class Place:
    """What a user is given: checked by `place`."""

    role: Role
    tenant: str = "default"
    apis: tuple[str, ...] = ()
    consumers: tuple[str, ...] = ()


def place(
    role: str, tenant: str = "default", apis: Sequence[str] = (), consumers: Sequence[str] = ()
) -> Place:
    """Raises BadUser in a sentence that says what would do."""
    known = next((r for r in ROLES if r == role), None)
    if known is None:
        raise BadUser(f"There is no role {role[:40]!r}; there are {', '.join(ROLES)}.")
    if not _TENANT.fullmatch(tenant):
        raise BadUser("A tenant is named with letters, digits, dots, dashes and underscores.")
    rows = ROLES[known].rows
    kept_apis, kept_consumers = _names(apis), _names(consumers)
    if rows == "own apis" and not kept_apis:
        raise BadUser("An API owner needs at least one API (or owner:<team>).")
    if rows == "own consumer" and not kept_consumers:
        raise BadUser("An app developer needs the name of at least one application (consumer).")
    if kept_apis and rows not in ("own apis", "apis"):
        raise BadUser(f"A {ROLES[known].title.lower()} sees every API; give no APIs.")
    if kept_consumers and rows != "own consumer":
        raise BadUser("Only an app developer is bound to applications; give no consumers.")
    return Place(known, tenant, kept_apis, kept_consumers)


def _names(values: Sequence[str]) -> tuple[str, ...]:
    kept = tuple(dict.fromkeys(v.strip() for v in values if v.strip()))
    if len(kept) > NAMES_MAX or any(len(v) > 300 or "\x00" in v for v in kept):
        raise BadUser(f"At most {NAMES_MAX} names of at most 300 characters.")
    return kept


def user_name(text: str) -> str:
    """As it is kept. Raises BadUser."""
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise BadUser(
            "A user name has letters without accents, digits and . _ @ + -; an e-mail address does."
        )
    return name


class UserBook:
    """All users. Thread-safe. `tenant`: changes and look-ups stay in it; None = all (CLI)."""

    def __init__(
        self,
        state: sa.Engine,
        passwords: Passwords,
        *,
        tenant: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._passwords = passwords
        self._tenant = tenant
        self._clock = clock

    def within(self, tenant: str) -> UserBook:
        """The same book for an admin of that tenant."""
        return UserBook(self._state, self._passwords, tenant=tenant, clock=self._clock)

    def any(self) -> bool:
        """Whether there is any user at all: then everybody has to log in."""
        with self._state.connect() as connection:
            return connection.execute(sa.select(users.c.id).limit(1)).first() is not None

    def list(self) -> list[User]:
        """By name."""
        query = self._mine(sa.select(users)).order_by(users.c.name)
        with self._state.connect() as connection:
            return [user_of(row) for row in connection.execute(query).mappings()]

    def get(self, name: str) -> User:
        """Raises NoSuchUser."""
        query = self._mine(sa.select(users).where(users.c.name == name.strip().lower()))
        return self._one(query, name)

    def by_id(self, user_id: str) -> User:
        """Raises NoSuchUser."""
        return self._one(self._mine(sa.select(users).where(users.c.id == user_id)), user_id)

    def by_subject(self, issuer: str, subject: str) -> User | None:
        """The user a provider of single sign-on knows by that subject."""
        query = sa.select(users).where(users.c.issuer == issuer, users.c.subject == subject)
        with self._state.connect() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else user_of(row)

    def add(
        self,
        name: str,
        given: Place,
        *,
        actor: Actor,
        title: str = "",
        password: str | None = None,
        subject: tuple[str, str] | None = None,
        only_first: bool = False,
    ) -> User:
        """Add one; `password` None = none yet. `subject`: (issuer, subject) of single sign-on.
        `only_first`: refuse when there is any user already (first-run set-up).

        Raises BadUser (the name is taken, another tenant), WeakPassword.
        """
        name = user_name(name)
        self._check_tenant(given.tenant)
        issuer, known_as = subject or (None, None)
        values = {
            "id": new_id(),
            "name": name,
            "title": title.strip()[:TITLE_CHARS_MAX],
            "password": None if password is None else self._passwords.hash(password, name),
            "issuer": issuer,
            "subject": known_as,
            "created_at": self._clock(),
            "password_at": None if password is None else self._clock(),
            **_columns(given),
        }
        try:
            with self._state.begin() as connection:
                if only_first and connection.execute(sa.select(users.c.id).limit(1)).first():
                    raise BadUser("There are users already; one of them can add you.")
                connection.execute(users.insert().values(**values))
                append_audit(connection, actor.did("user.add", name, given.tenant, **_told(given)))
        except sa.exc.IntegrityError as err:
            raise BadUser(f"There is a user named {name!r} already.") from err
        return self.get(name) if self._tenant else _get(self._state, name)

    def change(self, name: str, given: Place, *, actor: Actor, title: str | None = None) -> User:
        """Give another role or other rows. Open sessions go by the new ones within seconds.
        title: what they are called; None = as it is.

        Raises NoSuchUser, BadUser.
        """
        user = self.get(name)
        self._check_tenant(given.tenant)
        with self._state.begin() as connection:
            called = {} if title is None else {"title": title.strip()[:TITLE_CHARS_MAX]}
            connection.execute(
                users.update().where(users.c.id == user.id).values(**_columns(given), **called)
            )
            if given.tenant != user.tenant:
                _forget(connection, user.id)
            told = {**_told(given), **called, "before": user.role}
            append_audit(connection, actor.did("user.change", user.name, user.tenant, **told))
        return self.by_id(user.id)

    def set_password(self, name: str, password: str, *, actor: Actor) -> None:
        """Every session and link of the user ends. Raises NoSuchUser, WeakPassword."""
        user = self.get(name)
        kept = self._passwords.hash(password, user.name)
        with self._state.begin() as connection:
            connection.execute(
                users.update()
                .where(users.c.id == user.id)
                .values(password=kept, password_at=self._clock())
            )
            _forget(connection, user.id)
            append_audit(connection, actor.did("user.password", user.name, user.tenant))

    def set_disabled(self, name: str, disabled: bool, *, actor: Actor) -> None:
        """A disabled user cannot log in, and every session ends. Raises NoSuchUser."""
        user = self.get(name)
        at = self._clock() if disabled else None
        with self._state.begin() as connection:
            connection.execute(users.update().where(users.c.id == user.id).values(disabled_at=at))
            if disabled:
                _forget(connection, user.id)
            action = "user.disable" if disabled else "user.enable"
            append_audit(connection, actor.did(action, user.name, user.tenant))

    def kept_password(self, name: str) -> tuple[User, str] | None:
        """The user and the hash; None = nobody, disabled, or without a password."""
        query = sa.select(users).where(users.c.name == name.strip().lower())
        with self._state.connect() as connection:
            row = connection.execute(query).mappings().first()
        if row is None or row["disabled_at"] is not None or row["password"] is None:
            return None
        return user_of(row), row["password"]

    def rehash(self, user: User, password: str) -> None:
        """Keep the password with today's costs."""
        kept = self._passwords.hash(password, user.name)
        with self._state.begin() as connection:
            connection.execute(users.update().where(users.c.id == user.id).values(password=kept))

    def _mine(self, query: sa.Select[tuple[object, ...]]) -> sa.Select[tuple[object, ...]]:
        return query if self._tenant is None else query.where(users.c.tenant == self._tenant)

    def _one(self, query: sa.Select[tuple[object, ...]], asked: str) -> User:
        with self._state.connect() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NoSuchUser(asked)
        return user_of(row)

    def _check_tenant(self, tenant: str) -> None:
        if self._tenant is not None and tenant != self._tenant:
            raise BadUser("That is another tenant than yours.")


def _get(state: sa.Engine, name: str) -> User:
    with state.connect() as connection:
        row = connection.execute(sa.select(users).where(users.c.name == name)).mappings().one()
    return user_of(row)


def _forget(connection: sa.Connection, user_id: str) -> None:
    connection.execute(user_sessions.delete().where(user_sessions.c.user_id == user_id))
    connection.execute(user_links.delete().where(user_links.c.user_id == user_id))


def _columns(given: Place) -> dict[str, object]:
    return {
        "role": given.role,
        "tenant": given.tenant,
        "apis": json.dumps(given.apis),
        "consumers": json.dumps(given.consumers),
    }


def _told(given: Place) -> dict[str, object]:
    return {"role": given.role, "apis": given.apis, "consumers": given.consumers}


def user_of(row: sa.RowMapping) -> User:
    return User(
        id=row["id"],
        name=row["name"],
        title=row["title"],
        role=row["role"],
        tenant=row["tenant"],
        apis=tuple(json.loads(row["apis"])),
        consumers=tuple(json.loads(row["consumers"])),
        issuer=row["issuer"],
        has_password=row["password"] is not None,
        disabled_at=row["disabled_at"],
        created_at=row["created_at"],
        seen_at=row["seen_at"],
    )
