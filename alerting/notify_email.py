"""E-mail: text and HTML, one thread of messages per group."""

from __future__ import annotations

import hashlib
from email.message import EmailMessage
from email.utils import formatdate
from html import escape

from alerting.channel import ChannelConfig
from alerting.notice import Notice, NoticeAlert
from alerting.notify_chat import left_out
from alerting.smtp import send_message
from alerting.templates import cut


def email_message(channel: ChannelConfig, notice: Notice, now: float) -> EmailMessage:
    """The message. Its Message-ID comes from the notice's key: the same notice, the same id."""
    message = EmailMessage()
    message["Subject"] = cut(one_line(notice.title), 200)
    message["From"] = channel.sender
    message["To"] = ", ".join(channel.to)
    message["Date"] = formatdate(now)
    message["Message-ID"] = message_id(notice.key)
    message["References"] = message_id(notice.group_key)
    message["Auto-Submitted"] = "auto-generated"
    message["X-Gatelens-Delivery"] = notice.key
    message.set_content("\n\n".join(map(_text, notice.alerts)) + _more(notice))
    rows = "".join(map(_html, notice.alerts))
    message.add_alternative(
        f"<!doctype html><html><body><h3>{escape(notice.title)}</h3><table>{rows}</table>"
        f"<p>{escape(_more(notice))}</p></body></html>",
        subtype="html",
    )
    return message


def send_email(channel: ChannelConfig, notice: Notice, now: float) -> None:
    """Raises DeliveryFailed (a refused recipient or message is not retried) or SecretMissing."""
    send_message(channel, email_message(channel, notice, now))


def message_id(key: str) -> str:
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@gatelens>"


def one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _text(alert: NoticeAlert) -> str:
    lines = [f"{alert.status}: {alert.annotations.get('summary', '')}"]
    lines += [v for k, v in alert.annotations.items() if k != "summary" and v]
    lines += [f"  {k}: {v}" for k, v in alert.labels.items()]
    return "\n".join([*lines, alert.generator_url])


def _html(alert: NoticeAlert) -> str:
    labels = ", ".join(f"{k}: {v}" for k, v in alert.labels.items())
    link = f'<a href="{escape(alert.generator_url, quote=True)}">open</a>'
    said = escape(alert.annotations.get("summary", ""))
    return (
        f"<tr><td>{alert.status}</td><td>{said}</td><td>{escape(labels)}</td><td>{link}</td></tr>"
    )


def _more(notice: Notice) -> str:
    return f"\n\n... and {left_out(notice)} more" if notice.truncated_alerts else ""
