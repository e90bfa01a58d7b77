"""Alert instances in the state store: rows to values and back. Every caller brings the connection,
so that what belongs together is one transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from alerting.point import Labels
from alerting.state_machine import Change, Instance, State
from storage.state import alert_history, alert_instances


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert: who it is, where it stands, what to say about it."""

    fingerprint: str
    rule: str
    labels: Mapping[str, str]
    """All labels: alertname, severity, the rule's own and the series'."""
    annotations: Mapping[str, str]
    severity: str
    instance: Instance
    acknowledged_at: float | None = None
    acknowledged_by: str | None = None

    @property
    def state(self) -> State:
        return self.instance.state


@dataclass(frozen=True, slots=True)
class AlertChange:
    """A step of one alert, as it is kept in the history."""

    alert: Alert
    change: Change
    at: float
    summary: str
    evidence: Mapping[str, object] = field(default_factory=dict)


def fingerprint_of(rule: str, series: Labels) -> str:
    """Identity of an alert over its whole life: hash of the rule's name and the series' labels."""
    text = json.dumps([rule, sorted(series)], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def load_alerts(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Alert]:
    """Alerts in the order of their rules and labels."""
    query = sa.select(alert_instances).where(*where)
    order = (alert_instances.c.rule, alert_instances.c.labels)
    return [_alert(row) for row in connection.execute(query.order_by(*order)).mappings()]


def save_alerts(connection: sa.Connection, alerts: Iterable[Alert], known: Iterable[str]) -> None:
    """Write alerts whole; `known` are the fingerprints that have a row already."""
    had = set(known)
    rows = [_row(alert) for alert in alerts]
    new = [row for row in rows if row["fingerprint"] not in had]
    # An acknowledgement is written by people, maybe since these rows were read: left alone.
    kept = ("fingerprint", "acknowledged_at", "acknowledged_by")
    names = [c.name for c in alert_instances.c if c.name not in kept]
    # Parameters named like columns would be set as well, asked for or not.
    old = [
        {"which": row["fingerprint"], **{f"new_{name}": row[name] for name in names}}
        for row in rows
        if row["fingerprint"] in had
    ]
    if new:
        connection.execute(sa.insert(alert_instances), new)
    if old:
        update = sa.update(alert_instances).values({n: sa.bindparam(f"new_{n}") for n in names})
        connection.execute(
            update.where(alert_instances.c.fingerprint == sa.bindparam("which")), old
        )


def clear_acknowledgements(connection: sa.Connection, fingerprints: Iterable[str]) -> None:
    """For alerts that fire anew: whoever took the last one has not seen this one."""
    which = [{"which": fingerprint} for fingerprint in fingerprints]
    if which:
        clear = sa.update(alert_instances).values(acknowledged_at=None, acknowledged_by=None)
        connection.execute(
            clear.where(alert_instances.c.fingerprint == sa.bindparam("which")), which
        )


def forget_alerts(connection: sa.Connection, fingerprints: Iterable[str]) -> None:
    gone = [{"which": fingerprint} for fingerprint in fingerprints]
    if gone:
        delete = sa.delete(alert_instances)
        connection.execute(
            delete.where(alert_instances.c.fingerprint == sa.bindparam("which")), gone
        )


def append_history(connection: sa.Connection, changes: Iterable[AlertChange]) -> None:
    rows = [
        {
            "fingerprint": c.alert.fingerprint,
            "rule": c.alert.rule,
            "labels": _dump(c.alert.labels),
            "severity": c.alert.severity,
            "from_state": c.change.before.value,
            "to_state": c.change.after.value,
            "at": c.at,
            "value": c.alert.instance.value,
            "threshold": c.alert.instance.threshold,
            "summary": c.summary,
            "evidence": _dump(c.evidence),
        }
        for c in changes
    ]
    if rows:
        connection.execute(sa.insert(alert_history), rows)


def _alert(row: sa.RowMapping) -> Alert:
    return Alert(
        fingerprint=row["fingerprint"],
        rule=row["rule"],
        labels=json.loads(row["labels"]),
        annotations=json.loads(row["annotations"]),
        severity=row["severity"],
        instance=Instance(
            state=State(row["state"]),
            value=row["value"],
            threshold=row["threshold"],
            active_since=row["active_since"],
            fired_at=row["fired_at"],
            resolved_at=row["resolved_at"],
            last_breach_at=row["last_breach_at"],
            unmeasured_since=row["unmeasured_since"],
            updated_at=row["updated_at"],
        ),
        acknowledged_at=row["acknowledged_at"],
        acknowledged_by=row["acknowledged_by"],
    )


def _row(alert: Alert) -> dict[str, object]:
    now = alert.instance
    return {
        "fingerprint": alert.fingerprint,
        "rule": alert.rule,
        "labels": _dump(alert.labels),
        "annotations": _dump(alert.annotations),
        "severity": alert.severity,
        "state": now.state.value,
        "value": now.value,
        "threshold": now.threshold,
        "active_since": now.active_since,
        "fired_at": now.fired_at,
        "resolved_at": now.resolved_at,
        "last_breach_at": now.last_breach_at,
        "unmeasured_since": now.unmeasured_since,
        "acknowledged_at": alert.acknowledged_at,
        "acknowledged_by": alert.acknowledged_by,
        "updated_at": now.updated_at if now.updated_at is not None else 0.0,
    }


def _dump(values: Mapping[str, object]) -> str:
    return json.dumps(values, sort_keys=True, ensure_ascii=True)
