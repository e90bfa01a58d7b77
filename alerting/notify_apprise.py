"""The long tail of services through the apprise library (`pip install gatelens[apprise]`).

An apprise address can name nearly anything: a desktop bus, a syslog, any host at all. So only the
services below are taken: each talks TLS to a host that the library fixes, never to one that the
address names (a test holds the list against the library). The address holds the credentials and is
therefore always a reference (`env:NAME`, `file:/path`).
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any

from alerting.channel import ChannelConfig
from alerting.errors import AddressRefused, DeliveryFailed
from alerting.limits import DELIVERY_TIMEOUT_S
from alerting.notice import Notice
from alerting.notify_chat import alert_lines, left_out
from alerting.notify_webhook import channel_url
from alerting.templates import cut

SERVICES = (
    "brevo", "cliq", "clicksend", "dingtalk", "feishu", "firehydrant", "flock", "gchat", "groupme",
    "ifttt", "ilert", "incidentio", "lark", "line", "mailersend", "msgbird", "pagertree", "pbul",
    "plivo", "postmark", "pover", "prowl", "resend", "ringc", "ryver", "sendgrid", "signl4",
    "sinch", "sns", "spike", "splunk", "spush", "squadcast", "threema", "twilio", "twist",
    "victorops", "vonage", "webex", "wecombot", "wxteams", "zoom",
)  # fmt: skip
"""Beginnings of addresses (`pover://...`) that are taken."""

BODY_CHARS_MAX = 2_000
"""The library cuts further where a service takes less."""


def apprise_installed() -> bool:
    """Whether the extra is there; a channels file that needs it is refused otherwise."""
    return find_spec("apprise") is not None


def send_apprise(channel: ChannelConfig, notice: Notice, now: float) -> None:
    """Deliver one notice. Raises AddressRefused, DeliveryFailed or SecretMissing.

    The library says only whether it worked, so every failure is tried again.
    """
    service = _service(channel)
    lines = [text for _, text in alert_lines(notice)]
    if left_out(notice):
        lines.append(f"... and {left_out(notice)} more")
    kind = "success" if notice.status == "resolved" else "failure"
    took = service.notify(
        title=cut(notice.title, 250),
        body=cut("\n".join(lines), BODY_CHARS_MAX),
        notify_type=kind,
        body_format="text",
    )
    if not took:
        raise DeliveryFailed(
            f"{service.service_name} did not take it.",
            retry=True,
            hint="Check the channel's address: it holds the service's keys.",
        )


def _service(channel: ChannelConfig) -> Any:
    """The library's object for the channel's address. Errors never show the address."""
    import apprise

    # Its own messages may hold parts of the address.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    url = channel_url(channel)
    name = url.partition("://")[0].lower()
    if name not in SERVICES:
        raise AddressRefused(
            "The channel's apprise address names no service that is taken.",
            f"It must begin with one of: {', '.join(SERVICES)}.",
        )
    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if service is None:
        raise AddressRefused(
            f"The channel's {name} address cannot be read.", "See the library's page of it."
        )
    service.socket_connect_timeout = service.socket_read_timeout = DELIVERY_TIMEOUT_S
    return service
