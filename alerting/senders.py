"""Which function sends for which type of channel, and a notice to try a channel with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from alerting.channel import ChannelConfig
from alerting.notice import Notice, NoticeAlert, make_notice
from alerting.notify_apprise import send_apprise
from alerting.notify_chat import send_discord, send_slack, send_teams, send_telegram
from alerting.notify_email import send_email
from alerting.notify_pager import send_alertmanager, send_opsgenie, send_pagerduty
from alerting.notify_webhook import send_webhook

Sender = Callable[[ChannelConfig, Notice, float], None]
"""Deliver one notice (third: epoch seconds now). Raises DeliveryFailed or SecretMissing."""

SENDERS: Mapping[str, Sender] = MappingProxyType(
    {
        "webhook": send_webhook,
        "alertmanager": send_alertmanager,
        "slack": send_slack,
        "teams": send_teams,
        "discord": send_discord,
        "telegram": send_telegram,
        "pagerduty": send_pagerduty,
        "opsgenie": send_opsgenie,
        "email": send_email,
        "apprise": send_apprise,
    }
)


def try_channel(channel: ChannelConfig, now: float, external_url: str = "") -> None:
    """Send a test notification at once, past the outbox. Raises DeliveryFailed, SecretMissing.

    It says resolved, so that nobody is paged by it.
    """
    alert = NoticeAlert(
        status="resolved",
        labels={"alertname": "GatelensTest", "severity": "info"},
        annotations={"summary": f"Channel {channel.name} works."},
        starts_at=now,
        ends_at=now,
        generator_url=external_url,
        fingerprint="test",
    )
    key = f"test:{channel.name}:{int(now * 1000)}"
    notice = make_notice(
        key=key,
        group_key=key,
        receiver=channel.name,
        group_labels={"alertname": "GatelensTest"},
        alerts=(alert,),
        external_url=external_url,
    )
    SENDERS[channel.type](channel, notice, now)
