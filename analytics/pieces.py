"""From segments to files: each tier's rows plus what has not reached that tier yet.

A rollup lags its source by seconds. Since each records the source version it has counted, the files
it has not seen are known, and a question simply adds them:

    answer over hours = usage_hour
                      + files of usage_minute that usage_hour has not counted
                      + files of requests that usage_minute has not counted

so an answer is exact and current however far the jobs are, even if they never ran.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from analytics.limits import PENDING_ROWS_MAX
from analytics.plan import FINER, Segment, Tier
from storage.errors import VersionsGone
from storage.lake import Lake
from storage.log import FileEntry, Snapshot, time_to_us

Kind = Literal["usage", "latency"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of some files of one table, within some spans of time."""

    tier: Tier
    table: str
    files: tuple[FileEntry, ...]
    spans: tuple[tuple[datetime, datetime], ...]

    @property
    def rows(self) -> int:
        return sum(entry.rows for entry in self.files)


def table_of(kind: Kind, tier: Tier) -> str:
    return "requests" if tier == "raw" else f"{kind}_{tier}"


class PieceFinder:
    """Finds the files for one question: every table is looked at once, so one consistent view."""

    def __init__(self, lake: Lake, tenant: str | None, kind: Kind, *, pending: bool = True) -> None:
        self._lake = lake
        self._tenant = tenant
        self._kind = kind
        self._pending = pending
        """False = only what the tiers have counted themselves; to see how far they are."""
        self._snapshots: dict[Tier, Snapshot | None] = {}

    def find(self, segments: Sequence[Segment]) -> list[Piece]:
        """Pieces that together hold every row of the segments exactly once."""
        by_tier: dict[Tier, list[tuple[datetime, datetime]]] = defaultdict(list)
        for segment in segments:
            by_tier[segment.tier].append((segment.start, segment.end))
        pieces: list[Piece] = []
        for tier in ("day", "hour", "minute", "raw"):
            if spans := by_tier.get(tier):
                pieces += self._tier_pieces(tier, tuple(spans))
        return [piece for piece in pieces if piece.files]

    def _tier_pieces(self, tier: Tier, spans: tuple[tuple[datetime, datetime], ...]) -> list[Piece]:
        pieces = [self._piece(tier, self._live(tier, spans), spans)]
        while self._pending and tier != "raw":
            finer = FINER[tier]
            pieces.append(self._piece(finer, self._uncounted(tier, finer), spans))
            tier = finer
        return pieces

    def _piece(
        self,
        tier: Tier,
        files: Sequence[FileEntry],
        spans: tuple[tuple[datetime, datetime], ...],
    ) -> Piece:
        inside = tuple(entry for entry in files if self._overlaps(entry, spans))
        return Piece(tier, table_of(self._kind, tier), inside, spans)

    def _overlaps(self, entry: FileEntry, spans: tuple[tuple[datetime, datetime], ...]) -> bool:
        if self._tenant is not None and entry.tenant != self._tenant:
            return False
        return any(
            entry.time_min < time_to_us(end) and entry.time_max >= time_to_us(start)
            for start, end in spans
        )

    def _live(
        self, tier: Tier, spans: tuple[tuple[datetime, datetime], ...]
    ) -> Sequence[FileEntry]:
        snapshot = self._snapshot(tier)
        if snapshot is None:
            return ()
        first, last = min(s for s, _ in spans), max(e for _, e in spans)
        return snapshot.select(self._tenant, time_to_us(first), time_to_us(last))

    def _uncounted(self, tier: Tier, finer: Tier) -> Sequence[FileEntry]:
        """Files of the finer table that came after what the tier has counted."""
        snapshot, source = self._snapshot(tier), self._snapshot(finer)
        if source is None:
            return ()
        counted = None if snapshot is None else snapshot.transaction(table_of(self._kind, tier))
        # up to the snapshot and no further: what is newer is not in the finer pieces either
        versions = source.version - (-1 if counted is None else counted)
        if versions <= 0:
            return ()
        try:
            changes = self._lake.table(table_of(self._kind, finer)).changes(
                counted, versions_max=versions, rows_max=PENDING_ROWS_MAX
            )
        except VersionsGone:
            return ()
        return () if changes.rows >= PENDING_ROWS_MAX else changes.files

    def _snapshot(self, tier: Tier) -> Snapshot | None:
        if tier not in self._snapshots:
            table = self._lake.existing(table_of(self._kind, tier))
            self._snapshots[tier] = None if table is None else table.snapshot()
        return self._snapshots[tier]
