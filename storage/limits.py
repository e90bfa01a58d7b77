"""Every limit of storage: value, unit, what it bounds, what happens beyond it."""

from __future__ import annotations

TENANT_CHARS_MAX = 63
"""Characters of a tenant's name, which becomes part of a path. Longer: InvalidRows."""

PARTITIONS_PER_COMMIT_MAX = 10_000
"""Hour partitions one append may touch, against hostile times that would make a million folders.
Beyond: InvalidRows. A year of hours is 8,784."""

COMMIT_ATTEMPTS_MAX = 200
"""Versions a commit may lose to other writers before it gives up. Beyond: LakeConflict."""

CHECKPOINT_INTERVAL = 100
"""Commits between two checkpoints of a table's log; bounds what opening a table must read."""

ROW_GROUP_ROWS = 128 * 1024
"""Rows per Parquet row group: small enough for pruning, large enough to scan fast."""

SQL_CHARS_MAX = 64 * 1024
"""Length of an analyst's query, against slow parsing. Beyond: SqlRefused."""

SQL_ROWS_MAX = 100_000
"""Rows a query hands back. Beyond: cut, and marked as truncated."""

SQL_RESULT_BYTES_MAX = 256 * 1024 * 1024
"""Bytes of Arrow a query hands back. Beyond: cut, and marked as truncated."""

SQL_SECONDS_MAX = 30.0
"""Time a query may take, from its start in the worker. Beyond: SIGKILL and SqlTimeout."""

SQL_MEMORY_BYTES_MAX = 1024 * 1024 * 1024
"""Memory a worker may map on top of what it needs to start. Beyond: the query fails or the worker
dies; either way SqlTimeout or SqlFailed, and nothing else is touched."""

SQL_CONCURRENCY_MAX = 2
"""Queries of analysts that run at once. Beyond: they wait."""

SQL_WAITING_MAX = 16
"""Queries of analysts that may wait. Beyond: SqlBusy."""

SQL_WAIT_SECONDS_MAX = 10.0
"""How long a query waits for a worker. Beyond: SqlBusy."""

MERGE_ROWS_MAX = 1_000_000
"""Rows merged into one file: bounds the memory of compaction (about 0.5 kB a row). Beyond: several
files per hour."""

MERGE_BYTES_MAX = 256 * 1024 * 1024
"""Bytes on disk merged into one file; the second bound on compaction's memory."""

OPEN_HOUR_FILES = 16
"""Appended files of an hour that is still filling up before they are merged into one."""

MERGED_FILES = 8
"""Files of one size class in an hour before they are merged into a larger one. With OPEN_HOUR_FILES
this bounds the files of an hour to a few dozen and rewrites a row a few times at most."""

SEAL_AFTER_SECONDS = 300
"""An hour is sealed (sorted, bloom filters) when it ended this long ago and nothing was written to
it for LATE_QUIET_SECONDS."""

LATE_QUIET_SECONDS = 60
"""Late rows of a sealed hour are gathered until none came for this long, but no longer than
LATE_WAIT_SECONDS."""

LATE_WAIT_SECONDS = 600
"""Longest time late rows stay in small files."""

GRACE_SECONDS = 900
"""How long a file that no snapshot names any more stays on disk, for readers that still have it
open and for appends in progress. The longest query is SQL_SECONDS_MAX."""

LOG_KEEP_SECONDS = 1800
"""Commit files younger than this stay, for readers in the middle of opening a table."""

FILES_PER_COMMIT_MAX = 10_000
"""Files one retention commit removes; the rest follows in the next commit."""
