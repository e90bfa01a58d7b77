"""Versions, conflicts, marks and public links, on a real state store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from dashboards.custom.definition import Dashboard
from dashboards.custom.errors import DashboardConflict, DashboardMissing, DashboardRefused
from dashboards.custom.public_link import PublicLinks, Scope
from dashboards.custom.store import DashboardStore, slug
from storage.settings import StorageSettings
from storage.state import dashboard_links, open_state


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """One for the file; every test has dashboards of its own."""
    folder: Path = tmp_path_factory.mktemp("state")
    engine = open_state(StorageSettings(data_dir=folder))
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def made(title: str) -> Dashboard:
    return Dashboard(title=title)


def test_every_save_is_a_version_and_old_ones_stay(state: sa.Engine, clock: Clock) -> None:
    store = DashboardStore(state, clock=clock)
    first = store.create(made("One"), author="ada")
    clock.now = 2_000
    store.save(first.id, made("Two"), author="bob", seen=1, note="  a\nnew   title ")

    assert store.get(first.id).dashboard.title == "Two"
    assert store.get(first.id, 1).dashboard.title == "One"
    assert store.get(first.id, 1).newest == 2
    told = [(v.version, v.author, v.note, v.created_at) for v in store.versions(first.id)]
    assert told == [(2, "bob", "a new title", 2_000), (1, "ada", "", 1_000)]

    back = store.restore(first.id, 1, author="ada", seen=2)
    assert (back.version, back.dashboard.title) == (3, "One")
    assert store.versions(first.id)[0].note == "Restored version 1"


def test_whoever_saves_second_is_told_and_nothing_is_lost(state: sa.Engine) -> None:
    store = DashboardStore(state)
    start = store.create(made("Start"), author="ada")
    store.save(start.id, made("Ada's"), author="ada", seen=1)
    with pytest.raises(DashboardConflict, match="ada saved version 2") as caught:
        store.save(start.id, made("Bob's"), author="bob", seen=1)
    assert (caught.value.author, caught.value.version) == ("ada", 2)
    assert store.get(start.id).dashboard.title == "Ada's"
    assert len(store.versions(start.id)) == 2


def test_of_many_who_save_at_once_exactly_one_wins(state: sa.Engine) -> None:
    store = DashboardStore(state)
    start = store.create(made("Start"), author="ada")
    outcomes: list[str] = []
    gate = threading.Barrier(6)

    def save(n: int) -> None:
        gate.wait()
        try:
            store.save(start.id, made(f"By {n}"), author=f"p{n}", seen=1)
            outcomes.append("saved")
        except DashboardConflict:
            outcomes.append("told")

    threads = [threading.Thread(target=save, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["saved"] + ["told"] * 5
    assert store.get(start.id).version == 2


def test_deleting_keeps_everything_and_can_be_undone(state: sa.Engine) -> None:
    store = DashboardStore(state)
    gone = store.create(made("Gone"), author="ada")
    store.delete(gone.id)
    for look in (store.get, store.versions, store.delete):
        with pytest.raises(DashboardMissing):
            look(gone.id)
    with pytest.raises(DashboardMissing):
        store.save(gone.id, made("x"), author="ada", seen=1)
    assert gone.id not in [e.id for e in store.all("ada")]
    store.undelete(gone.id)
    assert store.get(gone.id).dashboard.title == "Gone"


def test_favourites_and_last_views_are_each_persons_own(state: sa.Engine, clock: Clock) -> None:
    store = DashboardStore(state, clock=clock)
    one = store.create(made("Marked"), author="ada")
    store.mark_favourite(one.id, "ada", True)
    store.mark_viewed(one.id, "bob")
    seen = {
        person: next(e for e in store.all(person) if e.id == one.id) for person in ("ada", "bob")
    }
    assert (seen["ada"].favourite, seen["ada"].viewed_at) == (True, None)
    assert (seen["bob"].favourite, seen["bob"].viewed_at) == (False, 1_000.0)
    store.mark_favourite(one.id, "ada", False)
    assert not next(e for e in store.all("ada") if e.id == one.id).favourite


def test_another_tenant_sees_and_changes_nothing(state: sa.Engine) -> None:
    ours, theirs = DashboardStore(state), DashboardStore(state, tenant="other")
    mine = ours.create(made("Mine"), author="ada")
    assert mine.id not in [e.id for e in theirs.all("ada")]
    with pytest.raises(DashboardMissing):
        theirs.get(mine.id)
    with pytest.raises(DashboardMissing):
        theirs.save(mine.id, made("x"), author="eve", seen=1)
    with pytest.raises(DashboardMissing):
        theirs.delete(mine.id)
    with pytest.raises(DashboardMissing):
        theirs.mark_favourite(mine.id, "eve", True)
    assert ours.get(mine.id).version == 1


def test_a_definition_beyond_the_limit_is_refused(state: sa.Engine) -> None:
    texts = [{"id": f"p{n}", "kind": "text", "text": "x" * 9_999} for n in range(11)]
    big = Dashboard.model_validate({"title": "Big", "panels": texts})
    with pytest.raises(DashboardRefused, match="larger than"):
        DashboardStore(state).create(big, author="ada")


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("API product health!", "api-product-health"),
        ("Größe", "groe"),
        ("../../x", "x"),
        ("😀", "dashboard"),
    ],
)
def test_ids_are_made_of_titles(title: str, expected: str) -> None:
    assert slug(title) == expected


EVERYTHING = Scope("now-24h", "now", {"api": ("orders",)}, None)


def test_a_token_is_shown_once_and_kept_nowhere(state: sa.Engine, clock: Clock) -> None:
    board = DashboardStore(state).create(made("Shared"), author="ada")
    links = PublicLinks(state, clock=clock)
    link, token = links.create(board.id, EVERYTHING, tenant="default", author="ada", days=1)
    with state.connect() as connection:
        kept = connection.execute(sa.select(dashboard_links)).all()
    assert not any(token in str(value) for row in kept for value in row)
    found = links.find(token)
    assert (found.dashboard, found.tenant, found.version) == (board.id, "default", None)
    assert found.scope.search() == "?from=now-24h&to=now&api=orders"
    assert links.of(board.id, tenant="default")[0].views == 1
    assert links.of(board.id, tenant="other") == []
    assert link.expires_at == clock.now + 86_400


def test_dead_links_are_told_apart_by_nobody(state: sa.Engine, clock: Clock) -> None:
    store, links = DashboardStore(state), PublicLinks(state, clock=clock)
    board = store.create(made("Shared"), author="ada")

    def link() -> tuple[str, str]:
        made_link, token = links.create(
            board.id, EVERYTHING, tenant="default", author="ada", days=1
        )
        return made_link.id, token

    revoked_id, revoked = link()
    links.revoke(revoked_id, tenant="default")
    _, expired = link()
    other_id, other = link()
    with pytest.raises(DashboardMissing):
        links.revoke(other_id, tenant="other")
    with pytest.raises(DashboardMissing):
        links.revoke(revoked_id, tenant="default")
    assert links.find(other).id == other_id
    clock.now += 86_400
    said = set()
    for token in (revoked, expired, other, "x" * 32, "", "x" * 10_000, "\x00" * 32):
        with pytest.raises(DashboardMissing) as caught:
            links.find(token)
        said.add(str(caught.value))
    assert len(said) == 1


def test_a_link_dies_with_its_dashboard(state: sa.Engine) -> None:
    store, links = DashboardStore(state), PublicLinks(state)
    board = store.create(made("Shared"), author="ada")
    _, token = links.create(board.id, EVERYTHING, tenant="default", author="ada", days=1)
    store.delete(board.id)
    with pytest.raises(DashboardMissing):
        links.find(token)


@pytest.mark.parametrize("days", [0, -1, 367, float("nan"), float("inf")])
def test_a_link_has_an_end(state: sa.Engine, days: float) -> None:
    with pytest.raises(DashboardRefused, match="up to 366 days"):
        PublicLinks(state).create("x", EVERYTHING, tenant="default", author="a", days=days)
