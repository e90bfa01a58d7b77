from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dashboards.questions.cache import SingleFlightCache
from tests.aio import run


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_twenty_askers_of_one_question_cost_one_run() -> None:
    async def ask() -> list[int]:
        gate = threading.Event()
        runs: list[int] = []

        def work() -> int:
            gate.wait(5)
            runs.append(1)
            return 42

        with ThreadPoolExecutor(2) as pool:
            cache = SingleFlightCache(pool, ttl_s=5, entries_max=10)
            askers = [asyncio.create_task(cache.get("q", work)) for _ in range(20)]
            await asyncio.sleep(0)
            gate.set()
            assert await asyncio.gather(*askers) == [42] * 20
            assert (cache.runs, cache.joined) == (1, 19)
        return runs

    assert run(ask()) == [1]


def test_answers_expire_failures_are_not_kept_and_entries_are_bounded() -> None:
    async def ask() -> None:
        clock = Clock()
        with ThreadPoolExecutor(1) as pool:
            cache = SingleFlightCache(pool, ttl_s=5, entries_max=2, clock=clock)
            assert await cache.get("a", lambda: 1) == 1
            assert await cache.get("a", lambda: 2) == 1
            clock.now = 6
            assert await cache.get("a", lambda: 3) == 3
            with pytest.raises(ZeroDivisionError):
                await cache.get("bad", lambda: 1 // 0)
            assert await cache.get("bad", lambda: 4) == 4
            await cache.get("b", lambda: 5)
            assert await cache.get("a", lambda: 6) == 6

    run(ask())


def test_a_slow_question_answers_with_what_is_known_and_runs_in_the_background() -> None:
    async def scenario() -> tuple[list[int | None], int]:
        with ThreadPoolExecutor(1) as executor:
            cache = SingleFlightCache(executor, ttl_s=5.0, entries_max=4)
            answers = iter((1, 2))
            seen = []
            for ttl_s in (0.0, 60.0, 60.0):
                seen.append(
                    await cache.soon("k", lambda: next(answers), ttl_s=ttl_s, executor=executor)
                )
                await asyncio.gather(*cache._background)
            cache.forget("k")
            return seen, cache.runs

    assert run(scenario()) == ([None, 1, 2], 2)
