"""Deployments, read from the versions that spans name: no deploy system has to be connected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from analytics.sql_files import load_sql
from analytics.timerange import TimeRange
from storage.session import ReadSession

SETTLING = timedelta(minutes=1)
"""A version first seen this soon after another began beside it: both ran before the range."""


@dataclass(frozen=True, slots=True)
class ServiceVersion:
    """One version of one service in a range."""

    service: str
    version: str
    first_seen: datetime
    last_seen: datetime
    spans: int
    errors: int
    deployed: bool
    """It took over within the range: an older version of the service was there before it."""

    @property
    def error_rate(self) -> float | None:
        return self.errors / self.spans if self.spans else None


def service_versions(
    session: ReadSession, time_range: TimeRange, services: Sequence[str] | None = None
) -> list[ServiceVersion]:
    """Versions seen in the range, oldest first. `services` None = all; [] = none.

    A roll-back to a version seen earlier in the range is no deployment of its own.
    """
    if services is not None and not services:
        return []
    rows = session.query(
        load_sql("service_versions"),
        {
            "start": time_range.start,
            "end": time_range.end,
            "services": None if services is None else list(services),
        },
        start=time_range.start,
        end=time_range.end,
    ).to_pylist()
    begun: dict[str, datetime] = {}
    for row in rows:
        begun.setdefault(row["service"], row["first_seen"])
    return [
        ServiceVersion(**row, deployed=row["first_seen"] - begun[row["service"]] > SETTLING)
        for row in rows
    ]
