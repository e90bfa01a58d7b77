from __future__ import annotations

from dashboards.sql_runs import SqlRuns


def test_a_run_is_cancelled_by_its_own_key_only() -> None:
    runs = SqlRuns()
    with runs.run("a") as mine, runs.run("b") as other:
        assert runs.cancel("a")
        assert mine.is_set()
        assert not other.is_set()
    assert not runs.cancel("a")


def test_the_newer_of_two_runs_of_a_screen_is_the_one_that_is_cancelled() -> None:
    runs = SqlRuns()
    with runs.run("a") as older, runs.run("a") as newer:
        assert runs.cancel("a")
        assert newer.is_set()
        assert not older.is_set()
