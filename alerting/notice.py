"""A notification, whatever channel it goes to: what the outbox stores and every sender renders.

Its JSON is Alertmanager's webhook payload, version 4
(https://prometheus.io/docs/alerting/latest/configuration/#webhook_config), so that a receiver
written for Alertmanager takes ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, cast

import orjson

from alerting.limits import ALERTS_PER_NOTICE_MAX

Status = Literal["firing", "resolved"]
NO_END = "0001-01-01T00:00:00Z"
"""What Alertmanager writes as `endsAt` of an alert that still fires (Go's zero time)."""


@dataclass(frozen=True, slots=True)
class NoticeAlert:
    """One alert in a notification. Times are epoch seconds; ends_at None = still firing."""

    status: Status
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: float
    ends_at: float | None
    generator_url: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What one channel is told about one group of alerts."""

    key: str
    """Deduplication: a repeated delivery of the same notice carries the same key."""
    group_key: str
    """Stays the same from the first firing to the last resolve of a group."""
    receiver: str
    status: Status
    """firing while any alert of it fires."""
    group_labels: Mapping[str, str]
    alerts: tuple[NoticeAlert, ...]
    truncated_alerts: int
    """Alerts of the group that are left out of `alerts`."""
    external_url: str

    @property
    def title(self) -> str:
        """One line: '[FIRING:2] api-error-ratio orders: 7.3 % of requests fail'."""
        firing = sum(1 for a in self.alerts if a.status == "firing")
        head = f"[FIRING:{firing}]" if self.status == "firing" else "[RESOLVED]"
        first = next((a for a in self.alerts if a.status == self.status), None)
        if first is None:
            return head
        more = len(self.alerts) + self.truncated_alerts - 1
        tail = f" (and {more} more)" if more else ""
        return f"{head} {first.annotations.get('summary') or first.labels['alertname']}{tail}"

    @property
    def severity(self) -> str:
        """The gravest of its alerts; 'info' without any."""
        found = {a.labels.get("severity", "") for a in self.alerts}
        return next((s for s in ("critical", "warning", "info") if s in found), "info")


def make_notice(
    *,
    key: str,
    group_key: str,
    receiver: str,
    group_labels: Mapping[str, str],
    alerts: Sequence[NoticeAlert],
    external_url: str,
) -> Notice:
    """A notice with firing alerts first, cut to ALERTS_PER_NOTICE_MAX."""
    ordered = sorted(alerts, key=lambda a: (a.status != "firing", a.starts_at, a.fingerprint))
    status: Status = "firing" if any(a.status == "firing" for a in alerts) else "resolved"
    kept = tuple(ordered[:ALERTS_PER_NOTICE_MAX])
    left_out = len(ordered) - len(kept)
    return Notice(key, group_key, receiver, status, group_labels, kept, left_out, external_url)


def encode_notice(notice: Notice) -> str:
    """Alertmanager's webhook payload v4 as JSON text; `key` is an addition of ours."""
    body = {
        "version": "4",
        "groupKey": notice.group_key,
        "truncatedAlerts": notice.truncated_alerts,
        "status": notice.status,
        "receiver": notice.receiver,
        "groupLabels": dict(notice.group_labels),
        "commonLabels": _common([a.labels for a in notice.alerts]),
        "commonAnnotations": _common([a.annotations for a in notice.alerts]),
        "externalURL": notice.external_url,
        "alerts": [
            {
                "status": a.status,
                "labels": dict(a.labels),
                "annotations": dict(a.annotations),
                "startsAt": rfc3339(a.starts_at),
                "endsAt": NO_END if a.ends_at is None else rfc3339(a.ends_at),
                "generatorURL": a.generator_url,
                "fingerprint": a.fingerprint,
            }
            for a in notice.alerts
        ],
        "key": notice.key,
    }
    return orjson.dumps(body).decode()


def decode_notice(text: str) -> Notice:
    """What `encode_notice` or Alertmanager's webhook wrote (that one has no `key`: its groupKey).

    Raises KeyError or ValueError for anything else.
    """
    body = orjson.loads(text)
    alerts = tuple(
        NoticeAlert(
            status=cast(Status, a["status"]),
            labels=a["labels"],
            annotations=a["annotations"],
            starts_at=_epoch(a["startsAt"]),
            ends_at=None if a["endsAt"] == NO_END else _epoch(a["endsAt"]),
            generator_url=a["generatorURL"],
            fingerprint=a["fingerprint"],
        )
        for a in body["alerts"]
    )
    return Notice(
        body.get("key", body["groupKey"]), body["groupKey"], body["receiver"], body["status"],
        body["groupLabels"], alerts, body["truncatedAlerts"], body["externalURL"],
    )  # fmt: skip


OutboxRow = dict[str, str | float]
"""Columns of storage.state.outbox."""


def outbox_row(notice: Notice, now: float, *, not_before: float | None = None) -> OutboxRow:
    """The notice as a new row of the outbox; not_before: earliest time of sending."""
    return {
        "key": notice.key,
        "channel": notice.receiver,
        "group_key": notice.group_key,
        "payload": encode_notice(notice),
        "created_at": now,
        "attempts": 0,
        "next_attempt_at": now if not_before is None else not_before,
    }


def rfc3339(at: float) -> str:
    """'2026-11-21T10:00:00.000Z'"""
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _common(maps: Sequence[Mapping[str, str]]) -> dict[str, str]:
    if not maps:
        return {}
    return {k: v for k, v in maps[0].items() if all(m.get(k) == v for m in maps)}
