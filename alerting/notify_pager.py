"""PagerDuty, Opsgenie and Prometheus Alertmanager: services that keep alerts of their own.

The group's key is their deduplication key, so firing, repeats and the resolve are one incident
there, and a notification that arrives twice changes nothing.
"""

from __future__ import annotations

from urllib.parse import quote

import orjson

from alerting.channel import ChannelConfig
from alerting.http_post import post
from alerting.notice import Notice, NoticeAlert, rfc3339
from alerting.notify_chat import JsonObject, alert_lines, left_out
from alerting.notify_webhook import channel_url
from alerting.secret_refs import read_secret
from alerting.templates import cut

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
OPSGENIE_URL = "https://api.opsgenie.com"
ALERTMANAGER_FIRES_S = 43_200.0
"""Alertmanager drops an alert that is not sent again before its end. We send on change and every
repeat interval (4 h by default), so the end is put well beyond that; a resolve ends it at once."""
ALERTMANAGER_SKEW_S = 10.0
"""How far its clock may be behind ours. An end that still lies in its future is no resolve there:
it is merged with the end we gave while firing, the later one wins, and the alert goes on for hours
(github.com/prometheus/alertmanager, types/types.go, Alert.Merge). So ends are told this much early.
"""


def pagerduty_payload(notice: Notice, routing_key: str) -> JsonObject:
    """Events API v2 (https://developer.pagerduty.com/docs/events-api-v2/trigger-events): summary at
    most 1,024 characters, dedup_key 255."""
    event: JsonObject = {
        "routing_key": routing_key,
        "event_action": "trigger" if notice.status == "firing" else "resolve",
        "dedup_key": notice.group_key,
    }
    if notice.status == "resolved":
        return event
    first = notice.alerts[0]
    event["payload"] = {
        "summary": cut(notice.title, 1024),
        "source": first.labels.get("api") or first.labels.get("gateway") or "gatelens",
        "severity": notice.severity,
        "timestamp": rfc3339(first.starts_at),
        "group": notice.group_labels.get("alertname", ""),
        "class": first.labels.get("alertname", ""),
        "custom_details": {
            "alerts": [text for _, text in alert_lines(notice)],
            "more": left_out(notice),
            "labels": dict(first.labels),
            "description": first.annotations.get("description", ""),
        },
    }
    event["client"] = "Gatelens"
    event["client_url"] = first.generator_url
    runbook = first.annotations.get("runbook_url", "")
    if runbook:
        event["links"] = [{"href": runbook, "text": "Runbook"}]
    return event


def opsgenie_payload(notice: Notice) -> JsonObject:
    """Alert API (https://docs.opsgenie.com/docs/alert-api#create-alert): message at most 130
    characters, alias 512, description 15,000."""
    first = notice.alerts[0]
    return {
        "alias": notice.group_key,
        "message": cut(notice.title, 130),
        "description": cut("\n".join(text for _, text in alert_lines(notice)), 15_000),
        "details": {**first.labels, "url": first.generator_url},
        "source": "gatelens",
        "priority": {"critical": "P1", "warning": "P3"}.get(notice.severity, "P5"),
        "tags": [notice.severity],
    }


def alertmanager_payload(notice: Notice, now: float) -> list[JsonObject]:
    """POST /api/v2/alerts (github.com/prometheus/alertmanager, api/v2/openapi.yaml)."""
    return [
        {
            "labels": dict(alert.labels),
            "annotations": dict(alert.annotations),
            "startsAt": rfc3339(alert.starts_at),
            "endsAt": rfc3339(_alertmanager_end(alert, now)),
            "generatorURL": alert.generator_url,
        }
        for alert in notice.alerts
    ]


def _alertmanager_end(alert: NoticeAlert, now: float) -> float:
    if alert.ends_at is None:
        return now + ALERTMANAGER_FIRES_S
    return max(alert.starts_at, min(alert.ends_at, now - ALERTMANAGER_SKEW_S))


def send_pagerduty(channel: ChannelConfig, notice: Notice, now: float) -> None:
    """Raises DeliveryFailed or SecretMissing; so do the others here."""
    url = channel_url(channel) if channel.url else PAGERDUTY_URL
    _post(channel, url, pagerduty_payload(notice, read_secret(channel.token)))


def send_opsgenie(channel: ChannelConfig, notice: Notice, now: float) -> None:
    base = (channel_url(channel) if channel.url else OPSGENIE_URL).rstrip("/")
    key = {"Authorization": f"GenieKey {read_secret(channel.token)}"}
    if notice.status == "firing":
        _post(channel, f"{base}/v2/alerts", opsgenie_payload(notice), key)
        return
    alias = quote(notice.group_key, safe="")
    url = f"{base}/v2/alerts/{alias}/close?identifierType=alias"
    _post(channel, url, {"source": "gatelens"}, key)


def send_alertmanager(channel: ChannelConfig, notice: Notice, now: float) -> None:
    url = f"{channel_url(channel).rstrip('/')}/api/v2/alerts"
    token = {"Authorization": f"Bearer {read_secret(channel.token)}"} if channel.token else {}
    _post(channel, url, alertmanager_payload(notice, now), token)


def _post(
    channel: ChannelConfig,
    url: str,
    payload: JsonObject | list[JsonObject],
    headers: dict[str, str] | None = None,
) -> None:
    every = {"Content-Type": "application/json", "User-Agent": "gatelens", **(headers or {})}
    post(url, orjson.dumps(payload), every, allowed=channel.allow_networks)
