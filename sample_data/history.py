"""The company's past, written straight into the lake: an hour at a time, exactly once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from sample_data.company import DEFAULT_SEED, Company, build_company
from sample_data.log_rows import logs_table
from sample_data.rows import requests_table
from sample_data.scenario import (
    DAY_US,
    DEMO_RATE_PER_S,
    HOUR_US,
    SECOND_US,
    Growth,
    Scenario,
    history_scenario,
    month_start_us,
)
from sample_data.span_rows import spans_table
from sample_data.traffic import generate, iterate, pieces_of
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings

APP_ID = "sample_data.history"

DEMO_GROWTH_FLOOR = 0.6
DEMO_RISE_US = 7 * DAY_US
"""The company of the demonstration grows by about a third a week."""
BACKWARDS_FROM = 2_000_000
"""Transactions have rising versions: hours written backwards count down from here (year 2198)."""
DEMO_SPANS_HOURS = 0.25
"""How far back the demonstration has traces and logs."""


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """What was written; rows already there from an earlier run are not counted."""

    requests: int
    spans: int
    logs: int
    hours: int


def request_tables(
    company: Company, scenario: Scenario, start_us: int, end_us: int
) -> Iterator[tuple[int, pa.Table]]:
    """(start, rows of `requests`) hour by hour from start to end, both microseconds."""
    for begin, requests in iterate(company, scenario, start_us, end_us, HOUR_US):
        yield begin, requests_table(company, requests)


def write_history(
    lake: Lake,
    *,
    days: float,
    until: dt.datetime,
    requests_per_day: int = 200_000,
    seed: int = DEFAULT_SEED,
    spans_hours: float = 0.0,
    growth: Growth | None = None,
    app_id: str = APP_ID,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    newest_first: bool = False,
) -> HistoryReport:
    """Write `days` of calls that end at `until` (aware; usually now), an hour per commit.

    The last `spans_hours` also get spans and logs. `progress(done, all)` counts hours; `stop` is
    asked before each hour. Each hour is recorded as a transaction of `app_id`, so running again
    writes only hours after the last one written; an hour begun by an earlier run is not completed.
    `newest_first`: for who looks on meanwhile; what such a run has left out is never written later.
    Raises what `LakeTable.append` raises; hours written before stay.
    """
    company = build_company(seed)
    end_us = int(until.timestamp() * SECOND_US)
    start_us = (end_us - int(days * DAY_US)) // HOUR_US * HOUR_US
    scenario = history_scenario(
        start_us, end_us, rate_per_s=requests_per_day / 86_400, growth=growth
    )
    spans_from_us = end_us - int(spans_hours * HOUR_US)
    seen = lake.table("requests").app_version(app_id)
    if seen is not None:
        start_us = max(start_us, (seen + 1) * HOUR_US)
    hours = max(0, -(-(end_us - start_us) // HOUR_US))
    counts = {"requests": 0, "spans": 0, "logs": 0}

    def append(table: str, rows: pa.Table, hour: int) -> None:
        version = BACKWARDS_FROM - hour if newest_first else hour
        if lake.table(table).append(rows, app_id=app_id, app_version=version) is not None:
            counts[table] += rows.num_rows

    wanted = list(pieces_of(start_us, end_us, HOUR_US))
    for done, (begin, end) in enumerate(reversed(wanted) if newest_first else wanted, start=1):
        if stop():
            hours = done - 1
            break
        requests = generate(company, scenario, begin, end)
        hour = begin // HOUR_US
        recent = requests.take(requests.time_us >= spans_from_us)
        # Requests last: a crash in between leaves an hour that the next run takes up again.
        if len(recent):
            append("spans", spans_table(company, recent), hour)
            append("logs", logs_table(company, recent), hour)
        append("requests", requests_table(company, requests), hour)
        if progress is not None:
            progress(done, hours)
    return HistoryReport(counts["requests"], counts["spans"], counts["logs"], hours)


def write_demo_history(
    storage: StorageSettings,
    *,
    days: float,
    until: dt.datetime | None = None,
    rate_per_s: float = DEMO_RATE_PER_S,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """The past of the demonstration: it grows into the rate of live traffic. Rows written in all.

    `rate_per_s`: mean over the hours of a week, as of live traffic (see `live_scenario`).

    Writes only once per data folder: a later start finds history there and writes none, since the
    time in between had no traffic. `until`: where live traffic begins; None = now. `stop` is asked
    before each hour; what it cut off is not written later either.
    """
    lake = Lake(storage)
    if lake.table("requests").app_version(APP_ID) is not None:
        return 0
    end = until or dt.datetime.now(dt.UTC)
    end_us = int(end.timestamp() * SECOND_US)
    report = write_history(
        lake,
        days=days,
        until=end,
        requests_per_day=int(rate_per_s * 86_400),
        spans_hours=DEMO_SPANS_HOURS,
        stop=stop,
        newest_first=True,  # the last hours are what the screens open with
        growth=Growth(end_us, DEMO_RISE_US, DEMO_GROWTH_FLOOR),
    )
    return report.requests + report.spans + report.logs


def quota_used_so_far(storage: StorageSettings, now: dt.datetime) -> int | None:
    """Calls this month of the consumer that runs out, as the lake has them; None without history.

    For `LiveTraffic(quota_used=...)`, so that what the gateway reports agrees with what was stored.
    """
    lake = Lake(storage)
    if lake.table("requests").app_version(APP_ID) is None:
        return None
    company = build_company()
    start = dt.datetime.fromtimestamp(
        month_start_us(int(now.timestamp() * SECOND_US)) / SECOND_US, tz=dt.UTC
    )
    counted = ReadSession(lake).query(
        "SELECT count(*) AS calls FROM requests WHERE consumer = ? AND time >= ? "
        "AND outcome <> 'quota_exceeded'",
        (company.consumers[company.almost_out].name, start),
        start=start,
    )
    return int(counted.column("calls")[0].as_py())
