"""The thread that carries acknowledged records into the lake, exactly once.

A batch is the sequences a..b of the log. Each table of it is one Delta commit that carries the
application transaction ("<wal id>/<table>", b). A crash between two tables leaves some with b and
some without; the next start replays from the log:

    for each table: a batch whose last sequence is <= the table's recorded version is not written
    batches are cut at every recorded version, so none of them straddles one: either all of a
    batch's rows are in a table or none are

A table without rows in a batch gets no commit; its recorded version stays behind, which is
harmless, because decoding the same bytes again gives no rows for it again.

The log is trimmed only after every table of a batch is committed. When the lake cannot be written
the batch is kept and tried again, with growing pauses, for as long as it takes; meanwhile the log
fills up and the doors refuse with a retryable answer.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

from collector import fault_points
from collector.backlog import Backlog, Entry
from collector.batch import Batch, decode_batch
from collector.intake import Admitted
from collector.limits import QUARANTINE_FILES_MAX
from collector.naming import Naming
from collector.payload import Format
from collector.privacy_rules import PrivacyRules
from collector.settings import CollectorSettings
from collector.telemetry import Telemetry
from collector.wal import Wal
from collector.wal_recovery import QUARANTINE
from storage.lake import Lake
from storage.schemas import TABLES

log = structlog.get_logger(__name__)

RETRY_S_MIN = 0.25
RETRY_S_MAX = 10.0

LAST_TABLES = ("rejects",)
"""Written after the others: what people look at first gets there first."""


def recorded_versions(lake: Lake, wal_id: str) -> dict[str, int]:
    """Table -> last sequence of this log it has; tables never written by it are left out."""
    found: dict[str, int] = {}
    for name in TABLES:
        table = lake.existing(name)
        version = table.app_version(f"{wal_id}/{name}") if table is not None else None
        if version is not None:
            found[name] = version
    return found


class Batcher:
    """Owns the batcher thread."""

    def __init__(
        self,
        *,
        settings: CollectorSettings,
        lake: Lake,
        wal: Wal[Admitted],
        backlog: Backlog,
        naming: Naming,
        formats: Mapping[str, Format],
        telemetry: Telemetry,
        recorded: Mapping[str, int],
        replay_until: int = 0,
        privacy: PrivacyRules | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`recorded`: result of `recorded_versions`, read before the log took new records.
        `replay_until`: last sequence of earlier runs, for the counters only."""
        self._settings = settings
        self._lake = lake
        self._wal = wal
        self._backlog = backlog
        self._naming = naming
        self._formats = formats
        self._telemetry = telemetry
        self._recorded = dict(recorded)
        self._replay_until = replay_until
        self._privacy = privacy or PrivacyRules()
        self._clock_ns = clock_ns
        self._stop = threading.Event()
        self._carried = backlog.next_sequence - 1
        """All sequences up to here are in the lake, or lost before they were read back."""
        self._oldest: float | None = None
        self._committed = 0
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """Commit what is acknowledged and stop. False: not all of it made it in time; the rest is
        in the log and comes with the next start. Call it when nothing is appended any more."""
        self._backlog.close()
        self._thread.join(timeout_s)
        self._stop.set()
        finished = not self._thread.is_alive()
        if not finished:
            self._thread.join(1.0)
        return finished and self.lag == 0

    @property
    def committed(self) -> int:
        """Last sequence that is in the lake with all its tables, of those taken in this run."""
        return self._committed

    @property
    def lag(self) -> int:
        """Acknowledged requests that are not in the lake yet."""
        return max(0, self._backlog.durable - self._carried)

    def lag_s(self) -> float:
        """Age of the oldest of them; 0 = none."""
        oldest = self._oldest or self._backlog.oldest()
        return 0.0 if oldest is None else max(0.0, time.monotonic() - oldest)

    # -- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        settings = self._settings
        rows, size = settings.rows_per_commit_max, settings.bytes_per_commit_max
        open_ = True
        while not self._stop.is_set():
            if open_:
                open_ = self._backlog.wait_for_batch(settings.commit_interval_s, rows, size)
            entries = self._backlog.take(rows, size, self._next_cut())
            if entries:
                self._oldest = entries[0].queued_at
                if not self._carry(entries):
                    return
                self._oldest = None
            self._carried = self._backlog.next_sequence - 1
            if not (entries or open_ or self._backlog.behind):
                return

    def _next_cut(self) -> int | None:
        """The lowest recorded version not passed yet: no batch may straddle it."""
        ahead = [v for v in self._recorded.values() if v >= self._backlog.next_sequence]
        return min(ahead, default=None)

    def _carry(self, entries: Sequence[Entry]) -> bool:
        """Decode and commit one batch, however long it takes. False: given up, by `close`."""
        started = time.monotonic()
        batch: Batch | None = None
        pause_s = RETRY_S_MIN
        while not self._stop.is_set():
            try:
                if batch is None:
                    batch = decode_batch(
                        entries, self._formats, self._naming, self._keep_poison, self._privacy
                    )
                self._commit(batch)
                break
            except Exception as err:
                self._telemetry.commit_failures.inc()
                self._backlog.set_stalled(True)
                log.warning(
                    "commit_failed_will_retry",
                    first=entries[0].sequence,
                    last=entries[-1].sequence,
                    retry_in_s=round(pause_s, 2),
                    error=f"{type(err).__name__}: {err}"[:500],
                )
                self._stop.wait(pause_s * random.uniform(0.8, 1.2))
                pause_s = min(pause_s * 2, RETRY_S_MAX)
        else:
            return False
        self._backlog.set_stalled(False)
        self._telemetry.commit_s.observe(time.monotonic() - started)
        self._count(batch, entries)
        self._committed = batch.last
        self._trim(batch.last)
        return True

    def _commit(self, batch: Batch) -> None:
        names = [n for n in batch.tables if n not in LAST_TABLES]
        names += [n for n in LAST_TABLES if n in batch.tables]
        for name in names:
            if self._recorded.get(name, -1) >= batch.last:
                continue
            fault_points.hit("batch.append")
            self._lake.table(name).append(
                batch.rows(name), app_id=f"{self._wal.id}/{name}", app_version=batch.last
            )
            self._recorded[name] = batch.last
            fault_points.hit("batch.appended")

    def _count(self, batch: Batch, entries: Sequence[Entry]) -> None:
        telemetry = self._telemetry
        telemetry.batch_records.observe(batch.records)
        for counter, counts in (
            (telemetry.records_stored, batch.stored),
            (telemetry.records_rejected, batch.rejected),
            (telemetry.records_poisoned, batch.poisoned),
        ):
            for name, count in counts.items():
                counter.labels(name).inc(count)
        for entry in entries:
            if entry.sequence > self._replay_until:
                break
            telemetry.records_replayed.labels(entry.payload.format).inc(entry.records)

    def _trim(self, sequence: int) -> None:
        window_ns = self._settings.dedupe_window_s * 1_000_000_000
        try:
            self._wal.trim(sequence, forget_before_ns=self._clock_ns() - window_ns)
        except OSError as err:
            # The lake has everything; the files are deleted with the next batch.
            log.warning("wal_trim_failed", error=str(err))

    def _keep_poison(self, entry: Entry, err: Exception) -> None:
        """Put the body of an undecodable entry next to the log, for a bug report."""
        folder: Path = self._wal.folder / QUARANTINE
        folder.mkdir(exist_ok=True)
        if len(list(folder.iterdir())) >= QUARANTINE_FILES_MAX:
            return
        payload = entry.payload
        (folder / f"{entry.sequence}-{payload.format}.{payload.content}").write_bytes(payload.body)
