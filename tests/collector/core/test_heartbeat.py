"""What a collector keeps down of when it took data: with clocks that are told, and with processes
that are killed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog

from collector.heartbeat import Heartbeat, kept_days
from collector.telemetry import Telemetry
from storage.settings import StorageSettings
from storage.state import existing_state, open_state
from storage.state_collectors import BEAT_S, LATE_S, collector_stretches
from tests.collector.core.doors import eventually, open_collector
from tests.collector.core.process import CollectorProcess

START = 1_800_000_000.0


class Watch:
    """A wall clock, and one that runs on whatever happens to the first."""

    def __init__(self) -> None:
        self.wall, self.steady = START, 50.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


class Beaten:
    """A heartbeat whose looks and writes are done by hand."""

    def __init__(self, storage: StorageSettings, collector: str = "one") -> None:
        self.watch, self.taking, self.telemetry = Watch(), True, Telemetry()
        self.heart = Heartbeat(
            storage, clock=lambda: self.watch.wall, steady=lambda: self.watch.steady
        )
        self.heart.open(collector, lambda: self.taking, self.telemetry.heartbeat_failures)

    def beat(self, times: int = 1, every_s: float = BEAT_S) -> None:
        for _ in range(times):
            self.watch.pass_by(every_s)
            self.heart.look()

    @property
    def failures(self) -> float:
        name = "gatelens_collector_heartbeat_failures_total"
        return self.telemetry.registry.get_sample_value(name) or 0.0


@contextmanager
def beating(storage: StorageSettings, collector: str = "one") -> Iterator[Beaten]:
    beaten = Beaten(storage, collector)
    try:
        yield beaten
    finally:
        beaten.heart.close(10)


@pytest.fixture
def storage(tmp_path: Path) -> StorageSettings:
    return StorageSettings(data_dir=tmp_path)


def kept(storage: StorageSettings) -> list[tuple[float, float]]:
    """Stretches in seconds after START, in the order of their making."""
    state = existing_state(storage)
    if state is None or not sa.inspect(state).has_table(collector_stretches.name):
        return []
    query = sa.select(collector_stretches).order_by(collector_stretches.c.id)
    with state.connect() as connection:
        rows = connection.execute(query).all()
    state.dispose()
    return [(row.since - START, row.until - START) for row in rows]


def test_a_stretch_grows_with_each_beat_to_the_orderly_end(storage: StorageSettings) -> None:
    with beating(storage) as beaten:
        eventually(lambda: kept(storage) == [(0, 0)])
        beaten.beat(3)
        eventually(lambda: kept(storage) == [(0, 45)])
        beaten.beat(every_s=4)  # the last look of an orderly stop
    assert kept(storage) == [(0, 49)]
    assert beaten.failures == 0


def test_a_pause_is_not_papered_over(storage: StorageSettings) -> None:
    """A process that was stopped (SIGSTOP) for minutes: both clocks went on."""
    with beating(storage) as beaten:
        beaten.beat(2)
        beaten.beat(every_s=LATE_S)  # late, and still of the same stretch
        beaten.beat(every_s=240)
        beaten.beat()
    assert kept(storage) == [(0, 75), (315, 330)]


def test_a_machine_that_slept_is_told_by_its_wall_clock(storage: StorageSettings) -> None:
    with beating(storage) as beaten:
        beaten.beat()
        beaten.watch.wall += 3600  # the other clock stood still meanwhile
        beaten.beat()
    assert kept(storage) == [(0, 15), (3630, 3630)]


def test_a_clock_set_back_moves_the_stretch(storage: StorageSettings) -> None:
    with beating(storage) as beaten:
        beaten.beat(4)
        beaten.watch.wall -= 30
        beaten.beat()
        assert beaten.watch.wall - START == 45
        beaten.watch.wall -= 600
        beaten.beat()
    assert kept(storage) == [(-540, -540)]


def test_what_refuses_everything_takes_no_data(storage: StorageSettings) -> None:
    with beating(storage) as beaten:
        beaten.beat()
        beaten.taking = False
        beaten.beat(8)
        beaten.taking = True
        beaten.beat(2)
    assert kept(storage) == [(0, 15), (150, 165)]


def test_two_of_one_id_do_not_touch_each_other_s_rows(storage: StorageSettings) -> None:
    """A data folder that was copied: two machines, one id, one store."""
    with beating(storage) as one:
        one.beat()
        with beating(storage) as two:
            two.beat(4)
        one.beat()
    assert sorted(kept(storage)) == [(0, 30), (0, 60)]


def test_a_store_that_is_gone_is_told_once_and_made_up_for(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    state = StorageSettings(data_dir=tmp_path, state_url=f"sqlite:///{blocked}/state.sqlite")
    with structlog.testing.capture_logs() as told, beating(state) as beaten:
        eventually(lambda: beaten.failures == 1)
        beaten.beat()
        beaten.beat(every_s=100)
        eventually(lambda: beaten.failures >= 2)
        blocked.unlink()
        beaten.beat()
    events = [line["event"] for line in told]
    assert events == ["heartbeat_not_written", "heartbeat_written_again"]
    assert kept(state) == [(0, 15), (115, 130)]


@pytest.mark.parametrize("missed", [0, 1])
def test_of_more_stretches_than_are_kept_while_the_store_is_gone_the_oldest_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missed: int
) -> None:
    monkeypatch.setattr("collector.heartbeat.STRETCHES_WAITING_MAX", 3)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    state = StorageSettings(data_dir=tmp_path, state_url=f"sqlite:///{blocked}/state.sqlite")
    with beating(state) as beaten:
        for _ in range(3 + missed - 1):  # the first began with the port
            beaten.beat(every_s=LATE_S + 1)
        eventually(lambda: beaten.failures >= 1)
        blocked.unlink()
        blocked.mkdir()
        beaten.heart.write()
    begun = [since for since, _ in kept(state)]
    assert begun == [n * (LATE_S + 1) for n in range(missed, 3 + missed)]


def test_a_store_that_is_locked_holds_up_no_look(storage: StorageSettings) -> None:
    with beating(storage) as beaten:
        eventually(lambda: kept(storage) == [(0, 0)])
        with closing(sqlite3.connect(storage.data_dir / "state.sqlite")) as other:
            other.execute("BEGIN IMMEDIATE")
            beaten.beat(2)  # returns though nothing can be written
            assert kept(storage) == [(0, 0)]
            other.execute("ROLLBACK")
        eventually(lambda: kept(storage) == [(0, 30)])
    assert beaten.failures == 0


def test_a_store_put_in_its_place_is_told_the_whole_stretch(storage: StorageSettings) -> None:
    with beating(storage) as beaten:
        eventually(lambda: kept(storage) == [(0, 0)])
        state = open_state(storage)
        with state.begin() as connection:
            connection.execute(sa.delete(collector_stretches))
        state.dispose()
        beaten.beat(2)
    assert kept(storage) == [(0, 30)]


def test_stretches_older_than_all_data_are_swept(tmp_path: Path) -> None:
    storage = StorageSettings(data_dir=tmp_path, retention_day_days=100)
    state = open_state(storage)
    with state.begin() as connection:
        for days in (101, 99):
            at = START - days * 86_400
            connection.execute(
                sa.insert(collector_stretches).values(collector="old", since=at - 60, until=at)
            )
    state.dispose()
    with beating(storage):
        pass
    assert [since for since, _ in kept(storage)] == [-99 * 86_400 - 60, 0]


def test_how_long_stretches_are_kept() -> None:
    assert kept_days(StorageSettings(retention_day_days=10, retention_hour_days=20)) == 30
    assert kept_days(StorageSettings(retention_tenant_days=(("shop", 9_000),))) == 9_000
    assert kept_days(StorageSettings(retention_raw_days=0)) == 0


def test_a_collector_that_refuses_for_want_of_disk_takes_no_data(tmp_path: Path) -> None:
    room = StorageSettings(data_dir=tmp_path / "a")
    full = StorageSettings(data_dir=tmp_path / "b", disk_reserve_mb=1 << 40)
    for storage, takes in ((room, True), (full, False)):
        with open_collector(storage.data_dir, storage=storage) as collector:
            assert collector._taking() is takes


def test_a_killed_collector_leaves_its_stretch_and_the_next_start_begins_another(
    tmp_path: Path,
) -> None:
    collector = CollectorProcess(tmp_path)
    storage = StorageSettings(data_dir=tmp_path)
    collector.start()
    eventually(lambda: len(kept(storage)) == 1)
    collector.kill()
    ((since, until),) = kept(storage)
    collector.start()
    eventually(lambda: len(kept(storage)) == 2)
    collector.terminate()
    first, (again, ended) = kept(storage)
    assert first == (since, until)
    assert since <= until < again < ended
