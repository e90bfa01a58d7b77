"""What keeps the lake small, pass by pass: merges, retention, log, files that nobody names."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

import structlog

from analytics.jobs import JOBS
from storage.lake import Lake
from storage.maintenance import maintain

log = structlog.get_logger(__name__)

UPKEEP_EVERY_S = 10.0
"""How often small files are looked for; work is proportional to what is new."""

SWEEP_EVERY_S = 300.0
"""How often files that no snapshot names are looked for. That lists the whole lake: every ten
seconds it was a quarter of what the jobs took at 10,000 files, and an object store charges for
each page of a list. What is found stays for a quarter of an hour anyway."""


class LakeKeeper:
    """Upkeep of the lake, a pass a tick; leaves alone what a rollup has not read yet."""

    def __init__(self, lake: Lake, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lake = lake
        self._clock = clock
        self._swept_at = -math.inf

    def tick(self) -> None:
        sweeping = self._clock() - self._swept_at >= SWEEP_EVERY_S
        report = maintain(
            self._lake,
            datetime.now(UTC),
            consumed=self._consumed,
            seconds_max=UPKEEP_EVERY_S / 2,
            sweeping=sweeping,
        )
        if sweeping:
            self._swept_at = self._clock()
        if report.merges or report.bytes_freed:
            log.info("lake_kept", **asdict(report))

    def _consumed(self, table: str) -> int | None:
        """Version of a table that every rollup has read; None = none reads it."""
        readers = [job for job in JOBS.values() if job.source == table]
        places = [self._lake.table(job.target).app_version(job.name) for job in readers]
        return min((-1 if place is None else place for place in places), default=None)
