from __future__ import annotations

from tests.alerting.mailbox import smtp

__all__ = ["smtp"]
