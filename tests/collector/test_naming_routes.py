"""Templates of paths: ids go, words stay, and the number of routes is bounded."""

from __future__ import annotations

import random
import uuid

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.naming import Naming
from collector.naming.limits import APIS_MAX, CHILDREN_MAX, ROUTES_MAX
from collector.naming.overflow import OVERFLOW
from collector.naming.routes import UNMATCHED, Room, RouteTree
from collector.naming.templates import template_path, template_paths
from storage.catalog import Catalog
from tests.collector.test_naming import requests


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/orders/17", "/orders/{id}"),
        ("/orders/17/", "/orders/{id}"),
        ("/orders//17", "/orders/{id}"),
        ("/1/2/3", "/{id}/{id}/{id}"),
        ("/users/9f1c2d3e-aaaa-4bbb-8ccc-0123456789ab/x", "/users/{id}/x"),
        ("/blobs/da39a3ee5e6b4b0d3255bfef95601890afd80709", "/blobs/{id}"),
        ("/users/ann@example.com", "/users/{id}"),
        ("/users/ann%40example.com/x", "/users/{id}/x"),
        ("/reports/2024-01-31", "/reports/{id}"),
        ("/invoices/INV-2024-0001", "/invoices/{id}"),
        ("/o/ord_8f3k2d9x1", "/o/{id}"),
        ("/ulid/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/ulid/{id}"),
        ("/price/12.50", "/price/{id}"),
        ("/temp/-3", "/temp/{id}"),
        ("/v1/oauth2/token", "/v1/oauth2/token"),
        ("/v2.1/2fa", "/v2.1/2fa"),
        ("/files/report.pdf", "/files/report.pdf"),
        ("/decade/facade", "/decade/facade"),
        ("/x/" + "a" * 41, "/x/{id}"),
        ("/", "/"),
        ("", "/"),
        ("*", "/*"),
        ("/a" * 14, "/a" * 12 + "/{rest}"),
    ],
)
def test_ids_become_parameters_and_words_stay(path: str, template: str) -> None:
    assert template_paths(pa.array([path])).to_pylist() == [template]


@given(st.lists(st.text("abc019-_./@%{} é", max_size=30), min_size=1))
def test_templates_by_column_are_templates_one_by_one(paths: list[str]) -> None:
    together = template_paths(pa.array(paths, pa.string())).to_pylist()
    assert [template_path(t) for t in together] == together  # a template is its own template
    assert together == [template_paths(pa.array([p])).to_pylist()[0] for p in paths]


def test_null_paths_have_no_template() -> None:
    assert template_paths(pa.array([None, "/a"], pa.string())).to_pylist() == [None, "/a"]


def test_many_words_after_one_prefix_become_a_parameter() -> None:
    tree = RouteTree(Room(1000, 1000))
    people = [f"/users/{word}/posts" for word in words(CHILDREN_MAX * 3)]
    for path in people:
        tree.learn(path, 1)
    tree.learn("/users/me/posts", 500)
    assert {tree.route(path, True) for path in people[CHILDREN_MAX:]} == {"/users/{id}/posts"}


def test_words_that_are_used_often_keep_their_name() -> None:
    tree = RouteTree(Room(1000, 1000))
    tree.learn("/users/me", 1000)
    for word in words(CHILDREN_MAX * 2):
        tree.learn(f"/users/{word}", 1)
    assert tree.route("/users/me", True) == "/users/me"
    assert tree.route("/users/somebody", True) == "/users/{id}"


def test_paths_that_were_never_found_teach_nothing() -> None:
    tree = RouteTree(Room(1000, 1000))
    tree.learn("/orders/{id}", 5)
    assert tree.route("/wp-login.php", False) == UNMATCHED
    assert tree.route("/orders/{id}", False) == "/orders/{id}"


def test_a_scanner_cannot_fill_the_routes_or_the_apis() -> None:
    rng = random.Random(5)
    naming = Naming(Catalog())
    rows = [{"path": "/orders/17"}, {"path": "/customers/4/address"}]
    rows += [
        {"path": "/" + "/".join(words(rng.randint(1, 4), rng)), "status_code": 404}
        for _ in range(5000)
    ]
    named = naming.apply(requests(*rows))
    routes = set(named.column("route").to_pylist())
    assert routes == {"/orders/{id}", "/customers/{id}/address", UNMATCHED}
    assert set(named.column("api").to_pylist()) == {"orders", "customers", OVERFLOW}


def test_names_stay_few_whatever_is_asked_and_answered() -> None:
    """Hostile: every path is answered with 200, most hold an id of some kind, in many batches."""
    rng = random.Random(7)
    naming = Naming(Catalog())
    routes: set[str] = set()
    apis: set[str] = set()
    for _ in range(20):
        rows = [
            {
                "host": f"h{rng.randint(0, 10_000)}.example.com",
                "path": "/" + "/".join([*words(2, rng), str(uuid.UUID(int=rng.getrandbits(128)))]),
            }
            for _ in range(300)
        ]
        named = naming.apply(requests(*rows))
        routes |= {(a, r) for a, r in zip(*columns(named, "api", "route"), strict=True)}
        apis |= set(named.column("api").to_pylist())
    assert len(apis) <= APIS_MAX + 1
    per_api = {api: sum(a == api for a, _ in routes) for api in apis}
    assert max(per_api.values()) <= ROUTES_MAX + 1
    assert OVERFLOW in apis


def test_one_api_keeps_fewer_routes_than_its_limit() -> None:
    rng = random.Random(9)
    naming = Naming(Catalog())
    seen: set[str] = set()
    for _ in range(30):
        rows = [
            {"host": "api.example.com", "path": "/" + "/".join(words(rng.randint(1, 5), rng))}
            for _ in range(200)
        ]
        seen |= set(naming.apply(requests(*rows)).column("route").to_pylist())
    assert len(seen) <= ROUTES_MAX + 2


def columns(batch: pa.RecordBatch, *names: str) -> list[list[str]]:
    return [batch.column(name).to_pylist() for name in names]


def words(count: int, rng: random.Random | None = None) -> list[str]:
    """Words without digits, all different for the default generator."""
    source = rng or random.Random(3)
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(source.choice("bcdfghjklmnpqrstvwxz") for _ in range(7))] = None
    return list(found)
