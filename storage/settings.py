"""What storage needs to know. Read by `gatelens/` from file, environment and flags; handed down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where data lives. Frozen: made once per process."""

    data_dir: Path = Path("gatelens-data")
    """Folder of everything: lake, state, write-ahead log."""

    lake_url: str = ""
    """Where the tables are; '' = `<data_dir>/lake`. A folder or `s3://bucket/prefix`."""

    state_url: str = ""
    """SQLAlchemy URL of the small state; '' = SQLite in `<data_dir>/state.sqlite`."""

    @property
    def resolved_lake_url(self) -> str:
        return self.lake_url or str(self.data_dir / "lake")

    @property
    def resolved_state_url(self) -> str:
        return self.state_url or f"sqlite:///{self.data_dir / 'state.sqlite'}"
