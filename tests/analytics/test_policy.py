from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from analytics.query import Analytics, Filters, Policy, TimeRange
from analytics.runner import RollupRunner
from analytics.slo import count_slo
from storage.catalog import Api, Catalog, ExcludedEndpoint, ExpectedError, Slo
from storage.lake import Lake
from storage.session import ReadSession
from tests.analytics.hostile import NOON, random_rows
from tests.analytics.oracle import Row, group, is_error, quantile, select

RANGE = TimeRange(NOON - timedelta(minutes=90, seconds=7), NOON + timedelta(minutes=95))
CATALOG = Catalog(
    apis=(
        Api(
            name="orders",
            expected_errors=(
                ExpectedError(status_codes=("404",), route="/orders*"),
                ExpectedError(status_codes=("5xx",), method="get"),
            ),
        ),
    ),
    excluded_endpoints=(
        ExcludedEndpoint(path="/🙂*", method="POST"),
        ExcludedEndpoint(path="/orders/{id}", api="Ü-Ä"),
    ),
)


def excluded(row: Row) -> bool:
    route = row["route"]
    if route is None:
        return False
    smiley = route.startswith("/🙂") and row["method"] == "POST"
    return smiley or (route == "/orders/{id}" and row["api"] == "Ü-Ä")


def expected(row: Row) -> bool:
    code = row["status_code"]
    if row["api"] != "orders" or code is None:
        return False
    missing = code == 404 and (row["route"] or "").startswith("/orders")
    return missing or (500 <= code <= 599 and row["method"] == "GET")


def ask(lake: Lake, catalog: Catalog = CATALOG) -> Analytics:
    session = ReadSession(lake, threads=1)
    return Analytics(session, clock=lambda: RANGE.end, policy=Policy.of(catalog))


@pytest.mark.parametrize("rolled_up", [False, True])
def test_answers_with_a_policy_equal_the_oracle(
    lake: Lake, store: Callable[[list[Row]], None], rolled_up: bool
) -> None:
    rows = random_rows(11, 900)
    store(rows)
    if rolled_up:
        RollupRunner(lake).catch_up_all()
    analytics = ask(lake)
    inside = select(rows, RANGE.start, RANGE.end)
    kept = [r for r in inside if not excluded(r)]
    assert 0 < len(kept) < len(inside)
    usage = analytics.usage(RANGE, by=("api", "method"))
    groups = group(kept, ("api", "method"))
    assert usage.height == len(groups)
    for row in usage.iter_rows(named=True):
        members = groups[(row["api"], row["method"])]
        failed = sum(is_error(r) and not expected(r) for r in members)
        assert (row["requests"], row["errors"]) == (len(members), failed)
    by_design = sum(expected(r) for r in kept)
    assert by_design > 0
    assert analytics.measure("expected_errors", RANGE)["value"].item() == by_design
    client = sum(400 <= (r["status_code"] or 0) <= 499 and not expected(r) for r in kept)
    assert analytics.measure("client_errors", RANGE)["value"].item() == client
    p95 = analytics.latency(RANGE)["p95_ms"].item()
    assert p95 == pytest.approx(quantile(kept, 0.95), rel=0.011)


def test_excluded_requests_can_be_asked_for(lake: Lake, store: Callable[[list[Row]], None]) -> None:
    rows = random_rows(12, 300)
    store(rows)
    analytics = ask(lake)
    inside = select(rows, RANGE.start, RANGE.end)
    left_out = [r for r in inside if excluded(r)]
    for endpoints, count in (("excluded", len(left_out)), ("all", len(inside))):
        filters = Filters(endpoints=endpoints)
        assert analytics.usage(RANGE, filters)["requests"].item() == count
        sample = analytics.requests_sample(RANGE, filters, limit=1000)
        assert sample.height == count
    assert analytics.completeness(RANGE).requests_raw == len(inside)
    assert ask(lake, Catalog()).usage(RANGE, Filters(endpoints="excluded")).height == 0


def test_changed_policy_applies_to_the_past(lake: Lake, store: Callable[[list[Row]], None]) -> None:
    def call(**fields: object) -> Row:
        return {"time": NOON, "tenant": "default", "api": "a", "route": "/healthz", **fields}

    store([call(client_kind="monitor", duration_ms=9000.0), call(route="/a", duration_ms=10.0)])
    RollupRunner(lake).catch_up_all()
    assert ask(lake, Catalog()).overview(RANGE).requests == 2
    by_path = Catalog(excluded_endpoints=(ExcludedEndpoint(path="/health*"),))
    by_kind = Catalog(excluded_endpoints=(ExcludedEndpoint(client_kind="monitor"),))
    for catalog in (by_path, by_kind):
        found = ask(lake, catalog).overview(RANGE)
        assert found.requests == 1
        assert found.p99_ms == pytest.approx(10, rel=0.01)


def test_expected_errors_spend_no_budget(lake: Lake, store: Callable[[list[Row]], None]) -> None:
    row = {"time": NOON, "tenant": "default", "api": "a", "status_code": 503}
    store([{**row, "route": "/closed", "outcome": "server_error"}, {**row, "route": "/open"}])
    rule = ExpectedError(status_codes=("503",), route="/closed")
    catalog = Catalog(apis=(Api(name="a", expected_errors=(rule,)),))
    slo = Slo(name="up", api="a", objective=0.9)
    assert count_slo(ask(lake, catalog), slo, RANGE).bad == 1
    assert count_slo(ask(lake, Catalog()), slo, RANGE).bad == 2


def test_series_of_excluded_traffic_alone_is_idle_and_not_unmeasured(
    lake: Lake, store: Callable[[list[Row]], None]
) -> None:
    store([{"time": NOON, "tenant": "default", "route": "/health"}])
    catalog = Catalog(excluded_endpoints=(ExcludedEndpoint(path="/health"),))
    hours = TimeRange(NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    series = ask(lake, catalog).usage(hours, interval_s=3600)
    assert series["requests"].to_list() == [None, 0]


@pytest.mark.parametrize("rule", [{}, {"method": "GET"}])
def test_rule_that_would_exclude_everything_is_refused(rule: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="every request"):
        ExcludedEndpoint(**rule)
