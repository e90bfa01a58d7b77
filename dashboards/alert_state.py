"""Alerts as the engine left them in the state store: what is active now, and what changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, Row, select

from storage.state import alert_history, alert_instances

SEVERITY_ORDER = ("critical", "error", "high", "warning", "medium", "info", "low")


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """An alert that is pending, firing or without data now."""

    fingerprint: str
    rule: str
    state: str
    severity: str
    labels: Mapping[str, str]
    summary: str
    value: float | None
    threshold: float | None
    since: datetime | None
    """First breach, by the data's clock."""


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One change of state."""

    at: datetime
    rule: str
    severity: str
    labels: Mapping[str, str]
    from_state: str
    to_state: str
    value: float | None
    threshold: float | None
    summary: str


def active_alerts(engine: Engine) -> list[ActiveAlert]:
    """Firing first, then by severity, then the oldest."""
    table = alert_instances
    query = select(table).where(table.c.state.in_(("pending", "firing", "no_data")))
    with engine.connect() as connection:
        found = [_active(row) for row in connection.execute(query)]
    return sorted(
        found,
        key=lambda a: (
            a.state != "firing",
            SEVERITY_ORDER.index(a.severity) if a.severity in SEVERITY_ORDER else 99,
            a.since or datetime.max.replace(tzinfo=UTC),
        ),
    )


def alert_changes(engine: Engine, limit: int = 100) -> list[AlertChange]:
    """Newest first."""
    table = alert_history
    query = select(table).order_by(table.c.at.desc(), table.c.id.desc()).limit(limit)
    with engine.connect() as connection:
        return [
            AlertChange(
                at=datetime.fromtimestamp(row.at, UTC),
                rule=row.rule,
                severity=row.severity,
                labels=_labels(row.labels),
                from_state=row.from_state,
                to_state=row.to_state,
                value=row.value,
                threshold=row.threshold,
                summary=row.summary,
            )
            for row in connection.execute(query)
        ]


def _active(row: Row[tuple[object, ...]]) -> ActiveAlert:
    annotations = _labels(row.annotations)
    since = row.fired_at if row.state == "firing" and row.fired_at else row.active_since
    return ActiveAlert(
        fingerprint=row.fingerprint,
        rule=row.rule,
        state=row.state,
        severity=row.severity,
        labels=_labels(row.labels),
        summary=annotations.get("summary", ""),
        value=row.value,
        threshold=row.threshold,
        since=None if since is None else datetime.fromtimestamp(since, UTC),
    )


def _labels(text: str) -> dict[str, str]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return {}
    return {str(k): str(v) for k, v in parsed.items()} if isinstance(parsed, dict) else {}
