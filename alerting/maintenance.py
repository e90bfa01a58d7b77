"""Maintenance windows: planned work during which matching alerts are judged and shown, not told.

Once (from, to) or recurring (days and hours in a time zone). Unlike a silence it is planned, has a
name, may come back every week, and may cover everything. What still fires when it ends is told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from alerting.errors import MaintenanceInvalid
from alerting.limits import MAINTENANCE_S_MAX
from alerting.matchers import Matcher, all_match, parse_matcher
from alerting.time_intervals import TimeInterval
from storage.audit import AuditEntry, append_audit
from storage.state import maintenance_windows


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """Times are epoch seconds, half-open; None = no bound on that side."""

    name: str
    matchers: tuple[Matcher, ...] = ()
    """() = every alert."""
    starts_at: float | None = None
    ends_at: float | None = None
    recurs: TimeInterval | None = None
    """None = the whole time between start and end."""
    author: str = ""
    reason: str = ""
    id: int = 0
    """0 = written in the channels file."""

    def runs_at(self, at: float) -> bool:
        if self.starts_at is not None and at < self.starts_at:
            return False
        if self.ends_at is not None and at >= self.ends_at:
            return False
        return self.recurs is None or self.recurs.contains(at)

    def covers(self, labels: Mapping[str, str], at: float) -> bool:
        return self.runs_at(at) and all_match(self.matchers, labels)


def add_maintenance(
    state: sa.Engine,
    name: str,
    matchers: Sequence[str],
    *,
    author: str,
    reason: str,
    now: float,
    starts_at: float,
    ends_at: float | None = None,
    recurs: TimeInterval | None = None,
    audit: AuditEntry | None = None,
) -> int:
    """Id of the new window; matchers as text (`api=orders`), none = everything.

    audit: written in the same transaction, here and below; None = nobody asks for a record.
    Raises MaintenanceInvalid with one sentence that says what to change.
    """
    if not name.strip() or not author.strip() or not reason.strip():
        raise MaintenanceInvalid("A maintenance window needs a name, an author and a reason.")
    if recurs is None and ends_at is None:
        raise MaintenanceInvalid("A window that does not recur needs an end.", "Give its end.")
    if ends_at is not None and ends_at <= max(starts_at, now):
        raise MaintenanceInvalid("The window would end before it starts.", "Give a later end.")
    if recurs is None and ends_at is not None and ends_at - starts_at > MAINTENANCE_S_MAX:
        raise MaintenanceInvalid("The window is longer than 30 days.", "Change the rules instead.")
    if recurs is not None and not (recurs.minutes or recurs.weekdays or recurs.days_of_month):
        raise MaintenanceInvalid("A recurring window would never end.", "Give its hours or days.")
    try:
        parsed = tuple(parse_matcher(text) for text in matchers)
    except ValueError as err:
        raise MaintenanceInvalid(f"{err}.") from err
    row = {
        "name": name.strip(),
        "matchers": json.dumps([[m.label, m.operator, m.value] for m in parsed]),
        "starts_at": starts_at,
        "ends_at": ends_at,
        "recurs": None if recurs is None else _encode(recurs),
        "author": author.strip(),
        "reason": reason.strip(),
        "created_at": now,
    }
    with state.begin() as connection:
        key = connection.execute(sa.insert(maintenance_windows).values(row)).inserted_primary_key
        if audit is not None:
            append_audit(connection, audit)
    assert key is not None  # one row was inserted
    return int(key[0])


def end_maintenance(
    state: sa.Engine, window_id: int, now: float, *, audit: AuditEntry | None = None
) -> bool:
    """End a window now; it stays on record. False when none of that id runs or will."""
    table = maintenance_windows
    open_ended = sa.or_(table.c.ends_at.is_(None), table.c.ends_at > now)
    with state.begin() as connection:
        update = sa.update(table).where(table.c.id == window_id, open_ended)
        done = connection.execute(update.values(ends_at=now)).rowcount > 0
        if done and audit is not None:
            append_audit(connection, audit)
        return done


def load_maintenance(connection: sa.Connection, now: float) -> list[MaintenanceWindow]:
    """Stored windows that run now or will."""
    table = maintenance_windows
    query = sa.select(table).where(sa.or_(table.c.ends_at.is_(None), table.c.ends_at > now))
    return [
        MaintenanceWindow(
            row["name"],
            tuple(Matcher(*parts) for parts in json.loads(row["matchers"])),
            row["starts_at"],
            row["ends_at"],
            None if row["recurs"] is None else _decode(row["name"], row["recurs"]),
            row["author"],
            row["reason"],
            row["id"],
        )
        for row in connection.execute(query.order_by(table.c.id)).mappings()
    ]


def _encode(interval: TimeInterval) -> str:
    return json.dumps(
        {
            "weekdays": sorted(interval.weekdays),
            "minutes": [list(span) for span in interval.minutes],
            "days_of_month": sorted(interval.days_of_month),
            "months": sorted(interval.months),
            "zone": interval.zone,
        }
    )


def _decode(name: str, text: str) -> TimeInterval:
    found = json.loads(text)
    return TimeInterval(
        name,
        frozenset(found["weekdays"]),
        tuple((start, end) for start, end in found["minutes"]),
        frozenset(found["days_of_month"]),
        frozenset(found["months"]),
        found["zone"],
    )
