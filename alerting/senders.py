"""Which function sends for which type of channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from alerting.channel import ChannelConfig
from alerting.notice import Notice
from alerting.notify_webhook import send_webhook

Sender = Callable[[ChannelConfig, Notice, float], None]
"""Deliver one notice (third: epoch seconds now). Raises DeliveryFailed or SecretMissing."""

SENDERS: Mapping[str, Sender] = MappingProxyType({"webhook": send_webhook})
