"""What `gatelens doctor` says about when collectors took data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError

from analytics.outages import NOTHING_KNOWN, CollectorTimes, Outages
from analytics.timerange import TimeRange
from storage.settings import StorageSettings
from storage.state import existing_state
from storage.state_collectors import collector_stretches

LOOK_BACK = timedelta(days=7)
OUTAGES_TOLD_MAX = 20
"""Lines about outages, the newest of them. Beyond: only counted."""


def collector_lines(storage: StorageSettings, *, now: datetime | None = None) -> Iterator[str]:
    """How much of the last days some collector took data in, and each time that none did."""
    end = now or datetime.now(UTC)
    week = TimeRange(end - LOOK_BACK, end)
    try:
        known = _outages(storage, week, end)
    except SQLAlchemyError as err:
        yield f"collectors: the state store cannot be read: {(str(err).splitlines() or [''])[0]}"
        return
    share = known.share_taken(week, end)
    if known.known_from is None or share is None:
        yield "collectors: it is not kept down yet when they took data"
        return
    count = len(known.spans)
    outages = "1 outage" if count == 1 else f"{count} outages"
    told = f"{outages}, {_length(known.seconds)} in all" if count else "no outage"
    since = max(known.known_from, week.start)
    # Rounded down: what is not all of the time must not look like it.
    yield (
        f"collectors: took data {int(share * 10_000) / 100:g} % of the time since "
        f"{since:%Y-%m-%d %H:%M} UTC: {told}"
    )
    if known.ongoing:
        yield "collectors: none takes data now"
    for start, until in known.spans[-OUTAGES_TOLD_MAX:]:
        yield (
            f"collectors: none took data {start:%Y-%m-%d %H:%M:%S} to {until:%Y-%m-%d %H:%M:%S}"
            f" UTC ({_length((until - start).total_seconds())})"
        )


def _outages(storage: StorageSettings, week: TimeRange, now: datetime) -> Outages:
    state = existing_state(storage)
    if state is None:
        return NOTHING_KNOWN
    try:
        if not inspect(state).has_table(collector_stretches.name):
            return NOTHING_KNOWN
        return CollectorTimes(state).outages(week, now)
    finally:
        state.dispose()


def _length(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
