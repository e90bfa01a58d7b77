"""The way from one log record to what the same service said around it."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode

from dashboards.view import View

CONTEXT = timedelta(seconds=30)
"""How much before and after one record its context shows."""


def context_href(time: datetime, service: str | None, view: View) -> str:
    """The records of the same service just before and after one, with that one marked."""
    start, end = time - CONTEXT, time + CONTEXT
    asked_for = {
        "from": f"{start:%Y-%m-%dT%H:%M:%S}",
        "to": f"{end + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}",
        "focus": time.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "refresh": "off",
        **({"service": service} if service else {}),
        **({"env": view.filters["env"][0]} if "env" in view.filters else {}),
    }
    return "/logs?" + urlencode(asked_for)
