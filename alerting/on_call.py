"""Who is on call: channels that take turns, with overrides. Pure, but for the stored overrides.

A rotation stands wherever a channel may be named (routes, escalation steps). Turns change at the
same hour of the local clock all year: an hour is not lost or won at a change of summer time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from alerting.errors import OnCallInvalid
from alerting.limits import OVERRIDE_S_MAX
from storage.audit import AuditEntry, append_audit
from storage.state import on_call_overrides


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody stands in. Epoch seconds, half-open. `id` 0 = written in the channels file."""

    rotation: str
    channel: str
    starts_at: float
    ends_at: float
    author: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class Rotation:
    """Channels in the order of their turns."""

    name: str
    channels: tuple[str, ...]
    starts: datetime
    """A handover, as the local clock shows it (naive): the first channel has it from here on."""
    every_s: float = 604_800.0
    zone: str = "UTC"
    overrides: tuple[Override, ...] = ()

    def channel_at(self, at: float, stored: Iterable[Override] = ()) -> str:
        """Whose turn it is at epoch second `at`. Of overlapping overrides the latest made counts,
        stored ones before those of the file."""
        standing_in = [
            o
            for o in (*self.overrides, *stored)
            if o.rotation == self.name and o.starts_at <= at < o.ends_at
        ]
        if standing_in:
            return max(standing_in, key=lambda o: o.id).channel
        local = datetime.fromtimestamp(at, ZoneInfo(self.zone)).replace(tzinfo=None)
        turn = int((local - self.starts).total_seconds() // self.every_s)
        return self.channels[turn % len(self.channels)]


def add_override(
    state: sa.Engine,
    rotation: Rotation,
    channel: str,
    *,
    starts_at: float,
    ends_at: float,
    author: str,
    now: float,
    audit: AuditEntry | None = None,
) -> int:
    """Id of the new override. Raises OnCallInvalid. `channel` is not looked up: the caller knows
    the channels. audit: written in the same transaction, here and below."""
    if not author.strip():
        raise OnCallInvalid("An override needs an author.")
    if ends_at <= max(starts_at, now):
        raise OnCallInvalid("The override would end before it starts.", "Give a later end.")
    if ends_at - starts_at > OVERRIDE_S_MAX:
        raise OnCallInvalid("The override is longer than 60 days.", "Change the rotation instead.")
    row = {
        "rotation": rotation.name,
        "channel": channel,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "author": author.strip(),
    }
    with state.begin() as connection:
        key = connection.execute(sa.insert(on_call_overrides).values(row)).inserted_primary_key
        if audit is not None:
            append_audit(connection, audit)
    assert key is not None  # one row was inserted
    return int(key[0])


def end_override(
    state: sa.Engine, override_id: int, now: float, *, audit: AuditEntry | None = None
) -> bool:
    """End it now. False when none of that id still runs or will."""
    here = (on_call_overrides.c.id == override_id, on_call_overrides.c.ends_at > now)
    with state.begin() as connection:
        update = sa.update(on_call_overrides).where(*here)
        done = connection.execute(update.values(ends_at=now)).rowcount > 0
        if done and audit is not None:
            append_audit(connection, audit)
        return done


def load_overrides(connection: sa.Connection, now: float) -> list[Override]:
    """Those that run now or will, oldest first."""
    table = on_call_overrides
    rows = connection.execute(sa.select(table).where(table.c.ends_at > now).order_by(table.c.id))
    return [
        Override(r["rotation"], r["channel"], r["starts_at"], r["ends_at"], r["author"], r["id"])
        for r in rows.mappings()
    ]


def resolve_channels(
    names: Sequence[str],
    rotations: Iterable[Rotation],
    overrides: Sequence[Override],
    at: float,
) -> tuple[str, ...]:
    """Names of channels and rotations to channels, each once, in order."""
    by_name = {rotation.name: rotation for rotation in rotations}
    found = (by_name[n].channel_at(at, overrides) if n in by_name else n for n in names)
    return tuple(dict.fromkeys(found))
