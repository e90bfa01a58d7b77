from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from analytics.arrivals import measure_arrivals
from analytics.clients import unique_clients
from analytics.filters import Filters
from analytics.query import Analytics, TimeRange
from analytics.runner import RollupRunner
from storage.lake import Lake
from storage.schemas import TABLES
from storage.session import ReadSession
from tests.analytics.hostile import NOON
from tests.analytics.oracle import Row

HOUR = TimeRange(NOON, NOON + timedelta(hours=1))


def call(minute: float, **fields: Any) -> Row:
    return {"time": NOON + timedelta(minutes=minute), "tenant": "default", **fields}


def test_gateway_that_went_silent_is_told_with_its_gap(
    lake: Lake, store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    store(
        [call(m, gateway="kong") for m in (*range(10), *range(25, 59))]
        + [call(m, gateway="nginx", environment="prod") for m in range(30)]
    )
    RollupRunner(lake).catch_up_all()
    found = analytics.completeness(HOUR)
    silent, steady = found.sources
    assert found.silent_gateways == ("nginx",)
    assert (silent.gateway, silent.environment, silent.silent) == ("nginx", "prod", True)
    assert silent.minutes_with_data == 30
    assert silent.longest_gap_start == NOON + timedelta(minutes=30)
    assert silent.longest_gap_s == 28 * 60
    assert (steady.silent, steady.longest_gap_s) == (False, 15 * 60)
    assert steady.longest_gap_start == NOON + timedelta(minutes=10)
    assert steady.last_seen == NOON + timedelta(minutes=59)
    assert found.complete


def test_hours_left_out_of_answers_are_named_until_they_are_counted(
    lake: Lake,
    store: Callable[[list[Row]], None],
    analytics: Analytics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store([call(minute) for minute in (-70, -50, 5, 130)])
    day = TimeRange(NOON - timedelta(hours=6), NOON + timedelta(hours=6))
    assert analytics.completeness(day).uncounted == ()  # few enough for each question to add them

    monkeypatch.setattr("analytics.pieces.PENDING_ROWS_MAX", 3)
    assert analytics.usage(day)["requests"].to_list() == []
    assert analytics.completeness(day).uncounted == (
        (NOON - timedelta(hours=2), NOON + timedelta(hours=1)),
        (NOON + timedelta(hours=2), NOON + timedelta(hours=3)),
    )
    assert analytics.completeness(HOUR).uncounted == ((NOON, NOON + timedelta(hours=1)),)

    RollupRunner(lake).catch_up_all()
    assert analytics.completeness(day).uncounted == ()
    assert analytics.usage(day)["requests"].to_list() == [4]


def test_late_rows_are_told_from_when_their_file_came(
    lake: Lake, store: Callable[[list[Row]], None], session: ReadSession
) -> None:
    now = datetime.now(UTC)
    fresh = [{"time": now - timedelta(seconds=s), "tenant": "default"} for s in (1, 2, 100)]
    late = [{"time": now - timedelta(minutes=m), "tenant": "default"} for m in (6, 20, 21)]
    store(fresh)
    store(late + fresh[:1])
    window = TimeRange(now - timedelta(minutes=20, seconds=30), now + timedelta(minutes=1))
    files = session.files("requests", window.start, window.end)
    found = measure_arrivals(session, window, Filters(), files)
    assert found.rows_late == 2  # the one 21 minutes old lies before the window
    assert found.rows_known >= 6
    assert found.lateness_s_max is not None
    assert 20 * 60 < found.lateness_s_max < 22 * 60
    assert measure_arrivals(session, window, Filters(), []).rows_late is None


def test_rejects_are_counted_by_reason(lake: Lake, analytics: Analytics) -> None:
    schema = TABLES["rejects"].arrow_schema
    found_at = ((1, "bad_time"), (2, "bad_time"), (3, "no_status"), (99, "late"), (4, None))
    rows = [
        {"time": NOON + timedelta(minutes=m), "tenant": "default", "reason": reason}
        for m, reason in found_at
    ]
    table = pa.Table.from_pylist(rows, schema=schema)
    lake.table("rejects").append(table, app_id="test", app_version=1)
    found = analytics.completeness(HOUR)
    assert found.rejects_by_reason == {"bad_time": 2, "(none)": 1, "no_status": 1}
    assert found.rejects == 4


def test_it_is_known_where_the_data_begins(
    lake: Lake, store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    assert analytics.completeness(HOUR).data_from is None
    store([call(minute) for minute in (5, 30)])
    assert analytics.completeness(HOUR).data_from == NOON + timedelta(minutes=5)
    RollupRunner(lake).catch_up_all()  # the day tier names midnight
    assert analytics.completeness(HOUR).data_from == NOON + timedelta(minutes=5)


def test_empty_lake_is_neither_complete_data_nor_an_error(analytics: Analytics) -> None:
    found = analytics.completeness(HOUR)
    assert (found.data_until, found.sources, found.rejects, found.rows_late) == (None, (), 0, None)


def test_names_are_listed_page_by_page_while_new_ones_arrive(
    lake: Lake, store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    names = ["a", "B", "ü", "支払い", "z", "zz"]
    store([call(5 + n, consumer=name) for n, name in enumerate(names)] + [call(0)] * 3)
    RollupRunner(lake).catch_up_all()
    store([call(50, consumer="a", outcome="server_error")])
    seen, after = [], None
    while (page := analytics.seen(HOUR, by="consumer", after=after, limit=2)).height:
        seen += page.rows()
        after = page["consumer"][-1]
        store([call(55, consumer="A" * len(seen))])  # sorts before every cursor
    assert [row[0] for row in seen] == sorted(names)
    first = dict(zip(page.columns, seen[1], strict=True))
    assert first["consumer"] == "a"
    assert (first["requests"], first["errors"]) == (2, 1)
    assert first["first_seen"] == NOON  # of a whole hour: told by the hour tier
    assert first["last_seen"] == NOON + timedelta(minutes=50)


def test_unique_clients_are_exact_or_within_their_stated_error(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    addresses = [f"10.{n // 250}.{n % 250}.1" for n in range(4000)]
    store([call(1, client_address=a, api="a" if a < "10.3" else "b") for a in addresses])
    store([call(2, client_address=a) for a in addresses[:500]] + [call(3)] * 5)
    exact = unique_clients(analytics, HOUR)
    assert exact.rows() == [(4000, 0.0, 4505)]
    [(clients, error, _)] = unique_clients(analytics, HOUR, exact_rows_max=0).rows()
    assert 0 < error < 0.25
    assert abs(clients - 4000) <= 4000 * error
    by = unique_clients(analytics, HOUR, by=("api",))
    assert dict(by.select("api", "clients").iter_rows()) == {
        "a": sum(a < "10.3" for a in addresses),
        "b": sum(a >= "10.3" for a in addresses),
        None: 500,
    }
