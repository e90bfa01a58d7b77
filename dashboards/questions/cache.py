"""One question, one run: results shared by everybody who asks the same at the same time.

Twenty people refreshing one screen cost what one does. A question that is being answered is joined
(single flight); an answer is kept `ttl_s`, failures are not kept. Bounded by number of entries,
least recently used first out.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from typing import Any, TypeVar, cast

from dash.exceptions import PreventUpdate

T = TypeVar("T")

asking_only: contextvars.ContextVar[bool] = contextvars.ContextVar("asking_only", default=False)
"""Whether questions are begun and nobody waits for their answers: `get` raises Begun."""


class Begun(PreventUpdate):
    """The answer is being made, or there already; whoever only asks needs nothing more. To Dash
    and to guard.py: nothing is drawn."""


class SingleFlightCache:
    """To be used from one event loop; the work itself runs on `executor`."""

    def __init__(
        self,
        executor: Executor,
        *,
        ttl_s: float,
        entries_max: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._executor = executor
        self._ttl_s = ttl_s
        self._entries_max = entries_max
        self._clock = clock
        self._done: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._flying: dict[Hashable, asyncio.Future[Any]] = {}
        self._background: set[asyncio.Future[Any]] = set()
        """Held, since the event loop holds its tasks only weakly."""
        self.hits = 0
        self.joined = 0
        self.runs = 0

    @property
    def in_flight(self) -> int:
        """Questions whose answers are being made."""
        return len(self._flying)

    async def get(
        self,
        key: Hashable,
        work: Callable[[], T],
        *,
        ttl_s: float | None = None,
        executor: Executor | None = None,
    ) -> T:
        """The answer to `key`: kept, joined, or made by running `work` on the executor.

        Raises Begun where `asking_only` is set, and what `work` raises."""
        kept = self._done.get(key)
        if kept is not None and kept[0] > self._clock():
            self._done.move_to_end(key)
            self.hits += 1
            if asking_only.get():
                raise Begun
            return cast(T, kept[1])
        flying = self._flying.get(key)
        if flying is None:
            self.runs += 1
            # The work asks on behalf of whoever is asking here (identity.py).
            asking = contextvars.copy_context()
            flying = asyncio.get_running_loop().run_in_executor(
                executor or self._executor, lambda: asking.run(work)
            )
            self._flying[key] = flying
            flying.add_done_callback(lambda f: self._land(key, f, ttl_s))
        else:
            self.joined += 1
        if asking_only.get():
            raise Begun
        # Shielded: one impatient browser must not cancel the run the others wait for.
        return cast(T, await asyncio.shield(flying))

    def _land(self, key: Hashable, flight: asyncio.Future[Any], ttl_s: float | None) -> None:
        self._flying.pop(key, None)
        if flight.cancelled() or flight.exception() is not None or self._entries_max == 0:
            return
        keep_s = self._ttl_s if ttl_s is None else ttl_s
        self._done[key] = (self._clock() + keep_s, flight.result())
        self._done.move_to_end(key)
        while len(self._done) > self._entries_max:
            self._done.popitem(last=False)

    async def soon(
        self, key: Hashable, work: Callable[[], T], *, ttl_s: float, executor: Executor
    ) -> T | None:
        """The newest answer there is, however old, without waiting; None = none yet.

        An answer older than ttl_s is made anew in the background.
        """
        kept = self._done.get(key)
        if kept is None or kept[0] <= self._clock():
            task = asyncio.ensure_future(self.get(key, work, ttl_s=ttl_s, executor=executor))
            task.add_done_callback(lambda t: t.cancelled() or t.exception())
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        return None if kept is None else cast(T, kept[1])

    def forget(self, key: Hashable) -> None:
        """Ask anew next time: something was changed here."""
        self._done.pop(key, None)


class CacheFor:
    """The cache as one kind of reader sees it: nobody gets an answer made for other rows."""

    def __init__(self, cache: SingleFlightCache, reader: Hashable) -> None:
        self._cache = cache
        self._reader = reader

    async def get(
        self,
        key: Hashable,
        work: Callable[[], T],
        *,
        ttl_s: float | None = None,
        executor: Executor | None = None,
    ) -> T:
        return await self._cache.get((self._reader, key), work, ttl_s=ttl_s, executor=executor)

    async def soon(
        self, key: Hashable, work: Callable[[], T], *, ttl_s: float, executor: Executor
    ) -> T | None:
        return await self._cache.soon((self._reader, key), work, ttl_s=ttl_s, executor=executor)

    def forget(self, key: Hashable) -> None:
        self._cache.forget((self._reader, key))
