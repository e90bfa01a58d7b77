"""`kill -9` of the jobs role, again and again, while requests come: all rollups hold each once."""

from __future__ import annotations

import os
import random
import signal
import time
from functools import partial

import pytest

from analytics.job_control import rows_behind
from analytics.jobs import JOBS
from storage.lake import Lake
from storage.settings import StorageSettings
from tests.analytics.hostile import random_rows, request_table
from tests.analytics.oracle import Row
from tests.analytics.test_rollups import assert_rollups_hold
from tests.e2e.installation import Installation, wait_until

KILLS = 12
LIFE_S = 1.5
"""From the first commit to the death, at most: about as long as all jobs need for what there is."""

QUICK = {
    "GATELENS_ANALYTICS_MINUTE_EVERY_S": "0.2",
    "GATELENS_ANALYTICS_HOUR_EVERY_S": "0.2",
    "GATELENS_ANALYTICS_DAY_EVERY_S": "0.2",
    "GATELENS_ANALYTICS_STEP_ROWS_MAX": "150",
    "GATELENS_ANALYTICS_LEASE_S": "2",
}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killing_the_jobs_loses_and_doubles_nothing(installation: Installation, seed: int) -> None:
    rng = random.Random(seed)
    installation.environment.update(QUICK)
    lake = Lake(StorageSettings(data_dir=installation.data))
    rows: list[Row] = []
    for _ in range(KILLS):
        for _ in range(4):
            rows += store(lake, rng, len(rows))
        done = counted(lake)
        jobs = installation.start("jobs")
        wait_until(partial(has_worked, lake, done), 60, installation.output)
        time.sleep(rng.uniform(0, LIFE_S))  # in the middle of whatever it happens to do
        os.kill(jobs.pid, signal.SIGKILL)
        jobs.wait()
        installation.processes.remove(jobs)
    installation.start("jobs")
    # Each job comes behind the one it reads from: what is 0 stays so.
    wait_until(
        lambda: all(rows_behind(lake, job) == 0 for job in JOBS.values()), 120, installation.output
    )
    assert_rollups_hold(lake, rows)


def store(lake: Lake, rng: random.Random, version: int) -> list[Row]:
    rows = random_rows(rng.randrange(2**32), 100, spread_s=7_200)
    lake.table("requests").append(request_table(rows), app_id="test", app_version=version + 1)
    return rows


def has_worked(lake: Lake, done: int) -> bool:
    return counted(lake) > done


def counted(lake: Lake) -> int:
    """Commits of all rollups."""
    tables = [lake.existing(job.target) for job in JOBS.values()]
    return sum(table.snapshot().version for table in tables if table is not None)
