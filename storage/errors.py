"""Everything storage can raise.

StorageError
├── LakeError                 a table could not be written or read
│   ├── UnknownTable          no such table in `schemas.TABLES`
│   ├── InvalidRows           the rows do not fit the table; the caller's mistake
│   ├── LakeConflict          another writer with the same app_id, or a rewrite of the same files
│   ├── CommitUncertain       the commit may be visible, but the disk or store did not confirm it
│   ├── LakeTooNew            written by a newer Gatelens
│   ├── LakeUnfinished        a restore into it was cut short
│   ├── VersionsGone          the log no longer reaches back to the asked version
│   ├── StoreUnavailable      the object store did not do what was asked (an OSError, too); retry
│   └── LakeDamaged           a log or data file cannot be read
├── StateTooNew               the state store was written by a newer Gatelens
├── DiskLow                   refused before the disk is full; retry later
├── CatalogError              catalog.yaml is wrong
├── BackupError               a backup or restore could not be completed or verified
└── SqlError                  an analyst's query
    ├── SqlRefused            not allowed, or cannot be parsed; do not retry
    ├── SqlFailed             the engine said no
    ├── SqlTimeout            over its deadline or memory; killed
    ├── SqlBusy               too many queries at once; retry later
    └── SqlCancelled          the asker went away
"""

from __future__ import annotations


class StorageError(Exception):
    """Base. `hint` is one sentence that says what to do; '' where there is nothing to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message} {hint}" if hint else message)
        self.hint = hint


class LakeError(StorageError):
    """Base of everything about tables."""


class UnknownTable(LakeError):
    def __init__(self, table: str) -> None:
        super().__init__(f"There is no table {table!r}.", hint="See `gatelens sql --schema`.")
        self.table = table


class InvalidRows(LakeError):
    def __init__(self, table: str, reason: str) -> None:
        super().__init__(f"Rows do not fit table {table!r}: {reason}.")
        self.table = table
        self.reason = reason


class LakeConflict(LakeError):
    """Nothing was committed. With the same app_id in two processes: stop one of them."""

    def __init__(self, table: str, reason: str) -> None:
        super().__init__(f"Commit to {table!r} refused: {reason}.")
        self.table = table
        self.reason = reason


class CommitUncertain(LakeError):
    """Appending the same app_version again is safe and tells whether it stands."""

    def __init__(self, table: str, version: int, reason: str) -> None:
        super().__init__(
            f"Version {version} of {table!r} was written, but that is not confirmed: {reason}.",
            hint="Look at the disk or the object store; then simply retry.",
        )
        self.version = version


class LakeTooNew(LakeError):
    def __init__(self, location: str, found: int, known: int) -> None:
        super().__init__(
            f"The lake at {location} has schema version {found}; this Gatelens knows {known}.",
            hint="Upgrade Gatelens, or point it at another data folder.",
        )
        self.found = found
        self.known = known


class LakeUnfinished(LakeError):
    """Part of a backup: what is there may be an older state of it, or lack tables."""

    def __init__(self, location: str) -> None:
        super().__init__(
            f"A restore into {location} was cut short.",
            hint="Run `gatelens restore` again with the same backup; it begins anew.",
        )


class VersionsGone(LakeError):
    def __init__(self, table: str, asked: int, oldest: int) -> None:
        super().__init__(
            f"The log of {table!r} starts at version {oldest}; changes after {asked} are gone.",
            hint="Recompute from the table itself instead of from its changes.",
        )
        self.table = table
        self.asked = asked
        self.oldest = oldest


class StoreUnavailable(LakeError, OSError):
    """The object store refused, failed or could not be reached. Never holds a credential."""

    def __init__(self, verb: str, path: str, reason: str) -> None:
        super().__init__(
            f"The object store did not {verb} {path}: {reason}.",
            hint="Look at AWS_ENDPOINT_URL, AWS_REGION and the credentials in the environment.",
        )
        self.path = path


class LakeDamaged(LakeError):
    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} cannot be read: {reason}.", hint="Run `gatelens doctor`.")
        self.path = path
        self.reason = reason


class StateTooNew(StorageError):
    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"The state store has version {found}; this Gatelens knows {known}.",
            hint="Upgrade Gatelens, or point it at another data folder or GATELENS_STATE_URL.",
        )
        self.found = found
        self.known = known


class DiskLow(StorageError):
    def __init__(self, path: str, free_bytes: int, needed_bytes: int) -> None:
        super().__init__(
            f"Only {free_bytes} bytes are free at {path}; {needed_bytes} are kept in reserve.",
            hint="Free some space or shorten the retention; intake resumes by itself.",
        )
        self.free_bytes = free_bytes
        self.needed_bytes = needed_bytes


class CatalogError(StorageError):
    """The message names the file and the field."""


class BackupError(StorageError):
    """The message names the file."""


class SqlError(StorageError):
    """One sentence for the analyst. `line` and `column` count from 1; None = unknown."""

    def __init__(
        self, message: str, *, line: int | None = None, column: int | None = None, hint: str = ""
    ) -> None:
        where = f" (line {line}, column {column})" if line is not None else ""
        super().__init__(f"{message}{where}", hint=hint)
        self.line = line
        self.column = column


class SqlRefused(SqlError):
    """Not an allowed query; nothing was run."""


class SqlFailed(SqlError):
    """The engine could not run it: unknown column, type error, ..."""


class SqlTimeout(SqlError):
    """Over its deadline or its memory; the worker was killed."""


class SqlBusy(SqlError):
    """All workers are taken and the queue is full."""


class SqlCancelled(SqlError):
    """Cancelled by the asker; the worker was killed."""
