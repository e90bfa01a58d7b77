"""Numbers are compared only with what is stored whole: against a part, everything would grow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from dashboards.data import Data
from dashboards.panels.home_panels import no_changes
from dashboards.settings import DashboardSettings
from dashboards.view import View, parse_view
from tests.aio import run
from tests.dashboards.known import known_calls, write_lake

CALLS = known_calls(datetime.now(UTC))
"""Of half an hour."""
PART = "Only a part of the range before is stored: changes against it would mislead."
NONE = "Nothing was measured the range before: all is new."


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    made = Data(DashboardSettings(port=0), write_lake(tmp_path_factory.mktemp("half"), CALLS))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("minutes", "whole", "why"),
    [(10, True, ""), (20, False, PART), (600, False, NONE)],
    ids=["stored", "in part", "not at all"],
)
def test_a_range_is_compared_with_one_that_is_stored_from_its_beginning(
    data: Data, minutes: int, whole: bool, why: str
) -> None:
    end = max(call.time for call in CALLS) + timedelta(seconds=3)
    start = end - timedelta(minutes=minutes)
    view = parse_view(f"?from={start:%Y-%m-%dT%H:%M:%S}&to={end:%Y-%m-%dT%H:%M:%S}", now=end)
    overview = run(data.overview(view))
    rows = run(data.breakdown(view, "api"))

    assert overview.requests == sum(start <= call.time < end for call in CALLS)
    assert (overview.previous is not None) == whole
    assert (rows["growth"].count() == rows.height) == whole
    assert no_changes(rows, "the range before") == why


@pytest.mark.parametrize(
    ("seconds", "asked"),
    [(600, True), (1200, False), (36_000, False)],
)
def test_raw_rows_are_compared_only_where_the_table_has_all_of_the_range_before(
    data: Data, seconds: int, asked: bool
) -> None:
    end = max(call.time for call in CALLS) + timedelta(seconds=3)
    start = end - timedelta(seconds=seconds)
    view = parse_view(f"?from={start:%Y-%m-%dT%H:%M:%S}&to={end:%Y-%m-%dT%H:%M:%S}", now=end)
    ranges = []

    async def ask(past: View) -> pl.DataFrame:
        ranges.append((past.start, past.end))
        return pl.DataFrame({"n": [1]})

    found = run(data.before(view, "requests", ask))
    assert (found is not None) == asked
    assert ranges == ([(start - (end - start), start)] if asked else [])
    assert run(data.before(view, "spans", ask)) is None, "nothing is stored"


@pytest.mark.parametrize("beyond", [0, 1])
def test_raw_rows_of_more_than_a_day_are_not_read_again_to_compare(
    data: Data, monkeypatch: pytest.MonkeyPatch, beyond: int
) -> None:
    monkeypatch.setattr("dashboards.questions.view_questions.COMPARED_RANGE_S_MAX", 600)
    end = max(call.time for call in CALLS) + timedelta(seconds=3)
    start = end - timedelta(seconds=600 + beyond)
    view = parse_view(f"?from={start:%Y-%m-%dT%H:%M:%S}&to={end:%Y-%m-%dT%H:%M:%S}", now=end)

    async def ask(_past: View) -> pl.DataFrame:
        return pl.DataFrame({"n": [1]})

    assert (run(data.before(view, "requests", ask)) is not None) == (beyond == 0)
