from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from fastapi import FastAPI

from analytics.api import install
from analytics.api_traces import decode_cursor, encode_cursor
from analytics.errors import QueryRefused
from analytics.query import Analytics
from analytics.traces import Traces
from storage.catalog import Api, Catalog, Consumer, Plan, Product
from storage.lake import Lake
from storage.session import ReadSession
from tests.analytics import test_metrics, test_trace_jobs
from tests.analytics.hostile import NOON
from tests.analytics.oracle import Row
from tests.analytics.test_api import BASE, WHEN, Client
from tests.analytics.test_traces import span

CATALOG = Catalog(
    apis=(Api(name="orders", owner="team"),),
    products=(Product(name="core"),),
    plans=(Plan(name="gold", quota_per_month=10, price_per_call=0.5, rate_limit_per_minute=0),),
    consumers=(Consumer(name="acme", plan="gold"),),
)


@pytest.fixture
def client(analytics: Analytics) -> Client:
    app = FastAPI()
    install(app, lambda request: analytics, CATALOG)
    return Client(app)


def test_traces_come_in_pages_to_the_last_one(lake: Lake, client: Client) -> None:
    spans = [
        span(t, 0, "a", None, time=NOON + timedelta(minutes=t // 3), attributes=[])
        for t in range(10)
    ]
    test_trace_jobs.store(lake, spans, 1)
    seen: list[str] = []
    cursor = None
    while True:
        params = {**WHEN, "limit": 3, **({"cursor": cursor} if cursor else {})}
        page = client.get(f"{BASE}/traces", params=params).json()
        seen += [row["trace_id"] for row in page["rows"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 10
    assert client.get(f"{BASE}/traces", params={**WHEN, "cursor": "x"}).status_code == 400


@pytest.mark.parametrize("key", ["", "ü (none)", "a b", "x" * 100])
@pytest.mark.parametrize("year", [1901, 1969, 2026, 2261])
def test_cursor_keeps_time_and_name(year: int, key: str) -> None:
    moment = datetime(year, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)
    assert decode_cursor(encode_cursor(moment, key)) == (moment, key)


@pytest.mark.parametrize("text", ["", "!", "AAAA", "MS4yIA", "OTk5OTk5OTk5OTk5OTk5LjAgeA=="])
def test_cursor_nobody_gave_out_is_refused(text: str) -> None:
    with pytest.raises(QueryRefused):
        decode_cursor(text)


def test_trace_questions_answer_over_http(lake: Lake, client: Client, session: ReadSession) -> None:
    thrown = [("exception.type", "E"), ("exception.message", "no 7")]
    events = [{"time_unix_nano": 1, "name": "exception", "attributes": thrown}]
    spans = [
        span(1, 0, "a", None, attributes=[("http.route", "/x")]),
        span(1, 1, "b", 0, attributes=[], events=events),
    ]
    test_trace_jobs.store(lake, spans, 1)
    [edge] = client.get(f"{BASE}/service-edges", params=WHEN).json()
    assert (edge["source"], edge["target"], edge["calls"]) == ("a", "b", 1)
    [error] = client.get(f"{BASE}/exceptions", params=WHEN).json()
    assert (error["type"], error["message"], error["occurrences"]) == ("E", "no #", 1)
    assert client.get(f"{BASE}/attributes", params=WHEN).json()[0]["key"] == "http.route"
    values = client.get(f"{BASE}/attributes/http.route", params={**WHEN, "service": "a"}).json()
    assert values == [{"value": "/x", "spans": 1, "errors": 0}]
    assert Traces(session).edges(test_trace_jobs.WHOLE).height == 1


def test_metric_questions_answer_over_http(lake: Lake, client: Client) -> None:
    test_metrics.store(
        lake,
        [
            test_metrics.counter("http.calls", 0, 5),
            test_metrics.counter("http.calls", 60, 9),
            test_metrics.point(
                "h", 60, type="histogram", temporality="DELTA", count=2, bounds=[1.0],
                bucket_counts=[2, 0],
            ),
        ],
    )  # fmt: skip
    names = client.get(f"{BASE}/metrics", params=WHEN).json()
    assert [m["name"] for m in names] == ["h", "http.calls"]
    path = f"{BASE}/metrics/http.calls/series"
    [row] = client.get(path, params={**WHEN, "interval": 7200, "by": "service_name"}).json()
    assert (row["group"], row["value"]) == ({"service_name": "orders"}, 4)
    [found] = client.get(f"{BASE}/metrics/h/quantiles", params={**WHEN, "quantile": 0.5}).json()
    assert (found["count"], found["quantiles"]) == (2, {"q0.5": 0.5})
    assert client.get(f"{BASE}/metrics/h/quantiles", params={"quantile": 7}).status_code == 400
    assert len(client.get(f"{BASE}/health", params=WHEN).json()) == 1
    assert client.get(f"{BASE}/uptime", params=WHEN).json()[0]["service_name"] == "orders"


def test_consumers_and_plans_answer_over_http(
    store: Callable[[list[Row]], None], client: Client
) -> None:
    def call(consumer: str, **fields: Any) -> Row:
        base = {"time": NOON, "tenant": "default", "outcome": "ok", "product": "core"}
        return {**base, "consumer": consumer, "client_address": "10.0.0.1", **fields}

    store([call("acme")] * 2 + [call("zoe"), call("=1+1")])
    first = client.get(f"{BASE}/seen", params={**WHEN, "limit": 2}).json()
    assert [r["name"] for r in first["rows"]] == ["=1+1", "acme"]
    params = {**WHEN, "limit": 2, "cursor": first["next_cursor"]}
    last = client.get(f"{BASE}/seen", params=params).json()
    assert ([r["name"] for r in last["rows"]], last["next_cursor"]) == (["zoe"], None)
    [cohort] = client.get(f"{BASE}/consumers/cohorts", params=WHEN).json()
    assert (cohort["week"], cohort["consumers"], cohort["share"]) == (0, 3, 1.0)
    assert client.get(f"{BASE}/consumers/active", params=WHEN).json()[0]["consumers"] == 3
    [clients] = client.get(f"{BASE}/clients", params=WHEN).json()
    assert (clients["clients"], clients["error"]) == (1, 0.0)
    [head] = client.get(f"{BASE}/headroom", params=WHEN).json()
    assert (head["minutes_over"], head["share"]) == (1, None)
    assert client.get(f"{BASE}/plan-fit").json()[0]["consumer"] == "acme"
    [use] = client.get(f"{BASE}/entitlements", params=WHEN).json()
    assert (use["active"], use["without_plan"]) == (1, ["=1+1", "zoe"])
    [quota] = client.get(f"{BASE}/quota/gateways").json()
    assert (quota["limit"], quota["gateway"]) == (10, None)
    answer = client.get(f"{BASE}/invoices", params={"month": "2026-11-20", "format": "csv"})
    assert "acme,gold,,2026-11-01" in answer.text
    found = client.get(f"{BASE}/reports/owner", params={"name": "team", "period": "day"})
    assert found.headers["content-type"].startswith("text/html")
    found = client.get(f"{BASE}/reports/consumer", params={"name": "acme", "format": "csv"})
    assert found.text.startswith("api,route,status_code")
    assert client.get(f"{BASE}/reports/owner", params={"name": "nobody"}).status_code == 400


LISTS = (
    "quota", "slos", "consumers", "plan-fit", "entitlements", "headroom", "quota/gateways", "seen",
    "consumers/cohorts", "consumers/active", "clients", "apdex", "uptime", "uptime/endpoints",
    "health", "invoices",
)  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("filled", [True, False])
def test_every_list_comes_as_a_file_of_the_same_rows(
    name: str, filled: bool, client: Client, store: Callable[[list[Row]], None]
) -> None:
    if filled:
        store([{"time": NOON, "tenant": "default", "consumer": "acme", "api": "orders",
                "product": "core", "client_address": "10.0.0.1"}])  # fmt: skip
    told = client.get(f"{BASE}/{name}", params={**WHEN, "forecast": False}).json()
    if isinstance(told, dict):
        told = told.get("rows", told.get("active"))
    params = {**WHEN, "forecast": False}
    text = client.get(f"{BASE}/{name}", params={**params, "format": "csv"})
    assert text.headers["content-type"].startswith("text/csv")
    assert text.headers["content-disposition"].endswith('.csv"')
    answer = client.get(f"{BASE}/{name}", params={**params, "format": "parquet"})
    frame = pl.read_parquet(io.BytesIO(answer.content))
    lines = text.text.splitlines()
    assert lines[0].split(",") == frame.columns  # of an empty list as well
    if name != "invoices":  # a row per line of the invoice
        assert frame.height == len(lines) - 1 == len(told)
    if told and isinstance(told[0], dict) and name != "invoices":
        first, row = frame.row(0, named=True), told[0]
        same = {k for k, v in row.items() if isinstance(v, int | float | str) and k in first}
        assert {k: str(first[k]) for k in same if isinstance(row[k], int)} == {
            k: str(row[k]) for k in same if isinstance(row[k], int)
        }


def test_names_in_a_file_are_no_formulas(
    client: Client, store: Callable[[list[Row]], None]
) -> None:
    store([{"time": NOON, "tenant": "default", "consumer": "=cmd|' /C calc'!A0"}])
    text = client.get(f"{BASE}/consumers", params={**WHEN, "format": "csv"}).text
    assert text.splitlines()[1].startswith("'=cmd")
