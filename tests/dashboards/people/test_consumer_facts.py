"""What the catalog says of a consumer, to people who see only some rows: group and plan of whoever
called them, and nothing to other tenants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from dashboards import identity
from dashboards.custom.html_text import to_html
from dashboards.data import Data
from dashboards.identity import LOCAL, Principal
from dashboards.panels.consumer_panels import consumers_treemap
from dashboards.settings import DashboardSettings
from dashboards.view import parse_view
from storage.row_scope import RowScope
from storage.settings import StorageSettings
from tests.dashboards.known import utc_now

CATALOG = """
apis: [{name: orders}]
plans: [{name: gold, quota_per_day: 100}]
consumers:
  - {name: acme, plan: gold, group: partners}
  - {name: solo}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    folder: Path = tmp_path_factory.mktemp("facts")
    (folder / "catalog.yaml").write_text(CATALOG)
    made = Data(
        DashboardSettings(port=0), StorageSettings(data_dir=folder), folder / "catalog.yaml"
    )
    yield made
    made.close()


def person(tenant: str = "default", scope: RowScope | None = None) -> Principal:
    return Principal("7", "somebody", "user", tenant, LOCAL.permissions, scope=scope)


OWNER = person(scope=RowScope(apis=("orders",)))


@pytest.mark.parametrize("who", [LOCAL, OWNER, person(scope=RowScope(consumers=("acme",)))])
def test_people_at_home_learn_group_and_plan_of_who_called_them(data: Data, who: Principal) -> None:
    with identity.acting_as(who):
        known = data.consumer("acme")
        assert known is not None
        assert (known.group, known.plan) == ("partners", "gold")
        solo = data.consumer("solo")
        assert solo is not None
        assert (solo.group, solo.plan) == (None, None)


def test_what_the_catalog_does_not_name_is_not_known(data: Data) -> None:
    for name in ("stranger", "ACME", "", None):
        assert data.consumer(name) is None


def test_another_tenant_learns_nothing_of_one_with_the_same_name(data: Data) -> None:
    with identity.acting_as(person("neighbour")):
        assert data.consumer("acme") is None


def test_an_owner_s_catalog_lists_no_consumer_but_the_map_has_their_groups(data: Data) -> None:
    rows = pl.DataFrame({"consumer": ["acme", "solo", None], "requests": [3, 2, 9]})
    view = parse_view("?from=now-1h", now=utc_now())
    with identity.acting_as(OWNER):
        assert data.catalog.consumers == ()
        drawn = to_html(consumers_treemap(rows, view, data))
    assert "partners" in drawn
    assert "no group" in drawn
    with identity.acting_as(person("neighbour")):
        assert "partners" not in to_html(consumers_treemap(rows, view, data))
