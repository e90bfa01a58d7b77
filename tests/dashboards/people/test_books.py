"""Users, sessions, links, tokens and attempts, by a clock of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from dashboards.people.attempts import (
    ACCOUNT_BURST,
    NETWORK_BURST,
    NOTED_EVERY_S,
    NOTED_NETWORKS_MAX,
    Attempts,
    network,
)
from dashboards.people.errors import (
    BadUser,
    LinkGone,
    NoSuchToken,
    NoSuchUser,
    TooManyAttempts,
    WeakPassword,
)
from dashboards.people.links import PASSWORD_HOURS, SETUP_HOURS, LinkBook
from dashboards.people.passwords import Passwords
from dashboards.people.sessions import SessionBook
from dashboards.people.tokens import ApiTokenBook
from dashboards.people.users import UserBook, place
from storage.audit import read_audit
from storage.settings import StorageSettings
from storage.state import open_state
from storage.state_people import api_tokens, user_links, user_sessions, users
from tests.dashboards.people.town import BY, CHEAP, PASSWORD


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_state(StorageSettings(data_dir=tmp_path))
    yield engine
    engine.dispose()


@pytest.fixture
def book(state: sa.Engine, clock: Clock) -> UserBook:
    return UserBook(state, CHEAP, clock=clock)


@pytest.mark.parametrize(
    "given",
    [
        lambda: place("root"),
        lambda: place("admin", "../x"),
        lambda: place("admin", ""),
        lambda: place("api_owner"),
        lambda: place("api_owner", apis=[" ", ""]),
        lambda: place("app_developer"),
        lambda: place("app_developer", apis=["orders"]),
        lambda: place("admin", apis=["orders"]),
        lambda: place("viewer", consumers=["shop"]),
        lambda: place("api_owner", apis=["x\x00y"]),
        lambda: place("api_owner", apis=["x" * 301]),
        lambda: place("api_owner", apis=[str(n) for n in range(201)]),
    ],
)
def test_what_fits_no_role_is_a_sentence(given: Callable[[], object]) -> None:
    with pytest.raises(BadUser, match=r"[.]$"):
        given()


@pytest.mark.parametrize("name", ["", "a b", "ä@x", "<script>", "x" * 201, "-x", "a/b", "\x00"])
def test_names_that_cannot_be_used(book: UserBook, name: str) -> None:
    with pytest.raises(BadUser):
        book.add(name, place("viewer"), actor=BY)


def test_names_are_one_whatever_their_case(book: UserBook) -> None:
    book.add(" Ann@Example.com ", place("viewer"), actor=BY)
    with pytest.raises(BadUser, match="already"):
        book.add("ann@example.com", place("admin"), actor=BY)
    assert book.get("ANN@example.COM").role == "viewer"


def test_an_admin_reaches_nobody_of_another_tenant(book: UserBook) -> None:
    book.add("ann", place("admin", "a"), actor=BY)
    book.add("bob", place("viewer", "b"), actor=BY)
    mine = book.within("a")
    assert [u.name for u in mine.list()] == ["ann"]
    with pytest.raises(NoSuchUser):
        mine.get("bob")
    with pytest.raises(NoSuchUser):
        mine.change("bob", place("viewer", "a"), actor=BY)
    with pytest.raises(NoSuchUser):
        mine.set_disabled("bob", True, actor=BY)
    with pytest.raises(NoSuchUser):
        mine.set_password("bob", PASSWORD, actor=BY)
    with pytest.raises(BadUser, match="another tenant"):
        mine.add("eve", place("admin", "b"), actor=BY)
    with pytest.raises(BadUser, match="another tenant"):
        mine.change("ann", place("admin", "b"), actor=BY)


@pytest.mark.parametrize(
    "password", ["short", "a" * 40, "abababababab", "annexample12", "x" * 11, "y" * 600]
)
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(WeakPassword):
        CHEAP.hash(password, "annexample")


def test_a_password_is_kept_as_argon2id_with_real_costs() -> None:
    passwords = Passwords()
    kept = passwords.hash(PASSWORD, "ann")
    assert kept.startswith("$argon2id$")
    assert "m=65536" in kept
    assert PASSWORD not in kept
    assert passwords.matches(kept, PASSWORD)
    assert CHEAP.outdated(kept)


def test_nobody_has_no_password_and_takes_as_long() -> None:
    counted = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]
            counted.append(hash)
            return bool(super().verify(hash, password))

    passwords = Passwords(Counting(1, 8, 1))
    assert not passwords.matches(None, "nobody's password")
    assert not passwords.matches("not a hash", "x")
    assert len(counted) == 2


def test_sessions_end_when_idle_and_at_last(book: UserBook, state: sa.Engine, clock: Clock) -> None:
    sessions = SessionBook(state, idle_s=600, longest_s=3600, clock=clock)
    user = book.add("ann", place("viewer"), actor=BY)
    secret = sessions.start(user, "10.0.0.1")
    for _ in range(7):
        clock.now += 500
        found = sessions.find(secret)
        assert found is not None
        assert found.user.name == "ann"
    clock.now += 101
    assert sessions.find(secret) is None, "an hour is an hour, used or not"
    idle = sessions.start(user, "10.0.0.1")
    clock.now += 601
    assert sessions.find(idle) is None
    assert sessions.sweep() == 2
    for wrong in ("", "x", secret[:-1], secret + "x", "é", "x" * 10_000):
        assert sessions.find(wrong) is None


def test_links_work_once_and_not_for_ever(book: UserBook, state: sa.Engine, clock: Clock) -> None:
    links = LinkBook(state, clock=clock)
    user = book.add("ann", place("viewer"), actor=BY)
    first, second = links.for_password(user, BY), links.for_password(user, BY)
    with pytest.raises(LinkGone):
        links.use(first)
    assert links.look(second).user_id == user.id
    assert links.use(second).kind == "password"
    with pytest.raises(LinkGone):
        links.use(second)
    late, setup = links.for_password(user, BY), links.for_setup()
    clock.now += SETUP_HOURS * 3600 + 1
    with pytest.raises(LinkGone):
        links.look(setup)
    clock.now += PASSWORD_HOURS * 3600
    with pytest.raises(LinkGone):
        links.look(late)


def test_tokens_expire_are_revoked_and_stay_in_their_tenant(state: sa.Engine, clock: Clock) -> None:
    tokens = ApiTokenBook(state, clock=clock)
    secret = tokens.create("report", ["sql"], actor=BY, days=1, tenant="a", apis=["orders"])
    found = tokens.find(secret)
    assert found is not None
    assert (found.tenant, found.permissions) == ("a", {"sql", "export"})
    assert found.rows is not None
    assert found.rows.apis == ("orders",)
    with pytest.raises(BadUser, match="already"):
        tokens.create("report", ["sql"], actor=BY, tenant="a")
    with pytest.raises(NoSuchToken):
        tokens.within("b").revoke("report", actor=BY)
    assert tokens.within("b").list() == []
    clock.now += 86_401
    assert tokens.find(secret) is None
    other = tokens.create("other", ["analytics"], actor=BY)
    tokens.revoke("other", actor=BY)
    assert tokens.find(other) is None
    for scopes in ([], ["everything"], ["sql", "root"]):
        with pytest.raises(BadUser, match="scopes"):
            tokens.create("x", scopes, actor=BY)


def test_no_secret_is_in_the_store(book: UserBook, state: sa.Engine, clock: Clock) -> None:
    user = book.add("ann", place("viewer"), actor=BY, password=PASSWORD)
    secrets = [
        PASSWORD,
        SessionBook(state, idle_s=60, longest_s=60, clock=clock).start(user, "::1"),
        LinkBook(state, clock=clock).for_password(user, BY),
        ApiTokenBook(state, clock=clock).create("t", ["sql"], actor=BY),
    ]
    with state.connect() as connection:
        kept = "".join(
            repr(connection.execute(sa.select(table)).all())
            for table in (users, user_sessions, user_links, api_tokens)
        )
    told = repr(read_audit(state))
    assert not [s for s in secrets if s in kept or s in told]
    assert [e.action for e in read_audit(state)] == [
        "token.create",
        "user.link",
        "login",
        "user.add",
    ]


def test_attempts_come_back_with_time_and_are_bounded_per_network() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(ACCOUNT_BURST):
        attempts.take("ann", "10.0.0.1")
    with pytest.raises(TooManyAttempts):
        attempts.take("ann", "10.0.0.2")
    clock.now += 61
    attempts.take("ann", "10.0.0.2")
    attempts = Attempts(clock)
    for n in range(NETWORK_BURST):
        attempts.take(f"user{n}", "2001:db8::1")
    with pytest.raises(TooManyAttempts) as put_off:
        attempts.take("another", "2001:db8::ffff")
    assert 1 <= put_off.value.retry_after_s <= 10
    attempts.take("another", "2001:db8:0:1::1")


def test_guesses_put_off_are_noted_once_a_minute_and_network_and_none_is_lost() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    assert attempts.to_note("10.0.0.1") == [("10.0.0.1", 1)]
    for _ in range(30):
        assert attempts.to_note("10.0.0.1") == []
    assert attempts.to_note("10.0.0.2") == [("10.0.0.2", 1)]
    clock.now += NOTED_EVERY_S
    # whoever comes next also brings what others left
    assert attempts.to_note("10.0.0.3") == [("10.0.0.1", 30), ("10.0.0.3", 1)]

    clock = Clock()
    attempts = Attempts(clock)
    networks = [f"10.1.{n // 250}.{n % 250}" for n in range(NOTED_NETWORKS_MAX + 50)]
    noted = sum(number for one in networks * 2 for _, number in attempts.to_note(one))
    clock.now += NOTED_EVERY_S
    noted += sum(number for _, number in attempts.to_note("10.0.0.1"))
    assert noted == 2 * len(networks) + 1


def test_right_ones_cost_nothing() -> None:
    attempts = Attempts(Clock())
    for _ in range(200):
        attempts.take("ann", "10.0.0.1")
        attempts.right("ann", "10.0.0.1")
    assert attempts.succeeded == 200


@pytest.mark.parametrize(
    ("address", "counted"),
    [("::ffff:10.0.0.1", "10.0.0.1"), ("10.0.0.1", "10.0.0.1"), ("x", "x"), ("", "")],
)
def test_networks(address: str, counted: str) -> None:
    assert network(address) == counted
