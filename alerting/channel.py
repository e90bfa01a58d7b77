"""What a channel is, once read. How it is written: `channels.py`; how it sends: `notify_*.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alerting.net_guard import Network

ChannelType = Literal[
    "webhook",
    "alertmanager",
    "slack",
    "pagerduty",
    "opsgenie",
    "teams",
    "discord",
    "telegram",
    "email",
    "apprise",
]


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """One place to send notifications to. Secrets are references (`env:`, `file:`) only."""

    name: str
    type: ChannelType
    url: str = ""
    """Address or reference to it; '' = the service's own."""
    secret: str = ""
    """Reference: HMAC key of a webhook, password of e-mail."""
    token: str = ""
    """Reference: bearer token, PagerDuty routing key, Opsgenie API key, Telegram bot token."""
    send_resolved: bool = True
    allow_networks: tuple[Network, ...] = ()
    """Private or loopback networks this channel may call; () = only public addresses, by https."""
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str = ""
    sender: str = ""
    to: tuple[str, ...] = ()
    """Addresses of e-mail, chat ids of Telegram."""
    rate_per_minute: int = 60
    """Notifications sent to it in a minute at most; the rest waits."""
