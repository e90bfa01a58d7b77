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
    """Folder of the tables, or s3://bucket/prefix; '' = `<data_dir>/lake`."""

    lake_cache_mb: int = 10_240
    """Megabytes of local copies kept of a lake in an object store; a query may need no more."""

    state_url: str = ""
    """SQLAlchemy URL of the small state; '' = SQLite in `<data_dir>/state.sqlite`."""

    retention_raw_days: int = 30
    """Days to keep requests, spans, logs, metrics and rejects; 0 = for ever."""

    retention_minute_days: int = 7
    """Days to keep per-minute rollups; 0 = for ever."""

    retention_hour_days: int = 90
    """Days to keep per-hour rollups; 0 = for ever."""

    retention_day_days: int = 1827
    """Days to keep per-day rollups and alert events; 0 = for ever."""

    retention_tenant_days: tuple[tuple[str, int], ...] = ()
    """(tenant, days) that replace retention_raw_days for a tenant."""

    disk_reserve_mb: int = 512
    """Megabytes kept free on the data disk: below it, intake is refused until there is room."""

    @property
    def resolved_lake_url(self) -> str:
        return self.lake_url or str(self.data_dir / "lake")

    @property
    def resolved_state_url(self) -> str:
        return self.state_url or f"sqlite:///{self.data_dir / 'state.sqlite'}"
