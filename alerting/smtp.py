"""Sending a message over SMTP, to a checked address of an e-mail channel's mail host."""

from __future__ import annotations

import smtplib
import socket
import ssl
from email.message import EmailMessage

from alerting.channel import ChannelConfig
from alerting.errors import DeliveryFailed
from alerting.limits import DELIVERY_TIMEOUT_S
from alerting.net_guard import check_host
from alerting.secret_refs import read_secret


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


def send_message(
    channel: ChannelConfig, message: EmailMessage, *, timeout_s: float = DELIVERY_TIMEOUT_S
) -> None:
    """Raises DeliveryFailed (a refused recipient or message is not retried) or SecretMissing."""
    address = check_host(channel.smtp_host, channel.smtp_port, channel.allow_networks)
    kind = type(
        "Smtp",
        (_PinnedSmtpTls if channel.smtp_tls == "tls" else _PinnedSmtp,),
        {"pinned": address},
    )
    try:
        with kind(channel.smtp_host, channel.smtp_port, timeout=timeout_s) as smtp:
            if channel.smtp_tls == "starttls":
                smtp.starttls(context=ssl.create_default_context())
            if channel.smtp_user:
                smtp.login(channel.smtp_user, read_secret(channel.secret))
            smtp.send_message(message)
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
