"""How many names come out of real-shaped and of hostile paths, and that no id is left in them."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import re
import string
import uuid

import pyarrow as pa
import pytest

from collector.naming import Naming
from collector.naming.limits import ROUTES_MAX, NamingLimits
from collector.naming.overflow import OVERFLOW, WARN_S, Overflows
from collector.naming.routes import UNMATCHED, Room, RouteTree
from sample_data.catalog_file import CATALOG_PATH
from sample_data.company import build_company
from sample_data.rows import requests_table
from sample_data.scenario import Scenario
from sample_data.traffic import generate
from storage.catalog import Catalog, load_catalog
from tests.collector.test_naming import requests

_ID = re.compile(
    r"\d{4,}|^\d+$|@|%40|[0-9a-f]{8}-[0-9a-f]{4}-|^[0-9a-fA-F]*\d[0-9a-fA-F]*[a-fA-F][0-9a-fA-F]{6,}$"
)
"""What an id looks like, said in other words than the code says it."""


def ids_left(routes: set[str]) -> list[str]:
    return [r for r in routes if any(_ID.search(s) for s in r.split("/") if s != "{id}")]


@pytest.fixture(scope="module")
def sample() -> list[pa.RecordBatch]:
    """Twenty minutes of the sample company's calls, stripped of every name its gateways gave."""
    company = build_company()
    start = int(dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC).timestamp() * 1e6)
    calls = generate(company, Scenario(), start, start + 1_200_000_000)
    table = requests_table(company, calls)
    for name in ("api", "api_version", "route", "product", "plan", "consumer_group", "outcome"):
        index = table.schema.get_field_index(name)
        field = table.schema.field(index)
        table = table.set_column(index, field, pa.nulls(table.num_rows, field.type))
    return table.to_batches(max_chunksize=5000)


@pytest.mark.parametrize("catalog", [Catalog(), load_catalog(CATALOG_PATH)], ids=["none", "own"])
def test_the_sample_companys_routes_are_few_and_hold_no_ids(
    sample: list[pa.RecordBatch], catalog: Catalog
) -> None:
    naming = Naming(catalog)
    names: set[tuple[str, str]] = set()
    paths: set[str] = set()
    for batch in sample:
        named = naming.apply(batch)
        paths |= set(named.column("path").to_pylist())
        names |= set(
            zip(named.column("api").to_pylist(), named.column("route").to_pylist(), strict=True)
        )
    assert len(paths) > 1000
    assert len(names) < 200
    assert ids_left({route for _, route in names}) == []
    assert OVERFLOW not in {route for _, route in names}


def hostile_segment(rng: random.Random) -> str:
    letters = string.ascii_letters
    return rng.choice(
        [
            lambda: str(rng.getrandbits(rng.choice((8, 32, 64)))),
            lambda: str(uuid.UUID(int=rng.getrandbits(128))),
            lambda: f"{rng.getrandbits(128):032x}",
            lambda: f"{rng.getrandbits(40):010X}",
            lambda: "".join(rng.choices(letters + string.digits + "-_", k=22)),
            lambda: "".join(rng.choices(letters, k=rng.randint(3, 30))),
            lambda: f"user{rng.getrandbits(30)}@example.com",
            lambda: f"{rng.randint(1990, 2030)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
            lambda: "%" + "%".join(f"{rng.getrandbits(8):02x}" for _ in range(6)),
            lambda: f"ord_{rng.getrandbits(48):x}",
            lambda: "../" * rng.randint(1, 4) + "etc",
            lambda: "x" * rng.randint(41, 300),
            lambda: "é" * rng.randint(1, 9),
        ]
    )()


@pytest.mark.parametrize("status", [200, 404])
def test_hostile_paths_make_few_routes_without_ids(status: int) -> None:
    """Ten thousand paths under real prefixes, most segments an id of some kind; found or not."""
    rng = random.Random(11)
    naming = Naming(Catalog())
    words = ["orders", "users", "carts", "v1", "v2", "api", "items", "search"]
    routes: set[str] = set()
    for _ in range(20):
        rows = []
        for _ in range(500):
            depth = rng.randint(1, 6)
            parts = [rng.choice(words)]
            parts += [hostile_segment(rng) if rng.random() < 0.7 else rng.choice(words)
                      for _ in range(depth)]  # fmt: skip
            rows.append(
                {"host": "api.example.com", "path": "/" + "/".join(parts), "status_code": status}
            )
        routes |= set(naming.apply(requests(*rows)).column("route").to_pylist())
    assert len(routes) <= ROUTES_MAX + 2
    if status == 404:
        assert routes == {UNMATCHED}
    assert ids_left(routes) == []


def apis_of(naming: Naming, tenant: str, services: list[str]) -> set[str]:
    rows = requests(*[{"tenant": tenant, "path": "/a"} for _ in services])
    named = naming.apply(rows, service=pa.array(services, pa.string()), format="otlp_traces")
    return set(named.column("api").to_pylist())


def test_one_tenants_names_take_no_room_of_anothers() -> None:
    naming = Naming(Catalog(), limits=NamingLimits(apis_max=5, routes_max=50))
    bomb = [f"service {n}" for n in range(100)]
    assert apis_of(naming, "loud", bomb) == {*bomb[:5], OVERFLOW}
    assert apis_of(naming, "loud", bomb[:5]) == set(bomb[:5]), "names keep their place"
    assert apis_of(naming, "calm", ["shop", "cart"]) == {"shop", "cart"}
    assert naming.overflows.requests["apis"] == 95
    told = naming.overflows.warning("loud", "otlp_traces")
    assert '"service 99"' in told and "api_names_max" in told and "more than 5 APIs" in told
    assert naming.overflows.warning("calm", "otlp_traces") == ""
    assert naming.overflows.warning("loud", "otlp_logs") == "", "no log named anything"


@pytest.mark.parametrize(
    ("column", "reason", "remedy"),
    [("route", "routes", "route_names_max"), ("path", "routes_of_api", "catalog"),
     ("host", "hosts", "catalog")],
)  # fmt: skip
def test_every_cap_is_counted_and_told_with_its_remedy(
    column: str, reason: str, remedy: str
) -> None:
    naming = Naming(Catalog(), limits=NamingLimits(routes_max=1_000))
    words = ["".join(pair) for pair in itertools.product("bcdfghjklm", "npqrstvwxz", "ae", "io")]
    made = {
        "route": [f"/{a}/{b}" for a in words[:40] for b in words[:40]],
        "path": [f"/{a}/{b}" for a in words[:20] for b in words[:20]],
        "host": [f"{a}.example.com" for a in words],
    }[column]
    rows = requests(*[{"api": "shop" if column != "host" else None, "path": "/", column: value}
                      for value in made])  # fmt: skip
    named = naming.apply(rows, format="nginx")
    found = named.column("api" if column == "host" else "route").to_pylist()
    assert found.count(OVERFLOW) == naming.overflows.requests[reason] > 0
    assert sum(naming.overflows.requests.values()) == naming.overflows.requests[reason]
    assert remedy in naming.overflows.warning("default", "nginx")
    again = naming.apply(named, format="nginx")
    assert again.column("route").to_pylist() == named.column("route").to_pylist()


def test_senders_are_told_for_a_while_after_the_last_overflow_and_then_no_more() -> None:
    now = [0.0]
    overflows = Overflows(NamingLimits(), clock=lambda: now[0])
    overflows.note("loud", "nginx", "apis", "évil\n\u202e" + "x" * 500, 3)
    now[0] = WARN_S
    told = overflows.warning("loud", "nginx")
    assert '"évil??xxx' in told and len(told) < 400 and told.isprintable()
    now[0] += 1
    assert overflows.warning("loud", "nginx") == ""
    assert overflows.requests["apis"] == 3, "counted all the same"


def test_paths_of_any_depth_fill_a_bounded_memory() -> None:
    """Twelve segments of thirty words each never meet the cap of one prefix."""
    rng = random.Random(3)
    room = Room(routes=100, nodes=500)
    tree = RouteTree(room)
    words = [a + b for a in "abcdef" for b in "vwxyz"]
    for _ in range(2_000):
        tree.learn("/" + "/".join(rng.choices(words, k=12)), 1)
    assert room.nodes == 0
    assert tree.route("/" + "/".join(words[:12]), True).startswith("/")
