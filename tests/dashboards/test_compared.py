"""Numbers are compared only with what is stored whole: against a part, everything would grow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from dashboards.data import Data
from dashboards.panels.home_panels import no_changes
from dashboards.settings import DashboardSettings
from dashboards.view import parse_view
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
