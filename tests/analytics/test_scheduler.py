"""Jobs run once over all schedulers, come back after failures, and leave a record."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, select

from analytics.errors import LeaseLost, UnknownJob
from analytics.lease import Lease
from analytics.main import build_scheduler
from analytics.run_history import RunHistory
from analytics.runner import RollupRunner
from analytics.scheduler import JobScheduler, Work
from analytics.settings import AnalyticsSettings
from storage.settings import StorageSettings
from storage.state import leases
from tests.analytics.conftest import FakeClock
from tests.analytics.hostile import random_rows
from tests.analytics.oracle import Row


@pytest.fixture
def make(engine: Engine, clock: FakeClock) -> Callable[[str], JobScheduler]:
    def build(holder: str) -> JobScheduler:
        lease = Lease(engine, "jobs", ttl_s=15, holder=holder, clock=clock)
        return JobScheduler(lease, RunHistory(engine), clock=clock)

    return build


def test_of_two_schedulers_one_works(make: Callable[[str], JobScheduler]) -> None:
    ran: list[str] = []
    first, second = make("elsewhere:1:a"), make("elsewhere:2:b")
    first.add("job", lambda: ran.append("first"), every_s=2)
    second.add("job", lambda: ran.append("second"), every_s=2)
    assert [first.tick("job"), second.tick("job"), first.tick("job")] == [True, False, True]
    assert ran == ["first", "first"]


def test_silent_scheduler_is_replaced_and_cannot_commit(
    make: Callable[[str], JobScheduler], clock: FakeClock
) -> None:
    first, second = make("elsewhere:1:a"), make("elsewhere:2:b")
    first.add("job", first.check_lease, every_s=2)
    second.add("job", second.check_lease, every_s=2)
    assert first.tick("job")
    clock.advance(16)
    assert second.tick("job")
    with pytest.raises(LeaseLost):
        first.check_lease()


def test_losing_the_lease_in_the_middle_is_no_failure(
    make: Callable[[str], JobScheduler], clock: FakeClock
) -> None:
    first, second = make("elsewhere:1:a"), make("elsewhere:2:b")
    second.add("job", lambda: None, every_s=2)

    def paused_for_long() -> None:
        clock.advance(60)
        assert second.tick("job")
        first.check_lease()
        raise AssertionError("the lease should be gone")

    first.add("job", paused_for_long, every_s=2)
    assert first.tick("job")
    assert (first.active, second.active) == (False, True)
    assert first.status()[0].failures == 0


def test_stopping_hands_over_at_once(make: Callable[[str], JobScheduler]) -> None:
    first, second = make("elsewhere:1:a"), make("elsewhere:2:b")
    for scheduler in (first, second):
        scheduler.add("job", lambda: None, every_s=2)
    first.tick("job")
    first.stop()
    assert second.tick("job")


def test_token_grows_with_every_holder(
    make: Callable[[str], JobScheduler], engine: Engine, clock: FakeClock
) -> None:
    tokens = []
    for number in range(4):
        scheduler = make(f"elsewhere:{number}:x")
        scheduler.add("job", lambda: None, every_s=2)
        assert scheduler.tick("job")
        with engine.connect() as connection:
            tokens.append(connection.execute(select(leases.c.token)).scalar_one())
        clock.advance(16)
    assert tokens == [1, 2, 3, 4]


def test_clock_that_jumped_back_does_not_lock_everyone_out(
    make: Callable[[str], JobScheduler], clock: FakeClock
) -> None:
    first, second = make("elsewhere:1:a"), make("elsewhere:2:b")
    for scheduler in (first, second):
        scheduler.add("job", lambda: None, every_s=2)
    first.tick("job")
    clock.advance(-86_400)
    assert second.tick("job")


def test_holder_that_was_killed_on_this_machine_is_replaced_at_once(
    engine: Engine, clock: FakeClock
) -> None:
    import socket
    import subprocess
    import sys

    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead = f"{socket.gethostname()}:{process.pid}:x"
    assert Lease(engine, "jobs", ttl_s=15, holder=dead, clock=clock).acquire()
    assert Lease(engine, "jobs", ttl_s=15, clock=clock).acquire()


def test_lease_of_a_living_holder_is_refused_from_any_thread(
    engine: Engine, clock: FakeClock
) -> None:
    contenders = [
        Lease(engine, "jobs", ttl_s=15, holder=f"elsewhere:{n}:x", clock=clock) for n in range(6)
    ]
    won: list[bool] = []
    threads = [threading.Thread(target=lambda c=c: won.append(c.acquire())) for c in contenders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 5 + [True]


def test_failing_job_is_retried_with_growing_pauses_and_recovers(
    make: Callable[[str], JobScheduler], clock: FakeClock, engine: Engine
) -> None:
    scheduler = make("elsewhere:1:a")
    broken = True

    def job() -> Work:
        if broken:
            raise OSError("the disk is full")
        return Work(rows_in=3, rows_out=1)

    scheduler.add("job", job, every_s=2)
    pauses = []
    for _ in range(3):
        assert scheduler.tick("job")
        assert not scheduler.tick("job")
        retry_at = scheduler.status()[0].retry_at
        assert retry_at is not None
        pauses.append(retry_at.timestamp() - clock())
        clock.advance(pauses[-1])
    assert pauses == [4, 8, 16]
    assert scheduler.status()[0].error == "OSError: the disk is full"
    broken = False
    assert scheduler.tick("job")
    assert scheduler.status()[0].failures == 0
    runs = RunHistory(engine).history("job")
    assert [run.error for run in runs] == [None] + ["OSError: the disk is full"] * 3
    assert runs[0].rows_in == 3


def test_one_failing_job_leaves_the_others_alone(make: Callable[[str], JobScheduler]) -> None:
    scheduler = make("elsewhere:1:a")
    done: list[int] = []
    scheduler.add("bad", lambda: 1 / 0, every_s=2)
    scheduler.add("good", lambda: done.append(1), every_s=2)
    scheduler.tick("bad")
    scheduler.tick("good")
    assert done == [1]


def test_looks_that_find_nothing_are_not_recorded(
    make: Callable[[str], JobScheduler], engine: Engine
) -> None:
    scheduler = make("elsewhere:1:a")
    scheduler.add("idle", lambda: None, every_s=2)
    scheduler.tick("idle")
    assert RunHistory(engine).history() == []
    assert scheduler.status()[0].last_ok_at is not None


def test_history_keeps_the_newest_runs_of_each_job(
    make: Callable[[str], JobScheduler], engine: Engine
) -> None:
    scheduler = make("elsewhere:1:a")
    counter = iter(range(100))
    scheduler.add("busy", lambda: Work(rows_in=next(counter)), every_s=2)
    scheduler.add("rare", lambda: Work(rows_in=-1), every_s=2)
    scheduler.tick("rare")
    for _ in range(20):
        scheduler.tick("busy")
    history = RunHistory(engine, keep=5)
    history.trim()
    assert [run.rows_in for run in history.history("busy")] == [19, 18, 17, 16, 15]
    assert history.last()["rare"].rows_in == -1


def test_unknown_job_names_the_known_ones(make: Callable[[str], JobScheduler]) -> None:
    scheduler = make("elsewhere:1:a")
    scheduler.add("usage_minute", lambda: None, every_s=2)
    with pytest.raises(UnknownJob, match="usage_minute"):
        scheduler.tick("nothing")


def test_started_scheduler_rolls_up_what_is_stored(
    settings: StorageSettings, store: Callable[[list[Row]], None], engine: Engine
) -> None:
    store(random_rows(1, 30))
    scheduler = build_scheduler(settings, AnalyticsSettings())
    ran = threading.Event()
    scheduler.add("after", ran.set, every_s=60)
    scheduler.start()
    try:
        assert ran.wait(20)
    finally:
        scheduler.stop()
    from storage.lake import Lake

    RollupRunner(Lake(settings)).catch_up_all()
    first = {run.job: run for run in reversed(RunHistory(engine).history())}["usage_minute"]
    assert (first.rows_in, first.error) == (30, None)
    assert first.rows_out > 0
