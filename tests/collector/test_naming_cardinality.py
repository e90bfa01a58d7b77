"""How many names come out of real-shaped and of hostile paths, and that no id is left in them."""

from __future__ import annotations

import datetime as dt
import random
import re
import string
import uuid

import pyarrow as pa
import pytest

from collector.naming import Naming
from collector.naming.limits import ROUTES_MAX
from collector.naming.routes import OVERFLOW, UNMATCHED
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
