"""Silences: alerts that match are shown but not told, until an end that is always set.

A silence may be set before anything fires. What was told firing is still told resolved: a closed
incident is no noise. Acknowledging is something else: it stops the repeats of one firing alert.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from alerting.errors import SilenceInvalid
from alerting.limits import SILENCE_S_MAX
from alerting.matchers import Matcher, all_match, parse_matcher
from storage.audit import AuditEntry, append_audit
from storage.state import alert_instances, silences


@dataclass(frozen=True, slots=True)
class Silence:
    """Times are epoch seconds; half-open."""

    id: int
    matchers: tuple[Matcher, ...]
    starts_at: float
    ends_at: float
    author: str
    reason: str
    matched: int
    """Alerts it has kept quiet so far."""

    def covers(self, labels: Mapping[str, str], at: float) -> bool:
        return self.starts_at <= at < self.ends_at and all_match(self.matchers, labels)


def add_silence(
    state: sa.Engine,
    matchers: Sequence[str],
    *,
    author: str,
    reason: str,
    starts_at: float,
    ends_at: float,
    now: float,
    audit: AuditEntry | None = None,
) -> int:
    """Id of the new silence. Raises SilenceInvalid with one sentence that says what to change."""
    if not author.strip() or not reason.strip():
        raise SilenceInvalid("A silence needs an author and a reason.")
    if ends_at <= max(starts_at, now):
        raise SilenceInvalid("The silence would end before it starts.", "Give a later end.")
    if ends_at - starts_at > SILENCE_S_MAX:
        raise SilenceInvalid("The silence is longer than 90 days.", "Delete the rule instead.")
    try:
        parsed = tuple(parse_matcher(text) for text in matchers)
    except ValueError as err:
        raise SilenceInvalid(f"{err}.") from err
    if not parsed or all_match(parsed, {}):
        raise SilenceInvalid("The silence would match every alert.", "Name a label and its value.")
    with state.begin() as connection:
        firing = connection.execute(
            sa.select(alert_instances.c.labels).where(alert_instances.c.state == "firing")
        ).scalars()
        matched = sum(1 for labels in firing if all_match(parsed, json.loads(labels)))
        row = {
            "matchers": json.dumps([[m.label, m.operator, m.value] for m in parsed]),
            "starts_at": starts_at,
            "ends_at": ends_at,
            "author": author.strip(),
            "reason": reason.strip(),
            "created_at": now,
            "matched": matched,
        }
        result = connection.execute(sa.insert(silences).values(row))
        if audit is not None:
            append_audit(connection, audit)
    key = result.inserted_primary_key
    assert key is not None  # one row was inserted
    return int(key[0])


def end_silence(
    state: sa.Engine, silence_id: int, now: float, *, audit: AuditEntry | None = None
) -> bool:
    """End a silence now; it stays on record. False when none of that id still runs."""
    with state.begin() as connection:
        update = sa.update(silences).where(silences.c.id == silence_id, silences.c.ends_at > now)
        done = connection.execute(update.values(ends_at=now)).rowcount > 0
        if done and audit is not None:
            append_audit(connection, audit)
        return done


def load_silences(connection: sa.Connection, now: float) -> list[Silence]:
    """Those that run now or will; those that ended are left out."""
    rows = connection.execute(
        sa.select(silences).where(silences.c.ends_at > now).order_by(silences.c.id)
    ).mappings()
    return [
        Silence(
            row["id"],
            tuple(Matcher(*parts) for parts in json.loads(row["matchers"])),
            row["starts_at"],
            row["ends_at"],
            row["author"],
            row["reason"],
            row["matched"],
        )
        for row in rows
    ]


def count_match(connection: sa.Connection, silence_id: int, alerts: int) -> None:
    connection.execute(
        sa.update(silences)
        .where(silences.c.id == silence_id)
        .values(matched=silences.c.matched + alerts)
    )


def expiring(running: Sequence[Silence], now: float, within_s: float) -> list[Silence]:
    """Silences that run now and end within that time: for a warning on screen."""
    return [s for s in running if s.starts_at <= now and s.ends_at - now <= within_s]
