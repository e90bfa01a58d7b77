"""The company's past, written straight into the lake: an hour at a time, exactly once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from sample_data.company import Company, build_company
from sample_data.log_rows import logs_table
from sample_data.rows import requests_table
from sample_data.scenario import DAY_US, HOUR_US, SECOND_US, Scenario, history_scenario
from sample_data.span_rows import spans_table
from sample_data.traffic import iterate
from storage.lake import Lake

APP_ID = "sample_data.history"


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
    """(start of the hour, rows of `requests` in it) from start to end, both microseconds."""
    for begin, requests in iterate(company, scenario, start_us, end_us, HOUR_US):
        yield begin, requests_table(company, requests)


def write_history(
    lake: Lake,
    *,
    days: float,
    until: dt.datetime,
    requests_per_day: int = 200_000,
    seed: int | None = None,
    spans_hours: float = 0.0,
    app_id: str = APP_ID,
    progress: Callable[[int, int], None] | None = None,
) -> HistoryReport:
    """Write `days` of calls that end at `until` (aware; usually now), an hour per commit.

    The last `spans_hours` also get spans and logs. `progress(done, all)` counts hours. Each hour is
    recorded as a transaction of `app_id`, so running again writes only hours after the last one
    written. Raises what `LakeTable.append` raises; hours before the failure stay.
    """
    company = build_company() if seed is None else build_company(seed)
    end_us = int(until.timestamp() * SECOND_US)
    start_us = (end_us - int(days * DAY_US)) // HOUR_US * HOUR_US
    scenario = history_scenario(start_us, end_us, rate_per_s=requests_per_day / 86_400)
    spans_from_us = end_us - int(spans_hours * HOUR_US)
    hours = -(-(end_us - start_us) // HOUR_US)
    counts = {"requests": 0, "spans": 0, "logs": 0}

    def append(table: str, rows: pa.Table, hour: int) -> None:
        if lake.table(table).append(rows, app_id=app_id, app_version=hour) is not None:
            counts[table] += rows.num_rows

    written = 0
    seen = lake.table("requests").app_version(app_id)
    if seen is not None and not spans_hours:
        start_us = max(start_us, (seen + 1) * HOUR_US)
    for begin, requests in iterate(company, scenario, start_us, end_us, HOUR_US):
        hour = begin // HOUR_US
        recent = requests.take(requests.time_us >= spans_from_us)
        # Requests last: their version stands for the whole hour.
        if len(recent):
            append("spans", spans_table(company, recent), hour)
            append("logs", logs_table(company, recent), hour)
        append("requests", requests_table(company, requests), hour)
        written += 1
        if progress is not None:
            progress(written, hours)
    return HistoryReport(counts["requests"], counts["spans"], counts["logs"], written)
