"""Row scope: every question of somebody narrowed equals the oracle over the visible rows alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from analytics.clients import unique_clients
from analytics.gateway_quota import gateway_quotas
from analytics.query import Analytics, TimeRange
from analytics.quota import quota_usage
from analytics.runner import RollupRunner
from analytics.scope import narrow_catalog, owner_scope
from analytics.slo import slo_statuses
from storage.catalog import Api, Catalog, Consumer, Plan, Slo
from storage.lake import Lake
from storage.row_scope import RowScope
from storage.session import ReadSession
from storage.settings import StorageSettings
from tests.analytics import oracle
from tests.analytics.hostile import NOON, random_rows, request_table
from tests.analytics.oracle import Row

RANGE = TimeRange(NOON - timedelta(hours=2), NOON + timedelta(hours=2))
ROWS = random_rows(7, 400)
SCOPES = [
    RowScope(apis=("orders", "支払い")),
    RowScope(consumers=("acme",)),
    RowScope(apis=("o'brien; DROP TABLE requests--",), consumers=("ACME", "acmé")),
    RowScope(),
]


@pytest.fixture(params=SCOPES, ids=["owner", "consumer", "both", "nothing"])
def scope(request: pytest.FixtureRequest) -> RowScope:
    found: RowScope = request.param
    return found


@pytest.fixture
def visible(scope: RowScope) -> list[Row]:
    return [
        r
        for r in ROWS
        if r["api"] in scope.apis
        or (r["consumer"] is not None and r["consumer"] in scope.consumers)
    ]


@pytest.fixture(scope="module", params=[False, True], ids=["raw", "rolled up"])
def everything(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Analytics]:
    """One lake for all tests of the file, which only read."""
    lake = Lake(StorageSettings(data_dir=tmp_path_factory.mktemp("scope")))
    lake.table("requests").append(request_table(ROWS), app_id="test", app_version=1)
    if request.param:
        RollupRunner(lake).catch_up_all()
    with ReadSession(lake, threads=1) as session:
        yield Analytics(session, clock=lambda: NOON + timedelta(hours=3))


@pytest.fixture
def narrowed(everything: Analytics, scope: RowScope) -> Analytics:
    return everything.narrowed(scope)


def test_counts_and_quantiles_are_those_of_the_visible_rows(
    narrowed: Analytics, visible: list[Row]
) -> None:
    chosen = oracle.select(visible, RANGE.start, RANGE.end)
    for name in ("requests", "errors", "p95_ms", "upstream_p50_ms", "error_rate"):
        value = narrowed.measure(name, RANGE)["value"][0]
        expected = oracle.measure(name, chosen, RANGE.seconds)
        assert value == (expected if expected is None else pytest.approx(expected, rel=0.011))
    by_api = narrowed.usage(RANGE, by=("api",))
    groups = oracle.group(chosen, ("api",))
    assert dict(by_api.select("api", "requests").iter_rows()) == {
        key[0]: len(rows) for key, rows in groups.items()
    }
    overview = narrowed.overview(RANGE)
    assert overview.requests == len(chosen)
    assert overview.consumers == len({r["consumer"] for r in chosen} - {None})


def test_raw_questions_and_completeness_show_no_more(
    narrowed: Analytics, visible: list[Row]
) -> None:
    chosen = oracle.select(visible, RANGE.start, RANGE.end)
    assert narrowed.requests_sample(RANGE, limit=1000).height == len(chosen)
    assert unique_clients(narrowed, RANGE)["requests"].sum() == len(chosen)
    assert gateway_quotas(narrowed, now=NOON) == []
    found = narrowed.completeness(RANGE)
    assert found.requests_raw == len(chosen)
    assert {s.gateway for s in found.sources} <= {r["gateway"] for r in chosen}
    assert found.complete or found.requests_counted == 0


def test_an_idle_interval_of_ones_own_is_zero_where_others_were_measured(
    narrowed: Analytics, visible: list[Row]
) -> None:
    series = narrowed.usage(RANGE, interval_s=600)
    chosen = oracle.select(visible, RANGE.start, RANGE.end)
    assert series["requests"].sum() == len(chosen)
    measured = {oracle.interval_of(r["time"], 600) for r in ROWS}
    for row in series.iter_rows(named=True):
        assert (row["requests"] is None) == (row["time"] not in measured)


CATALOG = Catalog(
    apis=(
        Api(name="orders", owner="shop", services=("orders-svc",)),
        Api(name="billing", owner="money"),
        Api(name="nobody"),
    ),
    plans=(Plan(name="free", quota_per_day=100),),
    consumers=(Consumer(name="acme", plan="free"), Consumer(name="zeta", plan="free")),
    slos=(Slo(name="a", api="orders", objective=0.9), Slo(name="b", api="billing", objective=0.9)),
)


def test_the_catalog_names_nobody_else(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    store(ROWS)
    owner = owner_scope(CATALOG, "shop")
    assert owner == RowScope(apis=("orders",), services=("orders-svc",))
    assert owner_scope(CATALOG, "") == RowScope()
    seen = narrow_catalog(CATALOG, owner)
    assert [s.slo.name for s in slo_statuses(analytics.narrowed(owner), seen, now=NOON)] == ["a"]
    assert quota_usage(analytics.narrowed(owner), seen, now=NOON) == []
    me = RowScope(consumers=("acme",))
    seen = narrow_catalog(CATALOG, me)
    assert {q.consumer for q in quota_usage(analytics.narrowed(me), seen, now=NOON)} == {"acme"}
    assert slo_statuses(analytics.narrowed(me), seen, now=NOON) == []
    assert narrow_catalog(CATALOG, None) is CATALOG
