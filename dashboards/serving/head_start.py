"""A screen's questions are asked as soon as its page is: the lake is read while the browser still
reads the scripts, and the first updates find their answers made, or being made.

Panels end here at the first question they would wait for, those they ask at the same time begun as
well, and draw nothing. What stays is in the cache of answers, kept for those who see the same rows.
Nothing is asked that the updates would not ask a moment later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from dash.exceptions import PreventUpdate

from dashboards.errors import Forbidden
from dashboards.limits import HEAD_STARTS_MAX
from dashboards.questions.cache import SingleFlightCache, asking_only
from dashboards.serving.warm import FRAME, NAMED, Panel


class HeadStarts:
    """Of one event loop."""

    def __init__(self, panels: Sequence[Panel], answers: SingleFlightCache) -> None:
        self._panels = panels
        self._answers = answers
        self._running: set[asyncio.Task[None]] = set()
        """Held, since the event loop holds its tasks only weakly."""

    def begin(self, screen: str, name: str, search: str) -> None:
        """Ask what a screen and the frame around it will, for whoever is asking now. Returns at
        once; nothing is begun where HEAD_STARTS_MAX answers are being made already.

        screen: its key in the tables of pages, with a '/' behind it for pages about one thing.
        name: of that thing, '' = none. search: the address's, as the browser will send it.
        """
        for panel in self._panels:
            if len(self._running) + self._answers.in_flight >= HEAD_STARTS_MAX:
                return
            if panel.screen not in (screen, FRAME) or not set(panel.states) <= set(NAMED):
                continue
            states = [name] * len(panel.states)
            task = asyncio.create_task(_ask(panel, search, states))
            self._running.add(task)
            task.add_done_callback(self._running.discard)


async def _ask(panel: Panel, search: str, states: Sequence[str]) -> None:
    asking_only.set(True)  # of this task alone
    # What goes wrong goes wrong once more for whoever looks, and is told then (guard.py).
    with contextlib.suppress(Forbidden, PreventUpdate):
        await panel.draw({"search": search}, *states)
