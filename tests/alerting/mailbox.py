"""A real SMTP server in the process, and an e-mail channel that leads to it."""

from __future__ import annotations

import socket

import pytest
from aiosmtpd.controller import Controller

from alerting.channel import ChannelConfig
from tests.alerting.world import LOOPBACK


class Mailbox:
    """What the SMTP server took; `answer` refuses instead."""

    def __init__(self):
        self.messages = []
        self.answer = ""

    async def handle_DATA(self, server, session, envelope):
        if self.answer:
            return self.answer
        self.messages.append((envelope.rcpt_tos, envelope.content))
        return "250 OK"


@pytest.fixture
def smtp():
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as probe:  # Controller wants a port, not 0
        port = probe.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    box.channel = ChannelConfig(
        "mail", "email", smtp_host="127.0.0.1", smtp_port=port, smtp_tls="none",
        sender="gatelens@example.com", to=("a@example.com", "b@example.com"),
        allow_networks=LOOPBACK,
    )  # fmt: skip
    yield box
    controller.stop()
