"""What analytics needs to know. Read by `gatelens/` and handed down."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnalyticsSettings:
    """How often jobs run and how much they take at once. Frozen: made once per process."""

    minute_every_s: float = 10.0
    """Seconds between two looks for new requests to add to the minute rollups. Answers add what is
    not in the rollups yet themselves: shorter shows nothing sooner, it only makes more rows."""

    hour_every_s: float = 30.0
    """Seconds between two looks for new minutes to add to the hour rollups."""

    day_every_s: float = 60.0
    """Seconds between two looks for new hours to add to the day rollups."""

    calm_every_s: float = 300.0
    """Seconds between two looks at hours whose calls between services have to be counted again."""

    step_rows_max: int = 500_000
    """Rows a job takes in one step; a job that is behind catches up in steps of this size."""

    catch_up_s: float = 20.0
    """Seconds a job that is behind works in one go before it lets others have a turn."""

    duckdb_threads: int = 1
    """Threads of one job's query."""

    duckdb_memory_mb: int = 1024
    """Memory of one job's query, in MiB; beyond it DuckDB spills to disk."""

    lease_s: float = 15.0
    """Seconds after which another scheduler takes over from one that went silent."""

    retry_s_max: float = 300.0
    """Longest pause before a failing job is tried again; pauses double from its own interval."""

    history_runs_max: int = 2_000
    """Runs kept per job for `gatelens jobs history`; older ones are removed."""

    late_after_s: float = 300.0
    """A request counts as late when it is stored so many seconds after its own time."""
