"""Bodies that are acknowledged and cannot become rows: kept as files beside the log, never lost."""

from __future__ import annotations

from pathlib import Path

from collector.backlog import Entry
from collector.errors import CollectorError
from collector.limits import QUARANTINE_FILES_MAX
from collector.wal_recovery import QUARANTINE
from storage.files import replace_durably


class QuarantineFull(CollectorError):
    """There is no place to put a body aside, so its batch waits."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder} holds {QUARANTINE_FILES_MAX} files already: look at them, send them again "
            "or keep them elsewhere, and remove them."
        )


def keep_body(log_folder: Path, entry: Entry) -> Path:
    """Write the body as it was before compression; durable on return, safe to repeat.

    Raises QuarantineFull and OSError; the log keeps the body then.
    """
    payload = entry.payload
    path = log_folder / QUARANTINE / f"{entry.sequence}-{payload.format}.{payload.content}"
    if not path.exists() and _count(path.parent) >= QUARANTINE_FILES_MAX:
        raise QuarantineFull(path.parent)
    replace_durably(path, payload.body)
    return path


def _count(folder: Path) -> int:
    return len(list(folder.iterdir())) if folder.is_dir() else 0
