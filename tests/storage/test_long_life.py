"""After months of commits every two seconds, opening and committing are as quick as on day one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from storage.commit import commit, transaction_action
from storage.lake import Lake
from storage.limits import GRACE_SECONDS, LOG_KEEP_SECONDS
from storage.maintenance import clean_log, maintain
from storage.settings import StorageSettings
from tests.storage.conftest import requests


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_tens_of_thousands_of_commits_keep_opening_and_committing_quick(
    lake: Lake, settings: StorageSettings
) -> None:
    """20,000 commits; data in every hundredth, to spend the time on the log rather than on files.
    Between cleanings a log holds what half an hour of two-second commits leaves: 900 entries."""
    table = lake.table("requests")
    for number in range(20_000):
        if number % 100 == 0:
            table.append(requests(5, first=number), app_id="w", app_version=number)
        else:
            action = transaction_action("w", number)
            commit(table.log, [action], operation="WRITE", still_valid=lambda _snapshot: None)
        if number % 900 == 899:
            later = datetime.now(UTC) + timedelta(seconds=LOG_KEEP_SECONDS + 1)
            clean_log(table, later, consumed=table.version())
    assert len(list(table.log.folder.iterdir())) < 2_000
    young = Lake(StorageSettings(data_dir=settings.data_dir / "young")).table("requests")
    commits, opens, first_commits = [], [], []
    for number in range(20):
        commits.append(
            seconds(lambda n=number: table.append(requests(5), app_id="x", app_version=n))
        )
        first_commits.append(
            seconds(lambda n=number: young.append(requests(5), app_id="x", app_version=n))
        )
        opens.append(seconds(lambda: Lake(settings).table("requests").app_version("w")))
    assert Lake(settings).table("requests").app_version("w") == 19_999
    # The least of each says what it takes; the medians, taken in turn, say that age costs nothing,
    # however busy the machine is.
    assert min(commits) < 0.025
    assert min(opens) < 0.050
    assert statistics.median(commits) < 1.5 * statistics.median(first_commits) + 0.005


def seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def test_upkeep_over_a_simulated_day_keeps_files_and_answers(
    lake: Lake, settings: StorageSettings
) -> None:
    """An append every ten minutes of a day and upkeep after each, by an injected clock."""
    table = lake.table("requests")
    day = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for step in range(48):
        now = day + timedelta(minutes=30 * step)
        rows = requests(4, start=now, first=step * 4)
        table.append(rows, app_id="w", app_version=step)
        maintain(lake, now + timedelta(minutes=1), consumed=lambda _table: table.version())
    end = day + timedelta(days=2)
    for seconds in (0, GRACE_SECONDS):
        maintain(lake, end + timedelta(seconds=seconds))
    files = list(table.snapshot().files())
    assert len(files) == 24
    assert {(f.level, f.rows) for f in files} == {(2, 8)}
    assert len(list(table.location.rglob("l*.parquet"))) == 24
