"""When no collector took data: between the stretches that collectors keep down in the state store.

What was before the first stretch of all is not known, and nothing is claimed of it. Several
collectors count as one: as long as one of them takes data, there is no outage. (Each may serve
other senders; a gateway that goes silent while others send is told by completeness.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, func, select

from analytics.limits import OUTAGES_MAX
from analytics.timerange import TimeRange
from storage.state_collectors import BEAT_S, LATE_S, collector_stretches

Span = tuple[datetime, datetime]

SHORTEST_S = 2 * BEAT_S
"""Gaps up to this are not told: stretches are not known any better, see collector/heartbeat.py."""


@dataclass(frozen=True, slots=True)
class Outages:
    """Of one range."""

    known_from: datetime | None = None
    """Since when it is kept down when collectors take data; None = never was: nothing is known."""
    spans: tuple[Span, ...] = ()
    """In which no collector took data, within the range, oldest first; none overlap."""
    ongoing: bool = False
    """Whether no collector takes data now, whatever the range."""

    @property
    def seconds(self) -> float:
        return sum((end - start).total_seconds() for start, end in self.spans)

    def share_taken(self, time_range: TimeRange, now: datetime) -> float | None:
        """Share of the known part of the range, up to now, in which a collector took data, 0..1;
        None = nothing of it is known."""
        if self.known_from is None:
            return None
        start = max(time_range.start, self.known_from)
        known_s = (min(time_range.end, now) - start).total_seconds()
        return max(0.0, 1.0 - self.seconds / known_s) if known_s > 0 else None


NOTHING_KNOWN = Outages()


class CollectorTimes:
    """Asks the state store: a few milliseconds, tens for a thousand stretches in the range."""

    def __init__(self, state: Engine) -> None:
        self._state = state

    def outages(self, time_range: TimeRange, now: datetime) -> Outages:
        """Raises SQLAlchemyError. Of more than OUTAGES_MAX outages the shortest are left out."""
        table = collector_stretches
        since, until = table.c.since, table.c.until
        start, end = time_range.start.timestamp(), time_range.end.timestamp()
        begun = since <= now.timestamp()  # others were written by a clock that was wrong
        around = select(since, until).where(until >= start, since <= end, begun)
        # The neighbours: an outage may begin before the range, or end after it.
        edges = (
            select(func.min(since)).where(begun),
            select(func.max(until)).where(begun),
            select(func.max(until)).where(until < start, begun),
            select(func.min(since)).where(since > end, begun),
        )
        one_row = select(*(edge.scalar_subquery() for edge in edges))
        with self._state.connect() as connection:
            first, last, before, after = connection.execute(one_row).one()
            if first is None:
                return NOTHING_KNOWN
            rows = [(row.since, row.until) for row in connection.execute(around)]
        rows += [(at, at) for at in (before, after) if at is not None]
        found = outages_between(rows, start, end, now.timestamp())
        if len(found) > OUTAGES_MAX:
            found = sorted(sorted(found, key=lambda o: o[0] - o[1])[:OUTAGES_MAX])
        return Outages(
            _time(first),
            tuple((_time(a), _time(b)) for a, b in found),
            ongoing=now.timestamp() - last > LATE_S,
        )


def outages_between(
    stretches: Iterable[tuple[float, float]], start: float, end: float, now: float
) -> list[tuple[float, float]]:
    """Parts of [start, end) between the given stretches (since, until), and after the last of them
    up to `now`. In any order; they may overlap. Epoch seconds.

    A stretch that ended less than LATE_S ago goes on: its next beat is still to come.
    """
    found: list[tuple[float, float]] = []
    reached: float | None = None
    for since, until in sorted(stretches):
        if reached is not None and since - reached > SHORTEST_S:
            found.append((reached, since))
        reached = until if reached is None else max(reached, until)
    if reached is not None and now - reached > LATE_S:
        found.append((reached, now))
    inside = [(max(a, start), min(b, end)) for a, b in found]
    return [(a, b) for a, b in inside if a < b]


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
