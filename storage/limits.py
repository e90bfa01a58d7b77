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
