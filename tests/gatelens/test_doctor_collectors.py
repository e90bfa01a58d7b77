from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from gatelens.doctor_collectors import collector_lines
from storage.settings import StorageSettings
from storage.state import open_state
from storage.state_collectors import collector_stretches

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_the_doctor_tells_the_outages_of_the_last_days_and_changes_nothing(tmp_path: Path) -> None:
    storage = StorageSettings(data_dir=tmp_path)
    nothing = ["collectors: it is not kept down yet when they took data"]
    assert list(collector_lines(storage, now=NOW)) == nothing
    assert list(tmp_path.iterdir()) == []

    state = open_state(storage)
    assert list(collector_lines(storage, now=NOW)) == nothing
    times = ((100, 40), (39.9, 20), (8, 1))
    rows = [
        {
            "collector": "one",
            "since": (NOW - timedelta(hours=first)).timestamp(),
            "until": (NOW - timedelta(hours=last)).timestamp(),
        }
        for first, last in times
    ]
    with state.begin() as connection:
        connection.execute(sa.insert(collector_stretches), rows)
    assert list(collector_lines(storage, now=NOW)) == [
        "collectors: took data 86.9 % of the time since 2026-06-27 08:00 UTC: 3 outages, 13:06:00 "
        "in all",
        "collectors: none takes data now",
        "collectors: none took data 2026-06-29 20:00:00 to 2026-06-29 20:06:00 UTC (0:06:00)",
        "collectors: none took data 2026-06-30 16:00:00 to 2026-07-01 04:00:00 UTC (12:00:00)",
        "collectors: none took data 2026-07-01 11:00:00 to 2026-07-01 12:00:00 UTC (1:00:00)",
    ]
    with state.begin() as connection:
        connection.execute(sa.text("DROP TABLE collector_stretches"))  # a store of before
    assert list(collector_lines(storage, now=NOW)) == nothing
    state.dispose()


def test_a_store_that_cannot_be_read_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"no database" * 100)
    (line,) = collector_lines(StorageSettings(data_dir=tmp_path), now=NOW)
    assert line.startswith("collectors: the state store cannot be read: ")
