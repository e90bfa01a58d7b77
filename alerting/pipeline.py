"""What Gatelens can tell about its own work, from the state store and the disk.

job_failures   runs of a job that failed in the window, one series per job
job_lag_s      age of the newest row that the job's last run in the window had read
job_silence_s  seconds since a job last ended well, for jobs that ever did
rejects        records refused at the door in the window, one series per source and reason
commit_stuck_s age of the oldest request that a collector on this machine acknowledged and failed to
               store several times in a row; 0 = there is none
collector_silence_s
               seconds since a collector last took data, wherever it ran; nothing where none ever
               did, or none for a day
disk_free      share of the data folder's disk that is free, 0..1
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import sqlalchemy as sa

from alerting.limits import COLLECTOR_REMEMBERED_S, JOB_REMEMBERED_S
from alerting.point import Point
from storage.settings import StorageSettings
from storage.state import job_runs
from storage.state_collectors import collector_stretches
from storage.stuck_commit import read_stuck

Signal = Literal[
    "job_failures",
    "job_lag_s",
    "job_silence_s",
    "rejects",
    "commit_stuck_s",
    "collector_silence_s",
    "disk_free",
]

SIGNALS: Mapping[Signal, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        "job_failures": (("job",), "runs"),
        "job_lag_s": (("job",), "s"),
        "job_silence_s": (("job",), "s"),
        "rejects": (("source", "reason"), "records"),
        "commit_stuck_s": ((), "s"),
        "collector_silence_s": ((), "s"),
        "disk_free": ((), "1"),
    }
)
"""Signal -> labels of its series, unit of its value."""

REJECTS_SQL = """
SELECT source, reason, count(*) AS value
FROM rejects
WHERE time >= $start AND time < $end
GROUP BY source, reason
"""


def ask_jobs(state: sa.Engine, signal: Signal, start: float, end: float) -> list[Point]:
    """One point per job that ran, of a signal whose name begins with `job_`."""
    table = job_runs
    ended = table.c.finished_at
    if signal == "job_failures":
        failed = sa.func.sum(sa.case((table.c.error.is_not(None), 1), else_=0))
        query = sa.select(table.c.job, failed).where(ended >= start, ended < end)
        query = query.group_by(table.c.job)
    elif signal == "job_silence_s":
        well = sa.and_(table.c.error.is_(None), ended < end, ended >= end - JOB_REMEMBERED_S)
        query = sa.select(table.c.job, end - sa.func.max(ended)).where(well)
        query = query.group_by(table.c.job)
    else:
        last = sa.select(sa.func.max(table.c.id)).where(
            table.c.lag_s.is_not(None), ended >= start, ended < end
        )
        query = sa.select(table.c.job, table.c.lag_s).where(
            table.c.id.in_(last.group_by(table.c.job))
        )
    with state.connect() as connection:
        rows = connection.execute(query).all()
    return [Point((("job", job),), float(value), 0) for job, value in rows]


def stuck_commit(storage: StorageSettings, now: float) -> list[Point]:
    """() while there is no log: collectors run on other machines."""
    folder = storage.data_dir / "wal"
    if not folder.is_dir():
        return []
    stuck = read_stuck(folder)
    return [
        Point((), max(0.0, now - stuck.oldest) if stuck else 0.0, stuck.requests if stuck else 0)
    ]


def collector_silence(state: sa.Engine, now: float) -> list[Point]:
    """A collector that runs is silent for up to a beat; see storage/state_collectors.py."""
    with state.connect() as connection:
        begun = collector_stretches.c.since <= now  # others were written by a wrong clock
        query = sa.select(sa.func.max(collector_stretches.c.until)).where(begun)
        last = connection.execute(query).scalar()
    if last is None or last < now - COLLECTOR_REMEMBERED_S:
        return []
    return [Point((), max(0.0, now - last), 0)]


def free_disk(storage: StorageSettings) -> list[Point]:
    """() while the data folder is not there."""
    try:
        usage = shutil.disk_usage(storage.data_dir)
    except FileNotFoundError:  # nothing was stored yet
        return []
    return [Point((), usage.free / usage.total, 0)]
