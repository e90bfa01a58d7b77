"""E-mail over SMTP: text and HTML, one thread per group, to a checked address of the mail host."""

from __future__ import annotations

import hashlib
import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.utils import formatdate
from html import escape

from alerting.channel import ChannelConfig
from alerting.errors import DeliveryFailed
from alerting.limits import DELIVERY_TIMEOUT_S
from alerting.net_guard import check_host
from alerting.notice import Notice, NoticeAlert
from alerting.notify_chat import left_out
from alerting.secret_refs import read_secret
from alerting.templates import cut


class _PinnedSmtp(smtplib.SMTP):
    """Connects to the address that was checked; TLS still verifies the host's name."""

    pinned = ""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = socket.create_connection((self.pinned, port), timeout)
        return self._wrap(connection, host)

    def _wrap(self, connection: socket.socket, host: str) -> socket.socket:
        return connection


class _PinnedSmtpTls(_PinnedSmtp):
    """TLS from the first byte (port 465)."""

    def _wrap(self, connection: socket.socket, host: str) -> socket.socket:
        return ssl.create_default_context().wrap_socket(connection, server_hostname=host)


def email_message(channel: ChannelConfig, notice: Notice, now: float) -> EmailMessage:
    """The message. Its Message-ID comes from the notice's key: the same notice, the same id."""
    message = EmailMessage()
    message["Subject"] = cut(_one_line(notice.title), 200)
    message["From"] = channel.sender
    message["To"] = ", ".join(channel.to)
    message["Date"] = formatdate(now)
    message["Message-ID"] = _message_id(notice.key)
    message["References"] = _message_id(notice.group_key)
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
    address = check_host(channel.smtp_host, channel.smtp_port, channel.allow_networks)
    kind = type(
        "Smtp",
        (_PinnedSmtpTls if channel.smtp_tls == "tls" else _PinnedSmtp,),
        {"pinned": address},
    )
    try:
        with kind(channel.smtp_host, channel.smtp_port, timeout=DELIVERY_TIMEOUT_S) as smtp:
            if channel.smtp_tls == "starttls":
                smtp.starttls(context=ssl.create_default_context())
            if channel.smtp_user:
                smtp.login(channel.smtp_user, read_secret(channel.secret))
            smtp.send_message(email_message(channel, notice, now))
    except smtplib.SMTPResponseException as err:
        permanent = 500 <= err.smtp_code < 600
        raise DeliveryFailed(
            f"{channel.smtp_host} answered {err.smtp_code}.", retry=not permanent
        ) from err
    except smtplib.SMTPRecipientsRefused as err:
        permanent = all(500 <= code < 600 for code, _ in err.recipients.values())
        raise DeliveryFailed(
            f"{channel.smtp_host} refused every recipient.", retry=not permanent
        ) from err
    except (smtplib.SMTPException, OSError) as err:
        raise DeliveryFailed(
            f"{channel.smtp_host} did not take the message: {type(err).__name__}.", retry=True
        ) from err


def _message_id(key: str) -> str:
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@gatelens>"


def _one_line(text: str) -> str:
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
