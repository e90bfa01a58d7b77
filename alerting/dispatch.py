"""From alerts to notifications: groups, suppression, and rows in the outbox.

Works from state, not from events: every round compares what fires in a group with what its
channels were last told, and writes a notification when the two differ. So nothing can be missed by
a crash, a restart, or a change of configuration, and an unchanged group is only told again after
its repeat interval. Runs inside the transaction that also writes the alerts' new states.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import sqlalchemy as sa

from alerting.channels import Delivery
from alerting.instances import Alert
from alerting.limits import LABEL_CHARS_MAX
from alerting.links import alert_url
from alerting.notice import NoticeAlert, OutboxRow, make_notice, outbox_row
from alerting.routes import Inhibitor, Route, find_route, matching_routes
from alerting.rule import say_span
from alerting.silence_warning import expiry_warnings
from alerting.slo_rules import BURN_INHIBITION
from alerting.state_machine import State
from alerting.surroundings import Surroundings
from alerting.templates import cut
from alerting.told import Told, load_told, save_told
from storage.state import alert_groups, alert_history, outbox


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
    """Firing alerts that a silence, a maintenance window or an inhibition kept from being told."""


def dispatch(
    connection: sa.Connection, alerts: Mapping[str, Alert], around: Surroundings
) -> Dispatched:
    """Write due notifications to the outbox. `alerts` by fingerprint: all there are, any state."""
    firing = [a for a in alerts.values() if a.state is State.FIRING]
    groups = _groups(connection, around.delivery, firing)
    inhibitions = (*around.delivery.inhibitions, BURN_INHIBITION)
    inhibitor = Inhibitor(inhibitions, [a.labels for a in firing])
    quiet = {a.fingerprint for a in firing if inhibitor.quiets(a.labels) or around.hushed(a.labels)}
    rows: list[OutboxRow] = []
    for group in groups:
        rows += _flush(connection, group, alerts, quiet, around)
    rows += expiry_warnings(connection, firing, around)
    if rows:
        connection.execute(sa.insert(outbox), rows)
    return Dispatched(len(rows), len(quiet))


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
    group: _Group,
    alerts: Mapping[str, Alert],
    quiet: set[str],
    around: Surroundings,
) -> list[OutboxRow]:
    """What is due to be told of one group."""
    now, route = around.now, group.route
    muted = route.muted_at(now)
    loud = {f: a for f, a in group.firing.items() if not muted and f not in quiet}
    for f in group.told:
        if f in loud and f in around.flapping:
            group.told[f] = loud[f].instance.fired_at  # open again while it flaps: known already
    opened = [f for f, a in loud.items() if group.told.get(f, -1.0) != a.instance.fired_at]
    closed = [f for f in group.told if f not in group.firing and f not in around.flapping]
    if group.first_flush_at is None:
        group.first_flush_at = now + route.group_wait_s
    due_at = (
        group.first_flush_at if group.sent_at is None else group.sent_at + route.group_interval_s
    )
    repeat = (
        group.sent_at is not None
        and now - group.sent_at >= route.repeat_interval_s
        and any(a.acknowledged_at is None for a in loud.values())
    )
    rows: list[OutboxRow] = []
    heard = _Heard(connection, group, around)
    if (opened or closed or repeat) and now >= due_at:
        firing = [_notice_alert(a, around) for a in loud.values()]
        ended = [_closed_alert(connection, f, group, alerts, around) for f in closed]
        base = around.channels(route.channels)
        for name in base:
            rows += _rows(group, name, [*firing, *ended], around)
        for name in heard.others(closed, base):
            theirs = [a for a in ended if name in heard.channels_of(a.fingerprint)]
            rows += _rows(group, name, theirs, around)
        heard.note(loud, base)
        heard.forget(closed)
        group.told = {
            **{f: told for f, told in group.told.items() if f not in closed},
            **{f: a.instance.fired_at for f, a in loud.items()},
        }
        group.sent_at = now
    # Told before the route had steps: they count from now.
    heard.note_new({f: a for f, a in loud.items() if f in group.told})
    rows += _escalate(group, loud, heard, around)
    heard.save()
    _store(connection, group)
    return rows


class _Heard:
    """Who heard of the alerts of one group. Does nothing on routes that need no such record."""

    def __init__(self, connection: sa.Connection, group: _Group, around: Surroundings) -> None:
        names = {rotation.name for rotation in around.delivery.rotations}
        self.kept = bool(group.route.escalations) or not names.isdisjoint(group.route.channels)
        self._connection = connection
        self._key = group.key
        self._now = around.now
        self._before = load_told(connection, group.key) if self.kept and group.stored else {}
        self.told = dict(self._before)

    def channels_of(self, fingerprint: str) -> tuple[str, ...]:
        return self.told[fingerprint].channels if fingerprint in self.told else ()

    def others(self, fingerprints: Iterable[str], base: Sequence[str]) -> list[str]:
        """Channels besides `base` that heard of any of these."""
        names = (name for f in fingerprints for name in self.channels_of(f))
        return [name for name in dict.fromkeys(names) if name not in base]

    def note(self, alerts: Mapping[str, Alert], channels: Sequence[str], level: int = 0) -> None:
        if not self.kept:
            return
        for f, alert in alerts.items():
            fired_at = alert.instance.fired_at or 0.0
            told = self.told.get(f)
            if told is None:
                told = Told(fired_at, self._now, 0, ())
            elif told.fired_at != fired_at:  # a new incident: its escalation starts over
                told = Told(fired_at, self._now, 0, told.channels)
            self.told[f] = told.also(channels, level)

    def note_new(self, alerts: Mapping[str, Alert]) -> None:
        self.note({f: a for f, a in alerts.items() if f not in self.told}, ())

    def forget(self, fingerprints: Iterable[str]) -> None:
        for f in fingerprints:
            self.told.pop(f, None)

    def save(self) -> None:
        if self.kept:
            save_told(self._connection, self._key, self._before, self.told)


def _escalate(
    group: _Group, loud: Mapping[str, Alert], heard: _Heard, around: Surroundings
) -> list[OutboxRow]:
    """Tell further people of alerts that were told long enough ago and nobody acknowledged."""
    rows: list[OutboxRow] = []
    for level, step in enumerate(group.route.escalations, start=1):
        due = {
            f: alert
            for f, alert in loud.items()
            if alert.acknowledged_at is None
            and (told := heard.told.get(f)) is not None
            and told.level < level
            and around.now - told.told_at >= step.after_s
        }
        if not due:
            continue
        channels = around.channels(step.channels)
        span = say_span(timedelta(seconds=step.after_s))
        why = {"escalation": f"Nobody acknowledged this within {span} (step {level})."}
        shown = [
            replace(one, annotations={**one.annotations, **why})
            for one in (_notice_alert(alert, around) for alert in due.values())
        ]
        for name in channels:
            rows += _rows(group, name, shown, around, f"step{level}")
        heard.note(due, channels, level)
    return rows


def _rows(
    group: _Group,
    name: str,
    shown: Sequence[NoticeAlert],
    around: Surroundings,
    part: str = "",
) -> list[OutboxRow]:
    """The outbox row for one channel; none when it does not want to hear of these."""
    wants_ends = around.delivery.channels[name].send_resolved
    told = [a for a in shown if a.status == "firing" or wants_ends]
    if not told:
        return []
    key = ":".join(p for p in (group.key, str(int(around.now * 1000)), name, part) if p)
    notice = make_notice(
        key=key,
        group_key=group.key,
        receiver=name,
        group_labels=group.labels,
        alerts=told,
        external_url=around.external_url,
    )
    return [outbox_row(notice, around.now)]


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


def _notice_alert(alert: Alert, around: Surroundings) -> NoticeAlert:
    instance = alert.instance
    fires = alert.state is State.FIRING
    started = instance.fired_at if instance.fired_at is not None else instance.updated_at
    flaps = around.flapping.get(alert.fingerprint)
    return NoticeAlert(
        status="firing" if fires else "resolved",
        labels={k: cut(v, LABEL_CHARS_MAX) for k, v in alert.labels.items()},
        annotations={**alert.annotations, **({"flapping": str(flaps)} if flaps else {})},
        starts_at=started or 0.0,
        ends_at=None if fires else (instance.resolved_at or instance.updated_at),
        generator_url=alert_url(around.external_url, alert.fingerprint),
        fingerprint=alert.fingerprint,
    )


def _closed_alert(
    connection: sa.Connection,
    fingerprint: str,
    group: _Group,
    alerts: Mapping[str, Alert],
    around: Surroundings,
) -> NoticeAlert:
    """A told alert that no longer fires here; its row may be gone, or it moved to another group."""
    alert = alerts.get(fingerprint)
    if alert is not None and alert.state is not State.FIRING:
        return _notice_alert(alert, around)
    labels: Mapping[str, str] = alert.labels if alert else group.labels
    annotations = alert.annotations if alert else {}
    if alert is None:  # it breached again for a moment since, and was let go: the history knows it
        of = sa.select(alert_history.c.labels, alert_history.c.summary)
        last = of.where(alert_history.c.fingerprint == fingerprint)
        row = connection.execute(last.order_by(alert_history.c.id.desc()).limit(1)).one_or_none()
        if row is not None:
            labels, annotations = json.loads(row.labels), {"summary": row.summary}
    return NoticeAlert(
        status="resolved",
        labels={k: cut(v, LABEL_CHARS_MAX) for k, v in labels.items()},
        annotations=annotations,
        starts_at=group.told.get(fingerprint) or around.now,
        ends_at=around.now,
        generator_url=alert_url(around.external_url, fingerprint),
        fingerprint=fingerprint,
    )
