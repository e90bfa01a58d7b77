"""History in a real lake: exactly once, in hours, up to the moment asked for."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from sample_data.company import build_company
from sample_data.history import (
    APP_ID,
    quota_used_so_far,
    write_demo_history,
    write_history,
)
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings

UNTIL = dt.datetime(2026, 11, 20, 12, 20, tzinfo=dt.UTC)


def _count(lake: Lake, what: str = "count(*)", table: str = "requests") -> object:
    answer = ReadSession(lake).query(f"SELECT {what} AS answer FROM {table}")
    return answer.column("answer")[0].as_py()


def test_a_second_run_writes_nothing_twice(tmp_path: Path) -> None:
    lake = Lake(StorageSettings(data_dir=tmp_path))
    first = write_history(lake, days=0.2, until=UNTIL, requests_per_day=20_000, spans_hours=0.5)
    again = write_history(lake, days=0.2, until=UNTIL, requests_per_day=20_000, spans_hours=0.5)
    assert first.requests == _count(lake)
    assert first.spans == _count(lake, table="spans")
    assert first.logs == _count(lake, table="logs")
    assert first.requests > 2_000 and first.spans > 100 and first.logs > 5
    assert (again.requests, again.spans, again.logs) == (0, 0, 0)


def test_a_later_run_adds_only_the_hours_after_it(tmp_path: Path) -> None:
    lake = Lake(StorageSettings(data_dir=tmp_path))
    on_the_hour = UNTIL.replace(minute=0)
    write_history(lake, days=0.1, until=on_the_hour, requests_per_day=20_000)
    before = _count(lake)
    later = write_history(
        lake, days=0.1, until=on_the_hour + dt.timedelta(hours=1), requests_per_day=20_000
    )
    assert later.hours == 1
    assert _count(lake) == before + later.requests
    assert _count(lake, "max(time)") < on_the_hour + dt.timedelta(hours=1)


def test_an_interrupted_run_is_taken_up_where_it_stopped(tmp_path: Path) -> None:
    lake = Lake(StorageSettings(data_dir=tmp_path / "broken"))

    def stop_after_two(done: int, _hours: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    options = {"days": 0.2, "until": UNTIL, "requests_per_day": 20_000, "spans_hours": 6.0}
    try:
        write_history(lake, **options, progress=stop_after_two)
    except KeyboardInterrupt:
        write_history(lake, **options)
    whole = Lake(StorageSettings(data_dir=tmp_path / "whole"))
    write_history(whole, **options)
    for table in ("requests", "spans", "logs"):
        assert _count(lake, table=table) == _count(whole, table=table)


def test_written_backwards_the_last_hours_come_first_and_all_is_the_same(tmp_path: Path) -> None:
    sums = []
    for name, backwards, stop_at in (("on", False, 99), ("back", True, 99), ("cut", True, 2)):
        lake = Lake(StorageSettings(data_dir=tmp_path / name))
        hours: list[int] = []
        write_history(
            lake,
            days=0.2,
            until=UNTIL,
            requests_per_day=20_000,
            newest_first=backwards,
            progress=lambda done, _, hours=hours: hours.append(done),
            stop=lambda hours=hours, stop_at=stop_at: len(hours) >= stop_at,
        )
        sums.append(_count(lake, "sum(hash(time, path, status_code, duration_ms))"))
    assert sums[0] == sums[1]
    assert _count(lake, "min(time)") >= UNTIL.replace(minute=0) - dt.timedelta(hours=1)


def test_two_lakes_from_one_seed_are_equal(tmp_path: Path) -> None:
    sums = []
    for name in ("one", "two"):
        lake = Lake(StorageSettings(data_dir=tmp_path / name))
        write_history(lake, days=0.1, until=UNTIL, requests_per_day=20_000, seed=3)
        sums.append(_count(lake, "sum(hash(time, path, status_code, duration_ms))"))
    assert sums[0] == sums[1]


def test_demo_history_is_written_once_per_folder_and_grows_into_the_live_rate(
    tmp_path: Path,
) -> None:
    storage = StorageSettings(data_dir=tmp_path)
    rows = write_demo_history(storage, days=0.3, until=UNTIL, rate_per_s=4.0)
    assert rows > 0
    assert write_demo_history(storage, days=0.3, until=UNTIL + dt.timedelta(days=1)) == 0
    lake = Lake(storage)
    last = _count(
        lake, f"count(*) FILTER (time >= TIMESTAMPTZ '{UNTIL - dt.timedelta(minutes=10)}')"
    )
    assert isinstance(last, int)
    # Usual calls at 4 a second, and what the monitor and the consumer of the quota add.
    assert 0.8 * 4 * 600 < last < 1.5 * 4 * 600


def test_quota_used_so_far_is_what_the_lake_has(tmp_path: Path) -> None:
    storage = StorageSettings(data_dir=tmp_path)
    assert quota_used_so_far(storage, UNTIL) is None
    write_demo_history(storage, days=0.1, until=UNTIL, rate_per_s=4.0)
    name = build_company().consumers[build_company().almost_out].name
    used = quota_used_so_far(storage, UNTIL)
    assert used == _count(Lake(storage), f"count(*) FILTER (consumer = '{name}')")
    assert used is not None and used > 20
    assert Lake(storage).table("requests").app_version(APP_ID) is not None


def test_history_stops_between_hours_when_asked(tmp_path: Path) -> None:
    lake = Lake(StorageSettings(data_dir=tmp_path))
    answers = iter([False, True])
    report = write_history(
        lake, days=0.2, until=UNTIL, requests_per_day=20_000, stop=lambda: next(answers)
    )
    assert report.hours == 1
    assert _count(lake, "count(DISTINCT hour)") == 1
