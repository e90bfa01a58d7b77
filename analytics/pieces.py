"""From segments to files: each tier's rows plus what has not reached that tier yet.

A rollup lags its source by seconds. Since each records the source version it has counted, the files
it has not seen are known, and a question simply adds them:

    answer over hours = usage_hour
                      + files of usage_minute that usage_hour has not counted
                      + files of requests that usage_minute has not counted

so an answer is exact and current however far the jobs are, even if they never ran. A table is
looked at before the one it is made from: the other way round, rows that a job moves on in between
would be counted twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from analytics.grains import RAW, Grain, source_of
from analytics.jobs import JOBS
from analytics.limits import CHANGES_KEPT_MAX, PENDING_ROWS_MAX
from analytics.plan import Segment
from analytics.timerange import TimeRange
from storage.changes import Changes
from storage.errors import VersionsGone
from storage.lake import Lake
from storage.log import FileEntry, Snapshot, hour_bounds_us, time_to_us, us_to_time


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of some files of one table, within some spans of time."""

    table: str
    files: tuple[FileEntry, ...]
    spans: tuple[tuple[datetime, datetime], ...]

    @property
    def raw(self) -> bool:
        return self.table == RAW

    @property
    def rows(self) -> int:
        return sum(entry.rows for entry in self.files)


class KnownChanges:
    """What lies between two versions of a table: never changes, and is asked by every question of a
    screen. Thread-safe."""

    def __init__(self) -> None:
        self._found: dict[Hashable, Changes] = {}

    def get(self, key: Hashable, make: Callable[[], Changes]) -> Changes:
        found = self._found.get(key)
        if found is None:
            found = make()
            if len(self._found) >= CHANGES_KEPT_MAX:
                self._found.clear()
            self._found[key] = found
        return found


class PieceFinder:
    """Finds the files for one question: every table is looked at once, so one consistent view."""

    def __init__(
        self,
        lake: Lake,
        tenant: str | None,
        grain: Grain,
        *,
        pending: bool = True,
        known: KnownChanges | None = None,
    ) -> None:
        self._lake = lake
        self._tenant = tenant
        self._grain = grain
        self._pending = pending
        """False = only what the tiers have counted themselves; to see how far they are."""
        self._known = known or KnownChanges()
        self._snapshots: dict[str, Snapshot | None] = {}

    def find(self, segments: Sequence[Segment]) -> list[Piece]:
        """Pieces that together hold every row of the segments exactly once."""
        by_table: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
        for segment in segments:
            by_table[self._grain.table(segment.tier)].append((segment.start, segment.end))
        self._look(by_table)
        pieces: list[Piece] = []
        for table in (self._grain.table(tier) for tier in self._grain.tiers):
            if spans := by_table.get(table):
                pieces += self._table_pieces(table, tuple(spans))
        return [piece for piece in pieces if piece.files]

    def _look(self, tables: Iterable[str]) -> None:
        """Take the snapshots of tables and of all they are made from, in the right order."""
        needed = {RAW}
        for name in tables:
            source: str | None = name
            while source is not None:
                needed.add(source)
                source = source_of(source)
        for table in (*reversed(list(JOBS)), RAW):
            if table in needed:
                self._snapshot(table)

    def _table_pieces(
        self, table: str, spans: tuple[tuple[datetime, datetime], ...]
    ) -> list[Piece]:
        pieces = [self._piece(table, self._live(table, spans), spans)]
        while self._pending and (source := source_of(table)) is not None:
            pieces.append(self._piece(source, self._uncounted(table, source), spans))
            table = source
        return pieces

    def _piece(
        self,
        table: str,
        files: Sequence[FileEntry],
        spans: tuple[tuple[datetime, datetime], ...],
    ) -> Piece:
        inside = tuple(entry for entry in files if self._overlaps(entry, spans))
        return Piece(table, inside, spans)

    def _overlaps(self, entry: FileEntry, spans: tuple[tuple[datetime, datetime], ...]) -> bool:
        if self._tenant is not None and entry.tenant != self._tenant:
            return False
        return any(
            entry.time_min < time_to_us(end) and entry.time_max >= time_to_us(start)
            for start, end in spans
        )

    def _live(
        self, table: str, spans: tuple[tuple[datetime, datetime], ...]
    ) -> Sequence[FileEntry]:
        snapshot = self._snapshot(table)
        if snapshot is None:
            return ()
        first, last = min(s for s, _ in spans), max(e for _, e in spans)
        return snapshot.select(self._tenant, time_to_us(first), time_to_us(last))

    def _uncounted(self, table: str, finer: str) -> Sequence[FileEntry]:
        """Files of the finer table that came after what the table has counted."""
        snapshot, source = self._snapshot(table), self._snapshot(finer)
        if source is None:
            return ()
        counted = None if snapshot is None else snapshot.transaction(table)
        # up to the snapshot and no further: what is newer is not in the finer pieces either
        versions = source.version - (-1 if counted is None else counted)
        if versions <= 0:
            return ()
        try:
            changes = self._known.get(
                (finer, counted, source.version),
                lambda: self._lake.table(finer).changes(
                    counted, versions_max=versions, rows_max=PENDING_ROWS_MAX
                ),
            )
        except VersionsGone:
            return ()
        return () if changes.rows >= PENDING_ROWS_MAX else changes.files

    def left_out(self, time_range: TimeRange) -> list[tuple[datetime, datetime]]:
        """Hours of the range with requests that no usage answer holds yet, neighbours together:
        the rollups have not counted them, and they are too many to be added by every question."""
        counts = self._grain.table(self._grain.tiers[-2])  # the finest rollup
        self._look([counts])
        raw = self._snapshot(RAW)
        if raw is None or self._uncounted(counts, RAW):
            return []
        counted = self._snapshot(counts)
        done = None if counted is None else counted.transaction(counts)
        versions = raw.version - (-1 if done is None else done)
        if versions <= 0:
            return []
        try:
            files = self._lake.table(RAW).changes(done, versions_max=versions).files
        except VersionsGone:  # a rollup that is new to this lake
            files = tuple(self._live(RAW, ((time_range.start, time_range.end),)))
        span = ((time_range.start, time_range.end),)
        hours = sorted({f.partition[1:] for f in files if f.rows and self._overlaps(f, span)})
        spans: list[tuple[datetime, datetime]] = []
        for day, hour in hours:
            first, last = hour_bounds_us(day, hour)
            start, end = us_to_time(first), us_to_time(last + 1)
            if spans and spans[-1][1] == start:
                start = spans.pop()[0]
            spans.append((start, end))
        return spans

    def _snapshot(self, table: str) -> Snapshot | None:
        if table not in self._snapshots:
            found = self._lake.existing(table)
            self._snapshots[table] = None if found is None else found.snapshot()
        return self._snapshots[table]
