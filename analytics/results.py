"""What questions return when the answer is not a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from analytics.outages import NOTHING_KNOWN, Outages


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
class SourceGap:
    """One gateway in one environment: when it sent, and its longest pause."""

    gateway: str | None
    environment: str | None
    first_seen: datetime
    """Start of its first minute in the range."""
    last_seen: datetime
    """End of its last minute in the range."""
    minutes_with_data: int
    longest_gap_s: float
    """Between two of its minutes, or from its last one to the newest request of all; 0 = none."""
    longest_gap_start: datetime
    silent: bool
    """Whether it sent nothing lately while others did."""


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
    """Requests stored more than 5 minutes after their own time; None = not known."""
    rejects: int
    """Records refused in the range."""
    silent_gateways: tuple[str, ...] = ()
    """Gateways seen earlier in the range that sent nothing lately."""
    rows_arrival_known: int = 0
    """Requests whose arrival is known: those in files not merged yet."""
    lateness_s_max: float | None = None
    rejects_by_reason: Mapping[str, int] = field(default_factory=dict)
    sources: tuple[SourceGap, ...] = ()
    """Every gateway of the range, the silent ones first."""
    uncounted: tuple[tuple[datetime, datetime], ...] = ()
    """Spans with stored requests that are in no answer yet, oldest first: only while jobs catch up
    with very many. What is drawn of them is not measured, and totals of the range are too low."""
    data_from: datetime | None = None
    """Where the tenant's data begins, in whatever table it is still kept: what was before it is not
    known, and so no zero. To the minute at best, to the day where only day tiers are left. None =
    nothing was ever stored."""
    outages: Outages = NOTHING_KNOWN
    """When no collector took data. What is drawn of such a time is not measured, unless requests of
    it came in another way: imported, or sent later."""

    @property
    def complete(self) -> bool:
        """Whether the rollups hold every stored request of the range."""
        return self.requests_raw == self.requests_counted
