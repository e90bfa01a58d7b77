"""From alerts to notifications: groups, suppression, and rows in the outbox.

Works from state, not from events: every round compares what fires in a group with what its
channels were last told, and writes a notification when the two differ. So nothing can be missed by
a crash, a restart, or a change of configuration, and an unchanged group is only told again after
its repeat interval. Runs inside the transaction that also writes the alerts' new states.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import sqlalchemy as sa

from alerting.channels import Delivery
from alerting.instances import Alert
from alerting.limits import LABEL_CHARS_MAX
from alerting.notice import NoticeAlert, encode_notice, make_notice
from alerting.routes import Inhibitor, Route, find_route, matching_routes
from alerting.silences import Silence
from alerting.slo_rules import BURN_INHIBITION
from alerting.state_machine import State
from alerting.templates import cut
from storage.state import alert_groups, outbox


@dataclass(slots=True)
class _Group:
    """One group of alerts on one route, and what was told of it."""

    key: str
    route: Route
    labels: Mapping[str, str]
    firing: dict[str, Alert] = field(default_factory=dict)
    told: dict[str, float | None] = field(default_factory=dict)
    """Fingerprint to the fired_at that was told."""
    first_flush_at: float | None = None
    sent_at: float | None = None
    stored: bool = False


@dataclass(frozen=True, slots=True)
class Dispatched:
    """What one round did."""

    notices: int
    suppressed: int
    """Firing alerts that a silence, an inhibition or a muted time kept from being told."""


def dispatch(
    connection: sa.Connection,
    delivery: Delivery,
    alerts: Mapping[str, Alert],
    silences: Sequence[Silence],
    *,
    now: float,
    external_url: str,
) -> Dispatched:
    """Write due notifications to the outbox. `alerts` by fingerprint: all there are, any state."""
    firing = [a for a in alerts.values() if a.state is State.FIRING]
    groups = _groups(connection, delivery, firing)
    inhibitor = Inhibitor((*delivery.inhibitions, BURN_INHIBITION), [a.labels for a in firing])
    quiet = {
        a.fingerprint
        for a in firing
        if inhibitor.quiets(a.labels) or any(s.covers(a.labels, now) for s in silences)
    }
    notices = 0
    for group in groups:
        notices += _flush(connection, delivery, group, alerts, quiet, now, external_url)
    return Dispatched(notices, len(quiet))


def _groups(connection: sa.Connection, delivery: Delivery, firing: Iterable[Alert]) -> list[_Group]:
    groups: dict[str, _Group] = {}
    for row in connection.execute(sa.select(alert_groups)).mappings():
        groups[row["key"]] = _Group(
            key=row["key"],
            route=find_route(delivery.root, row["route"]) or delivery.root,
            labels=json.loads(row["labels"]),
            told=json.loads(row["sent_alerts"]),
            first_flush_at=row["flush_at"],
            sent_at=row["sent_at"],
            stored=True,
        )
    for alert in firing:
        for route in matching_routes(delivery.root, alert.labels):
            key = route.group_key(alert.labels)
            if key not in groups:
                groups[key] = _Group(key, route, route.group_labels(alert.labels))
            groups[key].firing[alert.fingerprint] = alert
    return list(groups.values())


def _flush(
    connection: sa.Connection,
    delivery: Delivery,
    group: _Group,
    alerts: Mapping[str, Alert],
    quiet: set[str],
    now: float,
    external_url: str,
) -> int:
    muted = group.route.muted_at(now)
    loud = {f: a for f, a in group.firing.items() if not muted and f not in quiet}
    opened = [f for f, a in loud.items() if group.told.get(f, -1.0) != a.instance.fired_at]
    closed = [f for f in group.told if f not in group.firing]
    if group.first_flush_at is None:
        group.first_flush_at = now + group.route.group_wait_s
    due_at = (
        group.first_flush_at
        if group.sent_at is None
        else group.sent_at + group.route.group_interval_s
    )
    repeat = (
        group.sent_at is not None
        and now - group.sent_at >= group.route.repeat_interval_s
        and any(a.acknowledged_at is None for a in loud.values())
    )
    written = 0
    if (opened or closed or repeat) and now >= due_at:
        shown = [_notice_alert(a, external_url) for a in loud.values()]
        shown += [_closed_alert(f, group, alerts, now, external_url) for f in closed]
        written = _write(connection, delivery, group, shown, now, external_url)
        group.told = {
            **{f: told for f, told in group.told.items() if f in group.firing},
            **{f: a.instance.fired_at for f, a in loud.items()},
        }
        group.sent_at = now
    _store(connection, group)
    return written


def _write(
    connection: sa.Connection,
    delivery: Delivery,
    group: _Group,
    shown: Sequence[NoticeAlert],
    now: float,
    external_url: str,
) -> int:
    rows = []
    for name in group.route.channels:
        channel = delivery.channels.get(name)
        if channel is None:
            continue
        told = [a for a in shown if a.status == "firing" or channel.send_resolved]
        if not told:
            continue
        key = f"{group.key}:{int(now * 1000)}:{name}"
        notice = make_notice(
            key=key,
            group_key=group.key,
            receiver=name,
            group_labels=group.labels,
            alerts=told,
            external_url=external_url,
        )
        rows.append(
            {
                "key": key,
                "channel": name,
                "group_key": group.key,
                "payload": encode_notice(notice),
                "created_at": now,
                "attempts": 0,
                "next_attempt_at": now,
            }
        )
    if rows:
        connection.execute(sa.insert(outbox), rows)
    return len(rows)


def _store(connection: sa.Connection, group: _Group) -> None:
    here = alert_groups.c.key == group.key
    if not group.firing and not group.told:
        if group.stored:
            connection.execute(sa.delete(alert_groups).where(here))
        return
    values = {
        "route": group.route.name,
        "labels": json.dumps(group.labels, sort_keys=True),
        "flush_at": group.first_flush_at,
        "sent_at": group.sent_at,
        "sent_alerts": json.dumps(group.told),
    }
    if group.stored:
        connection.execute(sa.update(alert_groups).where(here).values(values))
    else:
        connection.execute(sa.insert(alert_groups).values(key=group.key, sequence=0, **values))


def _notice_alert(alert: Alert, external_url: str) -> NoticeAlert:
    instance = alert.instance
    fires = alert.state is State.FIRING
    started = instance.fired_at if instance.fired_at is not None else instance.updated_at
    return NoticeAlert(
        status="firing" if fires else "resolved",
        labels={k: cut(v, LABEL_CHARS_MAX) for k, v in alert.labels.items()},
        annotations=alert.annotations,
        starts_at=started or 0.0,
        ends_at=None if fires else (instance.resolved_at or instance.updated_at),
        generator_url=alert_url(external_url, alert.fingerprint),
        fingerprint=alert.fingerprint,
    )


def _closed_alert(
    fingerprint: str, group: _Group, alerts: Mapping[str, Alert], now: float, external_url: str
) -> NoticeAlert:
    """A told alert that no longer fires here; its row may be gone, or it moved to another group."""
    alert = alerts.get(fingerprint)
    if alert is not None and alert.state is not State.FIRING:
        return _notice_alert(alert, external_url)
    return NoticeAlert(
        status="resolved",
        labels=alert.labels if alert else group.labels,
        annotations=alert.annotations if alert else {},
        starts_at=group.told.get(fingerprint) or now,
        ends_at=now,
        generator_url=alert_url(external_url, fingerprint),
        fingerprint=fingerprint,
    )


def alert_url(external_url: str, fingerprint: str) -> str:
    """Where the dashboards show one alert."""
    return f"{external_url.rstrip('/')}/alerts?alert={quote(fingerprint)}"
