from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from analytics.api import install
from analytics.query import Analytics, Filters, TimeRange
from storage.catalog import Api, Catalog, Consumer, Plan, Slo
from tests.aio import run
from tests.analytics.hostile import NOON, random_rows
from tests.analytics.oracle import Row, known

RANGE = TimeRange(NOON - timedelta(hours=2), NOON + timedelta(hours=2))
WHEN = {"start": RANGE.start.isoformat(), "end": RANGE.end.isoformat()}
CATALOG = Catalog(
    apis=(Api(name="orders"),),
    plans=(Plan(name="gold", quota_per_month=10, price_per_call=0.5),),
    consumers=(Consumer(name="acme", plan="gold"),),
    slos=(Slo(name="up", api="orders", objective=0.99),),
)
BASE = "/api/v1/analytics"


class Client:
    """Asks the app in this process, without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self._transport = ASGITransport(app)

    def get(self, path: str, params: Any = None, **more: Any) -> Response:
        return self.request("GET", path, params=params, **more)

    def post(self, path: str, **more: Any) -> Response:
        return self.request("POST", path, **more)

    def delete(self, path: str, **more: Any) -> Response:
        return self.request("DELETE", path, **more)

    def request(self, method: str, path: str, **more: Any) -> Response:
        async def ask() -> Response:
            async with AsyncClient(transport=self._transport, base_url="http://test") as client:
                return await client.request(method, path, **more)

        return run(ask())


@pytest.fixture
def client(analytics: Analytics, store: Callable[[list[Row]], None]) -> Client:
    store(random_rows(1, 200))
    app = FastAPI()
    install(app, lambda request: analytics, CATALOG)
    return Client(app)


def test_numbers_over_http_are_the_numbers_of_the_functions(
    client: Client, analytics: Analytics
) -> None:
    body = client.get(f"{BASE}/overview", params=WHEN).json()["overview"]
    found = analytics.overview(RANGE)
    assert (body["requests"], body["p99_ms"]) == (found.requests, found.p99_ms)
    rows = client.get(f"{BASE}/usage", params={**WHEN, "by": ["api", "method"]}).json()["rows"]
    frame = analytics.usage(RANGE, by=("api", "method"), limit=100)
    assert [r["requests"] for r in rows] == frame["requests"].to_list()
    assert [r["group"]["api"] for r in rows] == frame["api"].to_list()


def test_filter_words_narrow_every_answer(client: Client) -> None:
    for path in ("usage", "latency", "errors"):
        rows = client.get(
            f"{BASE}/{path}", params={**WHEN, "api": ["orders", "(none)"], "status_code": "5xx"}
        ).json()["rows"]
        assert rows
    all_rows = client.get(f"{BASE}/usage", params=WHEN).json()["rows"]
    one = client.get(f"{BASE}/usage", params={**WHEN, "api": "orders"}).json()["rows"]
    assert one[0]["requests"] < all_rows[0]["requests"]


def test_series_has_one_row_per_interval(client: Client) -> None:
    rows = client.get(f"{BASE}/latency", params={**WHEN, "interval": "3600"}).json()["rows"]
    assert len(rows) == 4
    assert set(rows[0]["quantiles_ms"]) == {"p50", "p95", "p99"}


def test_breakdown_with_the_rest_adds_up_to_the_whole(client: Client) -> None:
    rows = client.get(f"{BASE}/breakdown", params={**WHEN, "by": "api", "limit": 2}).json()["rows"]
    whole = client.get(f"{BASE}/usage", params=WHEN).json()["rows"][0]
    assert [row["other"] for row in rows] == [False, False, True]
    assert sum(row["requests"] for row in rows) == whole["requests"]
    assert sum(row["share"] for row in rows) == pytest.approx(1)


def test_measures_are_listed_and_answered(client: Client) -> None:
    for measure in client.get(f"{BASE}/measures").json():
        answer = client.get(f"{BASE}/measures/{measure['name']}", params=WHEN)
        assert answer.status_code == 200
        assert answer.json()["measure"]["unit"] == measure["unit"]


def test_completeness_says_how_far_the_data_is(client: Client) -> None:
    body = client.get(f"{BASE}/completeness", params=WHEN).json()["completeness"]
    assert body["requests_raw"] > 0
    assert body["requests_counted"] == 0
    assert body["complete"] is False
    assert body["outages"] == {"known_from": None, "spans": [], "ongoing": False}


@pytest.mark.parametrize(
    ("path", "params", "word"),
    [
        ("usage", {"start": "gestern"}, "now-1h"),
        ("usage", {"start": "now", "end": "now-1h"}, "before"),
        ("usage", {"by": "password"}, "dimension"),
        ("usage", {"by": "api; DROP TABLE requests"}, "dimension"),
        ("usage", {"status_code": "teapot"}, "status code"),
        ("usage", {"interval": "-5"}, "interval"),
        ("usage", {"start": "last 300 days", "interval": "1"}, "longer interval"),
        ("latency", {"quantile": "1.5"}, "quantiles"),
        ("measures/vibes", {}, "requests_per_s"),
    ],
)
def test_wrong_questions_get_one_sentence(
    client: Client, path: str, params: dict[str, str], word: str
) -> None:
    answer = client.get(f"{BASE}/{path}", params=params)
    assert answer.status_code == 400
    assert word in answer.json()["detail"]


@pytest.mark.parametrize(
    "params", [{"by": ["api"] * 6}, {"limit": "0"}, {"format": "xml"}, {"start": "x" * 65}]
)
def test_parameters_out_of_bounds_are_refused(
    client: Client, params: dict[str, str | list[str]]
) -> None:
    assert client.get(f"{BASE}/usage", params=params).status_code == 422


def test_csv_cannot_smuggle_a_formula(client: Client, store: Callable[[list[Row]], None]) -> None:
    store([{"time": NOON, "tenant": "default", "api": "=HYPERLINK(1)"}] * 3)
    answer = client.get(f"{BASE}/usage", params={**WHEN, "by": "api", "format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "'=HYPERLINK(1)" in answer.text
    assert "\n=HYPERLINK" not in answer.text


def test_parquet_holds_the_same_table(client: Client, analytics: Analytics) -> None:
    answer = client.get(f"{BASE}/usage", params={**WHEN, "by": "api", "format": "parquet"})
    found = pl.read_parquet(io.BytesIO(answer.content))
    assert found.equals(analytics.usage(RANGE, by=("api",), limit=100))


def test_every_route_is_documented(client: Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert len([p for p in paths if p.startswith(BASE)]) == 39
    operations = [operation for path in paths.values() for operation in path.values()]
    assert all("description" in operation for operation in operations)


def test_plans_and_objectives_are_told_from_the_catalog(
    client: Client, analytics: Analytics
) -> None:
    [quota] = client.get(f"{BASE}/quota").json()
    assert (quota["consumer"], quota["window"], quota["limit"]) == ("acme", "month", 10)
    [slo] = client.get(f"{BASE}/slos").json()
    assert (slo["name"], slo["objective"]) == ("up", 0.99)
    [invoice] = client.get(f"{BASE}/invoices", params={"month": "2026-11-20"}).json()
    acme = analytics.usage(RANGE, Filters(consumer=("acme",)), by=("outcome",)).to_dicts()
    refused = ("rate_limited", "quota_exceeded", "unauthorized")
    counted = sum(row["requests"] for row in acme if row["outcome"] not in refused)
    assert invoice["requests"] == counted
    assert float(invoice["total"]) == counted / 2
    names = client.get(f"{BASE}/consumers", params=WHEN).json()
    assert set(names["active"]) == set(names["new"] + names["returning"] + names["retained"])


@pytest.mark.parametrize("zone", ["Mars/Base", "../../etc/passwd", "", "\x00"])
def test_unknown_time_zone_is_refused(client: Client, zone: str) -> None:
    answer = client.get(f"{BASE}/quota", params={"zone": zone})
    assert answer.status_code == 400
    assert "time zone" in answer.json()["detail"]


def test_heat_map_and_apdex_tell_every_timed_request(client: Client) -> None:
    rows = random_rows(1, 200)
    timed = [r for r in rows if RANGE.start <= r["time"] < RANGE.end and known(r["duration_ms"])]
    found = client.get(f"{BASE}/latency/histogram", {**WHEN, "interval": "600"}).json()
    assert sum(row["requests"] for row in found) == len(timed)
    assert all(row["from_ms"] <= row["to_ms"] for row in found)
    apis = client.get(f"{BASE}/apdex", WHEN).json()
    total = sum(row["satisfied"] + row["tolerating"] + row["frustrated"] for row in apis)
    assert total == len(timed)
    scores = [row["score"] for row in apis]
    assert scores == sorted(scores)


@pytest.mark.parametrize("per", ["day", "week", "month"])
def test_active_consumers_come_per_calendar_window(client: Client, per: str) -> None:
    params = {**WHEN, "per": per, "zone": "Europe/Berlin"}
    (row,) = client.get(f"{BASE}/consumers/active", params).json()
    assert row["consumers"] == 5
    assert client.get(f"{BASE}/consumers/active", {**params, "zone": "x"}).status_code == 400
