"""The rows of numbers that Traces, Services, Logs and Metrics begin with."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pyarrow as pa
import pytest
from playwright.sync_api import Page, expect

from analytics.log_patterns import Message, Pattern, find_patterns
from dashboards.components import Stat
from dashboards.data import Data
from dashboards.figures.base import TimeAxis
from dashboards.panels.log_state import log_stats
from dashboards.panels.metric_state import Sent, metric_stats
from dashboards.panels.service_state import service_stats, surely_failing
from dashboards.panels.trace_state import at_least, trace_stats
from dashboards.questions.log_queries import counted, found_patterns, newest_from, newest_rows
from dashboards.settings import DashboardSettings
from dashboards.view import View, parse_view
from storage.lake import Lake
from storage.settings import StorageSettings
from tests.aio import run
from tests.browser import exact_number, wait_for_screen
from tests.dashboards.conftest import Running
from tests.dashboards.telemetry import QUEUES, SLOW, TRACES
from tests.dashboards.test_browser import HOUR, opened

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FAST_MS, SLOW_MS = 20.0, 2_000.0
"""What tests/dashboards/telemetry.py writes."""


def view_of(search: str = "?from=now-1h") -> tuple[View, TimeAxis]:
    view = parse_view(search, now=NOW)
    return view, TimeAxis(view.start, view.end, view.interval_s)


def texts(stats: list[Stat]) -> dict[str, tuple[object, str, str]]:
    return {s.id.partition("-")[2]: (s.value, s.text, s.hint) for s in stats}


@pytest.mark.browser
def test_traces_begin_with_exact_numbers_that_lead_on(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/traces?{HOUR}")

    assert exact_number(page, "traces-traces") == TRACES
    assert exact_number(page, "traces-failed") == SLOW / TRACES
    for name, ms in (("p50", FAST_MS), ("p95", SLOW_MS), ("p99", SLOW_MS), ("slowest", SLOW_MS)):
        assert exact_number(page, f"traces-{name}") == pytest.approx(ms, rel=0.01)
    assert page.locator("#traces-stats .gl-spark").count() == 6
    page.locator("#traces-slowest-link").click()
    expect(page.locator("#traces-sub")).to_contain_text(f"{SLOW} traces")
    page.locator("#traces-failed-link").click()
    expect(page).to_have_url(re.compile("errors=1"))
    asked = parse_qs(urlsplit(page.url).query)
    assert asked["from"] == ["now-1h"] and float(asked["ms"][0]) <= SLOW_MS, "the search is kept"
    expect(page.locator("#traces-sub")).to_contain_text(f"{SLOW} traces")
    assert troubles.seen == []


@pytest.mark.browser
def test_services_begin_with_exact_numbers_that_lead_on(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/services?{HOUR}")

    assert exact_number(page, "services-services") == 2
    assert exact_number(page, "services-calls") == 2 * TRACES
    assert exact_number(page, "services-failed") == SLOW / TRACES
    assert exact_number(page, "services-p95") == pytest.approx(SLOW_MS, rel=0.01)
    assert exact_number(page, "services-worst") == SLOW / TRACES
    assert exact_number(page, "services-thrown") == 0
    page.locator("#services-worst-link").click()
    expect(page.locator("#traces-sub")).to_contain_text(f"{SLOW} traces")
    assert "service=orders-service" in page.url and "from=now-1h" in page.url
    assert exact_number(page, "traces-traces") == TRACES, "calls of that service"
    assert troubles.seen == []


@pytest.mark.browser
def test_logs_begin_with_exact_numbers_that_lead_on(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/logs?{HOUR}")

    assert exact_number(page, "logs-records") == TRACES
    assert exact_number(page, "logs-errors") == SLOW / TRACES
    assert exact_number(page, "logs-warnings") == 0
    assert exact_number(page, "logs-loudest") == SLOW
    assert exact_number(page, "logs-services") == 1
    assert exact_number(page, "logs-rare") == 0
    page.locator("#logs-loudest-link").click()
    expect(page.locator("#logs-sub")).to_contain_text(f"{SLOW} records")
    assert "service=orders-service" in page.url and "from=now-1h" in page.url
    assert exact_number(page, "logs-errors") == SLOW / TRACES, "of records of any severity"
    page.locator("#logs-records-link").click()
    expect(page.locator("#logs-sub")).to_contain_text(f"{TRACES} records")
    assert troubles.seen == []


@pytest.mark.browser
def test_metrics_begin_with_exact_numbers_that_lead_on(page: Page, server: Running) -> None:
    troubles = opened(page, server, f"/explorer?{HOUR}")

    assert exact_number(page, "metrics-points") == 10 * len(QUEUES)
    assert exact_number(page, "metrics-metrics") == 1
    assert exact_number(page, "metrics-series") == len(QUEUES)
    assert exact_number(page, "metrics-services") == 1
    assert exact_number(page, "metrics-silent") == 0
    # The newest is a minute older than the lake; a range that ends now ends at its last whole step.
    assert 0 <= exact_number(page, "metrics-age") < 3600
    page.locator("#metrics-services-link").click()
    expect(page).to_have_url(re.compile(r"/services\?from=now-1h"))
    wait_for_screen(page)
    assert troubles.seen == []


@pytest.mark.browser
def test_no_panel_head_takes_two_lines(page: Page, server: Running) -> None:
    """At the narrowest window people work in; a box on the heat-map fills its head most."""
    page.set_viewport_size({"width": 1280, "height": 800})
    now = server.data.clock()
    box = f"{now - timedelta(minutes=20):%Y-%m-%dT%H:%M:%S},{now:%Y-%m-%dT%H:%M:%S},25,60"
    opened(page, server, f"/traces?{HOUR}&box={box}")

    heights = page.evaluate(
        "() => [...document.querySelectorAll('.gl-panel-head')].map((h) => h.clientHeight)"
    )
    assert len(heights) == 3 and max(heights) < 48, heights


def test_nothing_that_came_is_told_without_a_number_that_is_none() -> None:
    view, axis = view_of()
    cells = pl.DataFrame(
        schema={"time": pl.Datetime("us", "UTC"), "bucket": pl.Int16, "requests": pl.Int64,
                "errors": pl.Int64}
    )  # fmt: skip
    spans = pl.DataFrame(
        schema={"service": pl.String, "called": pl.Boolean, "instance": pl.String,
                "requests": pl.Int64, "errors": pl.Int64}
    )  # fmt: skip
    counts = pl.DataFrame(
        schema={"time": pl.Datetime("us", "UTC"), "severity_number": pl.Int8,
                "service_name": pl.String, "logs": pl.Int64}
    )  # fmt: skip
    thrown = pl.DataFrame(schema={"occurrences": pl.Int64})
    rows = [
        trace_stats(cells, axis, view, whole_traces=True),
        service_stats(spans, cells, thrown, axis, view),
        log_stats(counts, [], axis, view),
        metric_stats(Sent(0, 0, 0, None, ()), cells, axis, view, NOW),
    ]
    for stats in rows:
        for stat in stats:
            assert stat.value in (0, None), stat
            assert stat.text in ("0", "–"), stat
            assert stat.href, stat


def test_the_service_that_surely_fails_most_is_the_worst() -> None:
    assert surely_failing(0, 0) == surely_failing(0, 100) == 0.0
    assert surely_failing(1, 2) < surely_failing(200, 1_000) < surely_failing(900, 1_000)
    view, axis = view_of()
    cells = pl.DataFrame(
        {
            "time": [NOW - timedelta(minutes=30)],
            "bucket": [None],
            "requests": [1_002],
            "errors": [201],
        },
        schema_overrides={"bucket": pl.Int16, "time": pl.Datetime("us", "UTC")},
    )
    spans = pl.DataFrame(
        {
            "service": ["shop", "shop", "probe", None],
            "called": [True, True, True, None],
            "instance": ["a", "b", None, None],
            "requests": [600, 400, 2, 7],
            "errors": [200, 0, 1, 7],
        }
    )
    thrown = pl.DataFrame({"occurrences": [3, 2]})
    told = texts(service_stats(spans, cells, thrown, axis, view))
    assert told["worst"][0] == 0.2 and told["worst"][2] == "shop"
    assert told["services"][:2] == (2, "2") and told["services"][2] == "2 instances"
    assert told["calls"][0] == 1_002 and told["failed"][0] == 201 / 1_002
    assert told["p95"][:2] == (None, "–"), "spans without a duration have no quantile"
    assert told["thrown"] == (5, "5", "of 2 kinds")


def test_logs_count_by_severity_service_and_rareness() -> None:
    view, axis = view_of("?from=now-1h&q=lost&service=a&least=warn")
    time = NOW - timedelta(minutes=30)
    rows = [(time, 17, None, 3), (time, 13, None, 5), (time, None, None, 2), (None, 17, "a", 1),
            (None, 17, "b", 2), (None, 13, "a", 5), (None, None, None, 2)]  # fmt: skip
    counts = pl.DataFrame(
        rows, schema=["time", "severity_number", "service_name", "logs"], orient="row"
    )
    patterns = find_patterns(
        Message(text, n, "a", 9, NOW) for text, n in (("one", 3), ("two words", 4))
    )
    stats = log_stats(counts, patterns, axis, view)
    told = texts(stats)
    assert told["records"][0] == 10 and told["errors"][0] == 0.3 and told["warnings"][0] == 0.5
    assert told["loudest"][0] == 2 and told["loudest"][2] == "b"
    assert told["services"][0] == 2 and told["rare"][0] == 1
    links = {s.id: parse_qs(urlsplit(s.href).query) for s in stats if not s.href.startswith("#")}
    assert links["logs-errors"]["q"] == ["lost"] and links["logs-errors"]["least"] == ["error"]
    assert links["logs-loudest"]["service"] == ["b"] and "least" not in links["logs-records"]


def test_counts_and_patterns_of_logs_are_those_of_an_independent_count(tmp_path: Path) -> None:
    """Over hours that are kept and hours that the range cuts, asked once and again."""
    rng = random.Random(5)
    records = [
        {
            "time": NOW - timedelta(seconds=rng.uniform(0, 4 * 3600)),
            "tenant": "default",
            "severity_number": rng.choice([9, 13, 17, None]),
            "body": rng.choice(["order {n} lost", "order {n} found", "pool is empty"]).format(n=n),
            "service_name": rng.choice(["shop", "pay", None]),
        }
        for n in range(400)
    ]
    storage = StorageSettings(data_dir=tmp_path)
    table = Lake(storage).table("logs")
    schema = pa.schema([table.spec.arrow_schema.field(name) for name in records[0]])
    for part in (records[:150], records[150:]):
        batch = pa.Table.from_pylist(part, schema=schema)
        table.append(batch, app_id="t", app_version=len(part))
    data = Data(DashboardSettings(port=0), storage, clock=lambda: NOW)
    for search in ("?from=now-4h", "?from=now-3h&to=now-17m", "?from=now-3h&to=now-18m",
                   "?from=now-4h&service=shop", "?from=now-4h&q=lost"):  # fmt: skip
        view = data.view({"search": search})
        mine = [
            r
            for r in records
            if view.start <= r["time"] < view.end
            and view.extra.get("service", r["service_name"]) == r["service_name"]
            and view.extra.get("q", "") in r["body"]
        ]
        counts = run(counted(data, view))
        said = {p.text: p.records for p in run(found_patterns(data, view))}
        errors = sum(r["severity_number"] == 17 for r in mine)
        stats = {
            s.id: s.value for s in log_stats(counts, [], TimeAxis(view.start, view.end, 60), view)
        }
        assert stats["logs-records"] == len(mine), search
        assert stats["logs-errors"] == errors / len(mine), search
        assert stats["logs-services"] == len({r["service_name"] for r in mine} - {None}), search
        assert sum(said.values()) == len(mine), search
        assert said["order # lost"] == sum("lost" in r["body"] for r in mine), search
        rows = run(newest_rows(data, view))
        assert rows["time"].to_list() == sorted((r["time"] for r in mine), reverse=True), search
    data.close()


def test_the_newest_records_are_looked_for_no_further_back_than_they_lie() -> None:
    times = [NOW - timedelta(minutes=m) for m in (1, 2, 3)]
    counts = pl.DataFrame(
        {"time": [*times, None], "logs": [10, 20, 30, 60]},
        schema_overrides={"time": pl.Datetime("us", "UTC")},
    )
    start = NOW - timedelta(hours=1)
    assert newest_from(counts, 10, start) == times[0]
    assert newest_from(counts, 11, start) == newest_from(counts, 30, start) == times[1]
    assert newest_from(counts, 61, start) == start, "there are no more"
    assert newest_from(counts, 60, times[1]) == times[1], "the interval may begin before the range"
    assert newest_from(counts.clear(), 1, start) == start


def test_services_whose_metrics_ended_are_silent() -> None:
    view, axis = view_of()
    seen = [("a", NOW), ("b", NOW - timedelta(minutes=5)), ("c", NOW - timedelta(minutes=6)),
            ("d", NOW - timedelta(minutes=40))]  # fmt: skip
    sent = Sent(3, 9, 120, NOW, seen)
    assert sent.silent == ["c", "d"]
    points = pl.DataFrame({"time": [NOW - timedelta(minutes=2)], "requests": [120]})
    stats = metric_stats(sent, points, axis, view, NOW)
    told = texts(stats)
    assert told["silent"] == (2, "2", "c") and told["age"][0] == 0
    assert told["points"][2].startswith("0.033"), "per second of the range"
    assert [s.tone for s in stats if s.id == "metrics-silent"] == ["warn"]
    old = metric_stats(Sent(1, 1, 1, NOW - timedelta(minutes=9), ()), points, axis, view, NOW)
    assert [s.tone for s in old if s.id == "metrics-age"] == ["warn"]


@pytest.mark.parametrize(
    ("ms", "least"), [(None, None), (0.0, None), (2_010.0, "1990"), (20.2, "20"), (0.5, "0.495")]
)
def test_what_a_link_asks_for_does_not_miss_what_was_told(
    ms: float | None, least: str | None
) -> None:
    """A time told from its bucket may be 1 % more than it was."""
    assert at_least(ms) == least
    assert ms is None or least is None or float(least) <= ms / 1.0099


def test_a_pattern_is_rare_by_its_records() -> None:
    rare = Pattern(["x"], records=3)
    view, axis = view_of()
    counts = pl.DataFrame(
        schema={"time": pl.Datetime("us", "UTC"), "severity_number": pl.Int8,
                "service_name": pl.String, "logs": pl.Int64}
    )  # fmt: skip
    assert texts(log_stats(counts, [rare, Pattern(["y"], records=4)], axis, view))["rare"][0] == 1
