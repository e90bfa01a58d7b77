"""Gatelens, the command: settings, the CLI and the supervisor of the processes.

Owns: reading settings (file, environment, flags) and handing each room its own piece; starting,
watching and stopping the roles; the demo. Refuses: to decode, store, compute, decide or draw
anything itself: that is what the rooms below it are for. Open `cli.py` first, then `supervisor.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from storage.notebook import Notebook

__all__ = ["__version__", "connect"]

__version__ = "0.1.0"


def connect(
    data: str | Path | None = None,
    *,
    config: str | Path | None = None,
    tenant: str | None = "default",
    start: datetime | None = None,
    end: datetime | None = None,
) -> Notebook:
    """The lake for a notebook: `.sql(query)` gives a DuckDB relation, `.polars(query)` a frame,
    `.arrow(query)` a table; each of the rows as they are now.

    `data`: the data folder; None = as settings and environment say, GATELENS_LAKE_URL included.
    `tenant` None = all tenants. `start`, `end`: a stretch of time to keep to. Runs whether or not
    the servers do, and creates nothing. The SQL is not sandboxed: it is the owner's own.
    """
    from pathlib import Path

    from gatelens.settings import load_settings  # costs a second; only who connects pays it
    from storage.lake import Lake
    from storage.notebook import Notebook

    settings = load_settings(
        None if config is None else Path(config),
        {} if data is None else {"data_dir": Path(data)},
    )
    lake = Lake(settings.storage_settings, create=False)
    return Notebook(lake, tenant=tenant, start=start, end=end)
