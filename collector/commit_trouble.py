"""Commits that fail in a row: counted, logged, and told to whoever asks how the collector is."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from collector.backlog import Entry
from collector.limits import COMMIT_FAILURES_TOLD
from collector.telemetry import Telemetry
from storage.errors import InvalidRows, StorageError
from storage.stuck_commit import StuckCommit, clear_stuck, write_stuck

log = structlog.get_logger(__name__)


def is_of_rows(error: Exception) -> bool:
    """Whether other rows may fare better: not the disk, the store, memory or the table."""
    if isinstance(error, InvalidRows):
        return True
    foreign = type(error).__module__.partition(".")[0]
    return foreign != "deltalake" and not isinstance(error, OSError | MemoryError | StorageError)


class CommitTrouble:
    """What is known of the failures since the last success."""

    def __init__(
        self, folder: Path, telemetry: Telemetry, clock: Callable[[], float] = time.time
    ) -> None:
        """`folder`: of the log. `clock`: epoch seconds."""
        self._folder = folder
        self._telemetry = telemetry
        self._clock = clock
        self._stuck: StuckCommit | None = None
        clear_stuck(folder)  # of an earlier run; what is stuck still will fail again

    @property
    def failures(self) -> int:
        return self._stuck.failures if self._stuck else 0

    @property
    def lasting(self) -> bool:
        """More than a disk's hiccup."""
        return self.failures >= COMMIT_FAILURES_TOLD

    def failed(self, error: Exception, entry: Entry, requests: int, retry_in_s: float) -> None:
        """`entry`: the oldest that waits. `requests`: all that do."""
        now = self._clock()
        self._stuck = StuckCommit(
            since=self._stuck.since if self._stuck else now,
            oldest=entry.payload.received_unix_nano / 1e9,
            failures=self.failures + 1,
            requests=requests,
            error=f"{type(error).__name__}: {error}"[:500],
        )
        self._telemetry.commit_failures.inc()
        self._telemetry.commit_failures_in_a_row.set(self.failures)
        # WARN: nothing is lost by it. ERROR: somebody should look.
        (log.error if self.lasting else log.warning)(
            "commit_failed_will_retry",
            first=entry.sequence,
            requests=requests,
            failures=self.failures,
            retry_in_s=round(retry_in_s, 2),
            error=self._stuck.error,
        )
        if self.lasting:
            try:
                write_stuck(self._folder, self._stuck)
            except OSError as err:  # a full disk is the usual reason for all of this
                log.warning("stuck_file_not_written", error=str(err))

    def over(self) -> None:
        """A commit worked."""
        if self._stuck is None:
            return
        log.info("commits_work_again", failures=self.failures)
        self._stuck = None
        self._telemetry.commit_failures_in_a_row.set(0)
        try:
            clear_stuck(self._folder)
        except OSError as err:
            log.warning("stuck_file_not_removed", error=str(err))

    def sentence(self) -> str:
        """What is wrong; '' = nothing worth telling."""
        stuck = self._stuck
        if stuck is None or not self.lasting:
            return ""
        since = datetime.fromtimestamp(stuck.since, UTC)
        return (
            f"Nothing has reached the lake since {since:%Y-%m-%d %H:%M:%S} UTC: {stuck.requests} "
            f"acknowledged requests wait in the write-ahead log, {stuck.failures} attempts failed, "
            f"the last with {stuck.error}"
        )
