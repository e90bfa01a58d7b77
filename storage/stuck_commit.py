"""What a collector acknowledged and cannot get into the lake: a small file beside its log.

The collector writes it after a few failures in a row and removes it with the next success. Alert
rules, `doctor` and the Operate screen read it; it outlives the collector, as what is stuck does.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from storage.files import replace_durably

STUCK_FILE = "stuck.json"


@dataclass(frozen=True, slots=True)
class StuckCommit:
    """The batch that is tried again and again. Times are epoch seconds."""

    since: float
    """When it failed first."""
    oldest: float
    """When the oldest request in it was received."""
    failures: int
    """In a row."""
    requests: int
    """Acknowledged and not in the lake, those after the batch included."""
    error: str
    """Of the last attempt."""


def write_stuck(folder: Path, stuck: StuckCommit) -> None:
    """Raises OSError."""
    replace_durably(folder / STUCK_FILE, json.dumps(asdict(stuck)).encode())


def clear_stuck(folder: Path) -> None:
    """Raises OSError; no file is no error."""
    (folder / STUCK_FILE).unlink(missing_ok=True)


def read_stuck(folder: Path) -> StuckCommit | None:
    """`folder`: that of the log. None = nothing is stuck; what cannot be read says nothing."""
    try:
        return StuckCommit(**json.loads((folder / STUCK_FILE).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
