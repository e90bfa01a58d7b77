"""What questions return when the answer is not a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Overview:
    """The headline of a range. None = nothing was measured, which is not the same as zero."""

    requests: int
    errors: int
    """Requests that failed on the server side."""
    error_rate: float | None
    """errors / requests, 0..1; None without requests."""
    requests_per_s: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    consumers: int
    """Distinct named consumers."""
    apis: int
    previous: Overview | None = None
    """The same for the equal range just before; None inside `previous` itself."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """How much of a range has been measured and counted."""

    data_until: datetime | None
    """Time of the newest request stored in the range; None = no data."""
    counted_until: datetime | None
    """End of the newest minute the rollups hold in the range; None = no rollup."""
    requests_raw: int
    """Rows in `requests` over the range."""
    requests_counted: int
    """The same from the rollups; differs from `requests_raw` only while jobs catch up."""
    rows_late: int | None
    """Requests that arrived more than the late limit after their own time; None = not known."""
    rejects: int
    """Records refused in the range."""
    silent_gateways: tuple[str, ...] = ()
    """Gateways seen earlier in the range that sent nothing lately."""

    @property
    def complete(self) -> bool:
        """Whether the rollups hold every stored request of the range."""
        return self.requests_raw == self.requests_counted
