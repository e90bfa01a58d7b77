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
fills up and the doors refuse with a retryable answer (`commit_trouble.py` tells of it).

A failure that may be the fault of single rows is another matter, or one request would keep all
others back. After a few attempts the batch is committed in halves, and those in halves, in order:

    a..b fails  ->  a..m, m+1..b     a table that has b already has both
    one request fails by itself      the tables that took other rows of it keep them; its body goes
                                     to the quarantine, and a row of `rejects` says so
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import pyarrow as pa
import structlog

from collector import fault_points
from collector.backlog import Backlog, Entry
from collector.batch import UNWRITABLE, Batch, decode_batch, set_aside
from collector.commit_trouble import CommitTrouble, is_of_rows
from collector.intake import Admitted
from collector.naming import Naming
from collector.payload import Format
from collector.privacy_rules import PrivacyRules
from collector.quarantine import keep_body
from collector.settings import CollectorSettings
from collector.telemetry import Telemetry
from collector.wal import Wal
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
        self._trouble = CommitTrouble(wal.folder, telemetry, lambda: clock_ns() / 1e9)
        self._unwritable: dict[int, Exception] = {}
        """Sequence -> why a table did not take its rows, until all of it is told in `rejects`."""
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

    def trouble(self) -> str:
        """Why nothing has reached the lake for a while; '' = it does."""
        return self._trouble.sentence()

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
        runs: deque[Sequence[Entry]] = deque([entries])
        batch: Batch | None = None
        alone = False
        pause_s = RETRY_S_MIN
        while runs and not self._stop.is_set():
            run = runs[0]
            try:
                if batch is None:
                    batch = decode_batch(
                        run, self._formats, self._naming, self._keep_poison, self._privacy
                    )
                batch = self._commit_alone(batch, run[0]) if alone else self._commit(batch)
            except Exception as err:
                self._backlog.set_stalled(True)
                waiting = self._backlog.behind + sum(map(len, runs))
                self._trouble.failed(err, run[0], waiting, pause_s)
                if self._trouble.lasting and is_of_rows(err) and not alone:
                    alone = len(run) == 1
                    if not alone:
                        batch = None
                        runs.popleft()
                        runs.extendleft((run[len(run) // 2 :], run[: len(run) // 2]))
                    continue
                self._stop.wait(pause_s * random.uniform(0.8, 1.2))
                pause_s = min(pause_s * 2, RETRY_S_MAX)
                continue
            self._count(batch, run)
            self._committed = batch.last
            runs.popleft()
            batch, alone = None, False
        if runs:
            return False
        self._trouble.over()
        self._backlog.set_stalled(False)
        self._telemetry.commit_s.observe(time.monotonic() - started)
        self._trim(self._committed)
        return True

    def _commit(self, batch: Batch) -> Batch:
        for name in _in_order(batch):
            self._append(name, batch.last, partial(batch.rows, name))
        return batch

    def _commit_alone(self, batch: Batch, entry: Entry) -> Batch:
        """Commit one entry that could not be written by itself: the tables that do not take its
        rows get none of them, its body goes to the quarantine. What to count instead of `batch`."""
        for name in _in_order(batch):
            try:
                self._append(name, batch.last, partial(batch.rows, name))
            except Exception as err:
                if not is_of_rows(err):
                    raise
                self._keep_poison(entry)
                # A table that takes nothing at all is no fault of these rows: this raises then.
                self._append(name, batch.last, TABLES[name].arrow_schema.empty_table)
                # Remembered over attempts: the next one finds this table done.
                self._unwritable.setdefault(batch.last, err)
        failed = self._unwritable.get(batch.last)
        if failed is None:
            return batch
        aside = Batch(batch.first, batch.last, records=batch.records)
        set_aside(aside, entry, failed, self._keep_poison, UNWRITABLE)
        self._commit(aside)
        self._unwritable.clear()
        return aside

    def _append(self, name: str, last: int, rows: Callable[[], pa.Table]) -> None:
        """Unless the table has them."""
        if self._recorded.get(name, -1) >= last:
            return
        fault_points.hit("batch.append")
        self._lake.table(name).append(rows(), app_id=f"{self._wal.id}/{name}", app_version=last)
        self._recorded[name] = last
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

    def _keep_poison(self, entry: Entry) -> None:
        keep_body(self._wal.folder, entry)


def _in_order(batch: Batch) -> list[str]:
    return sorted(batch.tables, key=lambda name: name in LAST_TABLES)
