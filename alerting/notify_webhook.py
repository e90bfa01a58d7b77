"""Generic webhook: Alertmanager's payload, signed.

Headers: `X-Gatelens-Delivery` is the notice's key (drop what you have seen), `X-Gatelens-Timestamp`
the time of sending, `X-Gatelens-Signature` is `sha256=` and the hex HMAC-SHA256, under the shared
secret, of the timestamp, a dot and the body. Without a secret there is no signature.
"""

from __future__ import annotations

import hashlib
import hmac

from alerting.channel import ChannelConfig
from alerting.http_post import post
from alerting.notice import Notice, encode_notice
from alerting.secret_refs import is_reference, read_secret


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Value of the signature header."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


def send_webhook(channel: ChannelConfig, notice: Notice, now: float) -> None:
    """Deliver one notice. Raises DeliveryFailed or SecretMissing."""
    body = encode_notice(notice).encode()
    timestamp = str(int(now))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "gatelens",
        "X-Gatelens-Delivery": notice.key,
        "X-Gatelens-Timestamp": timestamp,
    }
    if channel.secret:
        headers["X-Gatelens-Signature"] = sign(read_secret(channel.secret), timestamp, body)
    if channel.token:
        headers["Authorization"] = f"Bearer {read_secret(channel.token)}"
    post(channel_url(channel), body, headers, allowed=channel.allow_networks)


def channel_url(channel: ChannelConfig) -> str:
    """The channel's address, read from its secret when it is a reference."""
    return read_secret(channel.url) if is_reference(channel.url) else channel.url
