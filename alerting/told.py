"""Who heard of an alert on a route with escalation or rotations: they hear of its end as well.

Other routes need no such record: everybody they name is told everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from storage.state import alert_told


@dataclass(frozen=True, slots=True)
class Told:
    """One firing of one alert. Times are epoch seconds."""

    fired_at: float
    told_at: float
    level: int
    """Steps of escalation taken."""
    channels: tuple[str, ...]

    def also(self, channels: Iterable[str], level: int) -> Told:
        """The same after telling more channels."""
        both = tuple(dict.fromkeys((*self.channels, *channels)))
        return Told(self.fired_at, self.told_at, max(self.level, level), both)


def load_told(connection: sa.Connection, group_key: str) -> dict[str, Told]:
    """By fingerprint."""
    rows = connection.execute(sa.select(alert_told).where(alert_told.c.group_key == group_key))
    return {
        r["fingerprint"]: Told(
            r["fired_at"], r["told_at"], r["level"], tuple(json.loads(r["channels"]))
        )
        for r in rows.mappings()
    }


def save_told(
    connection: sa.Connection,
    group_key: str,
    before: Mapping[str, Told],
    after: Mapping[str, Told],
) -> None:
    """Write what changed of one group."""
    table = alert_told
    changed = {f for f in before.keys() | after.keys() if before.get(f) != after.get(f)}
    gone = [f for f in changed if f in before]
    if gone:
        connection.execute(
            sa.delete(table).where(table.c.group_key == group_key, table.c.fingerprint.in_(gone))
        )
    rows = [
        {
            "group_key": group_key,
            "fingerprint": f,
            "fired_at": after[f].fired_at,
            "told_at": after[f].told_at,
            "level": after[f].level,
            "channels": json.dumps(after[f].channels),
        }
        for f in changed
        if f in after
    ]
    if rows:
        connection.execute(sa.insert(table), rows)


def load_levels(connection: sa.Connection) -> Mapping[str, int]:
    """Steps of escalation taken, by fingerprint; only where there was one."""
    query = sa.select(alert_told.c.fingerprint, sa.func.max(alert_told.c.level))
    found = connection.execute(query.group_by(alert_told.c.fingerprint))
    return {fingerprint: level for fingerprint, level in found if level}
