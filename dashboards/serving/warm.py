"""Keeps the memory of settled hours filled, so that nobody's first visit waits for the lake.

What screens ask of the last day is asked in the background: soon after the start and then every few
minutes, for each tenant, panel by panel, never more than one at a time and never busier than
resting. The questions are the screens' own, so nothing has to be kept in step with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from analytics.query import TimeRange
from dashboards import identity
from dashboards.data import Data
from dashboards.errors import Forbidden
from dashboards.limits import WARM_EVERY_S, WARM_TENANTS_MAX
from storage.log import us_to_time

log = structlog.get_logger(__name__)


FRAME = "*"


@dataclass(frozen=True, slots=True)
class Panel:
    """A server callback that draws from the page's view, and from `states` (ids, in order)."""

    states: tuple[str, ...]
    draw: Callable[..., Awaitable[Any]]
    screen: str = FRAME
    """Its page's key, with a '/' behind it for pages about one thing; FRAME = around all."""


NAMED = {"api-name": "api", "consumer-name": "consumer"}
"""Id that says what a page is about -> dimension; its largest one is asked about."""


async def keep_warm(data: Data, panels: Sequence[Panel], hours: int) -> None:
    """Ask again and again until cancelled. hours: length of the range, up to the newest request."""
    while True:
        for tenant, newest in await asyncio.to_thread(_tenants, data):
            began = time.monotonic()
            with identity.acting_as(replace(identity.LOCAL, tenant=tenant)):
                await warm_once(data, panels, newest, hours)
            took = time.monotonic() - began
            log.info("screens_warmed", tenant=tenant, seconds=round(took, 1))
        await asyncio.sleep(WARM_EVERY_S)


async def warm_once(data: Data, panels: Sequence[Panel], newest: datetime, hours: int) -> None:
    """Every panel once for whoever is asking. A panel that fails says so in the log itself."""
    # To the minute before: the hours that a range up to now cuts are asked for cut.
    end = newest.replace(second=0, microsecond=0)
    start = end - timedelta(hours=hours)
    view = {"search": f"?from={start:%Y-%m-%dT%H:%M:%S}&to={end:%Y-%m-%dT%H:%M:%S}"}
    names = {}
    for name, dimension in NAMED.items():
        largest = await asyncio.to_thread(_largest, data, dimension, TimeRange(start, end))
        names[name] = largest
    for panel in panels:
        states = [names.get(state) for state in panel.states]
        if None in states:
            continue
        began = time.monotonic()
        with contextlib.suppress(Forbidden):  # a screen for others, such as a consumer's own
            await panel.draw(view, *states)
        # Whoever looks at a screen meanwhile comes first.
        await asyncio.sleep(min(5.0, time.monotonic() - began))


def _largest(data: Data, dimension: str, time_range: TimeRange) -> str | None:
    found = data.analytics.usage(time_range, by=(dimension,), limit=2)[dimension]
    return next((str(name) for name in found.to_list() if name), None)


def _tenants(data: Data) -> list[tuple[str, datetime]]:
    """Tenants with their newest request, those with most files first."""
    table = data.lake.existing("requests")
    if table is None:
        return []
    newest: dict[str, int] = {}
    files: dict[str, int] = {}
    now_us = int(datetime.now(UTC).timestamp() * 1e6)
    for entry in table.snapshot().select(None, None, None):
        files[entry.tenant] = files.get(entry.tenant, 0) + 1
        newest[entry.tenant] = max(newest.get(entry.tenant, 0), min(entry.time_max, now_us))
    most = sorted(files, key=lambda tenant: -files[tenant])[:WARM_TENANTS_MAX]
    return [(tenant, us_to_time(newest[tenant])) for tenant in most]
