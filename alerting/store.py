"""Reading alert state, for dashboards and the command line, and what people do to alerts.

Reads see only what was committed; nothing here waits for a round of evaluation.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa

from alerting.channels import Delivery, deliver_to
from alerting.errors import OnCallInvalid
from alerting.flapping import Flapping, load_flapping
from alerting.instances import load_alerts
from alerting.limits import SILENCE_WARNING_S
from alerting.maintenance import (
    MaintenanceWindow,
    add_maintenance,
    end_maintenance,
    load_maintenance,
)
from alerting.on_call import Override, add_override, end_override, load_overrides
from alerting.silences import Silence, add_silence, end_silence, expiring, load_silences
from alerting.state_machine import State
from alerting.time_intervals import TimeInterval
from alerting.told import load_levels
from storage.audit import AuditEntry, append_audit
from storage.state import alert_history, alert_instances, outbox

_GRAVITY = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """An alert that fires, waits to fire, or is unmeasured. Epoch seconds of the data's clock."""

    fingerprint: str
    rule: str
    state: State
    severity: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    value: float | None
    threshold: float | None
    active_since: float | None
    fired_at: float | None
    unmeasured_since: float | None
    acknowledged_at: float | None
    acknowledged_by: str | None
    silenced_by: tuple[int, ...]
    """Ids of the silences that keep it quiet now."""
    maintenance: tuple[str, ...] = ()
    """Names of the maintenance windows that keep it quiet now."""
    flapping: Flapping | None = None
    """Set while it opens and closes again and again: its changes are not sent."""
    escalation_level: int = 0
    """Steps of escalation taken; 0 = none."""

    @property
    def summary(self) -> str:
        return self.annotations.get("summary", self.rule)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One change of state."""

    id: int
    at: float
    fingerprint: str
    rule: str
    labels: Mapping[str, str]
    severity: str
    from_state: State
    to_state: State
    value: float | None
    threshold: float | None
    summary: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AlertCounts:
    """How many alerts are in which state, and how delivery stands."""

    firing: int
    pending: int
    no_data: int
    resolved: int
    """In the last day."""
    firing_by_severity: Mapping[str, int]
    undelivered: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One notification on its way, delivered, or given up."""

    id: int
    key: str
    channel: str
    created_at: float
    attempts: int
    next_attempt_at: float
    delivered_at: float | None
    dead_at: float | None
    error: str | None


class AlertStore:
    """All reads of alert state. `state` as from storage.state.open_state; thread-safe."""

    def __init__(
        self,
        state: sa.Engine,
        *,
        clock: Callable[[], float] = time.time,
        delivery: Delivery | None = None,
    ) -> None:
        """delivery: what the channels file says, for its rotations and maintenance windows."""
        self._state = state
        self._clock = clock
        self._delivery = delivery or deliver_to()

    def active(self) -> list[ActiveAlert]:
        """Firing first, then pending, then no data; gravest first, newest first."""
        shown = ("firing", "pending", "no_data")
        now = self._clock()
        with self._state.connect() as connection:
            alerts = load_alerts(connection, alert_instances.c.state.in_(shown))
            silences = load_silences(connection, now)
            windows = (*self._delivery.maintenance, *load_maintenance(connection, now))
            flapping = load_flapping(connection, now)
            levels = load_levels(connection)
        found = [
            ActiveAlert(
                fingerprint=a.fingerprint,
                rule=a.rule,
                state=a.state,
                severity=a.severity,
                labels=a.labels,
                annotations=a.annotations,
                value=a.instance.value,
                threshold=a.instance.threshold,
                active_since=a.instance.active_since,
                fired_at=a.instance.fired_at,
                unmeasured_since=a.instance.unmeasured_since,
                acknowledged_at=a.acknowledged_at,
                acknowledged_by=a.acknowledged_by,
                silenced_by=tuple(s.id for s in silences if s.covers(a.labels, now)),
                maintenance=tuple(w.name for w in windows if w.covers(a.labels, now)),
                flapping=flapping.get(a.fingerprint),
                escalation_level=levels.get(a.fingerprint, 0),
            )
            for a in alerts
        ]
        return sorted(
            found,
            key=lambda a: (
                shown.index(a.state.value),
                _GRAVITY.get(a.severity, 3),
                -(a.fired_at or a.active_since or 0.0),
                a.fingerprint,
            ),
        )

    def history(
        self,
        limit: int = 100,
        *,
        rule: str | None = None,
        fingerprint: str | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> list[HistoryEntry]:
        """Changes of state, newest first; since and until are epoch seconds, half-open."""
        query = sa.select(alert_history).order_by(
            alert_history.c.at.desc(), alert_history.c.id.desc()
        )
        if rule is not None:
            query = query.where(alert_history.c.rule == rule)
        if fingerprint is not None:
            query = query.where(alert_history.c.fingerprint == fingerprint)
        if since is not None:
            query = query.where(alert_history.c.at >= since)
        if until is not None:
            query = query.where(alert_history.c.at < until)
        with self._state.connect() as connection:
            rows = connection.execute(query.limit(limit)).mappings().all()
        return [
            HistoryEntry(
                id=row["id"],
                at=row["at"],
                fingerprint=row["fingerprint"],
                rule=row["rule"],
                labels=json.loads(row["labels"]),
                severity=row["severity"],
                from_state=State(row["from_state"]),
                to_state=State(row["to_state"]),
                value=row["value"],
                threshold=row["threshold"],
                summary=row["summary"],
                evidence=json.loads(row["evidence"] or "{}"),
            )
            for row in rows
        ]

    def full_fingerprint(self, start: str) -> str | None:
        """The fingerprint that begins so; None when none or several do."""
        if not start.isalnum():
            return None
        column = alert_history.c.fingerprint
        query = sa.select(column).where(column.startswith(start)).distinct().limit(2)
        with self._state.connect() as connection:
            found = connection.execute(query).scalars().all()
        return found[0] if len(found) == 1 else None

    def counts(self) -> AlertCounts:
        """Zeros when nothing was ever evaluated."""
        state, severity = alert_instances.c.state, alert_instances.c.severity
        by_state: dict[str, int] = {}
        firing: dict[str, int] = {}
        with self._state.connect() as connection:
            rows = connection.execute(
                sa.select(state, severity, sa.func.count()).group_by(state, severity)
            )
            for name, grade, count in rows:
                by_state[name] = by_state.get(name, 0) + count
                if name == "firing":
                    firing[grade] = count
            waiting = sa.select(sa.func.count()).select_from(outbox)
            undelivered = connection.execute(
                waiting.where(outbox.c.delivered_at.is_(None), outbox.c.dead_at.is_(None))
            ).scalar_one()
            dead = connection.execute(waiting.where(outbox.c.dead_at.is_not(None))).scalar_one()
        return AlertCounts(
            firing=by_state.get("firing", 0),
            pending=by_state.get("pending", 0),
            no_data=by_state.get("no_data", 0),
            resolved=by_state.get("resolved", 0),
            firing_by_severity=firing,
            undelivered=undelivered,
            dead_letters=dead,
        )

    def notifications(self, limit: int = 100, *, dead_only: bool = False) -> list[OutboxEntry]:
        """What was sent, waits, or was given up; newest first."""
        query = sa.select(*(c for c in outbox.c if c.name not in ("payload", "group_key")))
        if dead_only:
            query = query.where(outbox.c.dead_at.is_not(None))
        with self._state.connect() as connection:
            rows = connection.execute(query.order_by(outbox.c.id.desc()).limit(limit)).mappings()
            return [OutboxEntry(**cast(dict[str, Any], dict(row))) for row in rows]

    def retry(self, notification_id: int) -> bool:
        """Put a notification that was given up back in line. False when none of that id was."""
        dead = sa.update(outbox).where(
            outbox.c.id == notification_id, outbox.c.dead_at.is_not(None)
        )
        values = {"dead_at": None, "attempts": 0, "next_attempt_at": self._clock()}
        with self._state.begin() as connection:
            return connection.execute(dead.values(values)).rowcount > 0

    def acknowledge(self, fingerprint: str, *, by: str, audit: AuditEntry | None = None) -> bool:
        """Someone looks after a firing alert: it is not repeated. False when it does not fire.

        audit: written in the same transaction, here and below; None = nobody asks for a record.
        """
        update = sa.update(alert_instances).where(
            alert_instances.c.fingerprint == fingerprint, alert_instances.c.state == "firing"
        )
        values = {"acknowledged_at": self._clock(), "acknowledged_by": by}
        with self._state.begin() as connection:
            done = connection.execute(update.values(values)).rowcount > 0
            if done and audit is not None:
                append_audit(connection, audit)
            return done

    def silences(self) -> list[Silence]:
        """Those that run now or will."""
        with self._state.connect() as connection:
            return load_silences(connection, self._clock())

    def silence(
        self,
        matchers: Sequence[str],
        *,
        author: str,
        reason: str,
        duration_s: float,
        starts_at: float | None = None,
        audit: AuditEntry | None = None,
    ) -> int:
        """Silence from `starts_at` (epoch seconds; None = now) on; matchers as text
        (`api=orders`). Raises SilenceInvalid."""
        now = self._clock()
        begins = now if starts_at is None else starts_at
        return add_silence(
            self._state,
            matchers,
            author=author,
            reason=reason,
            starts_at=begins,
            ends_at=begins + duration_s,
            now=now,
            audit=audit,
        )

    def end_silence(self, silence_id: int, *, audit: AuditEntry | None = None) -> bool:
        """End a silence now. False when none of that id runs."""
        return end_silence(self._state, silence_id, self._clock(), audit=audit)

    def silences_expiring(self, within_s: float = SILENCE_WARNING_S) -> list[Silence]:
        """Silences that run now and end soon."""
        return expiring(self.silences(), self._clock(), within_s)

    def flapping(self) -> Mapping[str, Flapping]:
        """Alerts that open and close again and again, by fingerprint, open or not."""
        with self._state.connect() as connection:
            return load_flapping(connection, self._clock())

    def maintenance(self) -> list[MaintenanceWindow]:
        """Windows that run now or will: those of the channels file first."""
        now = self._clock()
        written = [w for w in self._delivery.maintenance if w.ends_at is None or w.ends_at > now]
        with self._state.connect() as connection:
            return [*written, *load_maintenance(connection, now)]

    def add_maintenance(
        self,
        name: str,
        matchers: Sequence[str],
        *,
        author: str,
        reason: str,
        starts_at: float | None = None,
        ends_at: float | None = None,
        recurs: TimeInterval | None = None,
        audit: AuditEntry | None = None,
    ) -> int:
        """Once from start (None = now) to end, or recurring. Raises MaintenanceInvalid."""
        now = self._clock()
        return add_maintenance(
            self._state,
            name,
            matchers,
            author=author,
            reason=reason,
            now=now,
            starts_at=now if starts_at is None else starts_at,
            ends_at=ends_at,
            recurs=recurs,
            audit=audit,
        )

    def end_maintenance(self, window_id: int, *, audit: AuditEntry | None = None) -> bool:
        """End a stored window now. False when none of that id runs or will."""
        return end_maintenance(self._state, window_id, self._clock(), audit=audit)

    def on_call(self, at: float | None = None) -> dict[str, str]:
        """Whose turn it is, by rotation; at: epoch seconds, None = now."""
        now = self._clock()
        with self._state.connect() as connection:
            stored = load_overrides(connection, min(now, at or now))
        moment = now if at is None else at
        return {r.name: r.channel_at(moment, stored) for r in self._delivery.rotations}

    def stand_ins(self) -> list[Override]:
        """Overrides that run now or will: those of the channels file first."""
        now = self._clock()
        written = [o for r in self._delivery.rotations for o in r.overrides if o.ends_at > now]
        with self._state.connect() as connection:
            return [*written, *load_overrides(connection, now)]

    def stand_in(
        self,
        rotation: str,
        channel: str,
        *,
        author: str,
        starts_at: float | None = None,
        ends_at: float,
        audit: AuditEntry | None = None,
    ) -> int:
        """Let somebody stand in on a rotation, from start (None = now); id of the override. Raises
        OnCallInvalid."""
        found = next((r for r in self._delivery.rotations if r.name == rotation), None)
        if found is None:
            raise OnCallInvalid(f"No rotation is called {rotation!r}.")
        if channel not in self._delivery.channels:
            raise OnCallInvalid(f"No channel is called {channel!r}.")
        now = self._clock()
        return add_override(
            self._state,
            found,
            channel,
            starts_at=now if starts_at is None else starts_at,
            ends_at=ends_at,
            author=author,
            now=now,
            audit=audit,
        )

    def end_stand_in(self, override_id: int, *, audit: AuditEntry | None = None) -> bool:
        """End an override now. False when none of that id still runs or will."""
        return end_override(self._state, override_id, self._clock(), audit=audit)
