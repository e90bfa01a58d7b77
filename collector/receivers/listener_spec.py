"""Listeners as settings write them: `syslog+udp://127.0.0.1:5514?format=nginx&tenant=shop`."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import parse_qsl, urlsplit

Framing = Literal["syslog", "json"]
Transport = Literal["udp", "tcp"]

_DEFAULT_FORMAT = {"syslog": "syslog", "json": "json_lines"}


@dataclass(frozen=True, slots=True)
class ListenerSpec:
    """One listener."""

    framing: Framing
    """syslog: a header before each message; json: bare lines or datagrams."""
    transport: Transport
    host: str
    port: int
    """0 = a free one, logged at start."""
    format: str
    """Name in FORMATS of what the messages are."""
    tenant: str = "default"
    environment: str | None = None


def parse_listener(text: str, formats: Container[str]) -> ListenerSpec:
    """Raises ValueError with one sentence."""
    parts = urlsplit(text)
    framing, _, transport = parts.scheme.partition("+")
    if framing not in _DEFAULT_FORMAT or transport not in ("udp", "tcp"):
        raise ValueError(
            f"Listener {text!r} must begin with syslog+udp, syslog+tcp, json+udp or json+tcp."
        )
    try:
        port = parts.port
    except ValueError:
        port = None
    if port is None:
        raise ValueError(f"Listener {text!r} has no port from 0 to 65535.")
    options = dict(parse_qsl(parts.query))
    unknown = options.keys() - {"format", "tenant", "environment"}
    if unknown:
        raise ValueError(
            f"Listener {text!r}: unknown option {min(unknown)}; "
            "there are format, tenant and environment."
        )
    name = options.get("format", _DEFAULT_FORMAT[framing])
    if name not in formats:
        raise ValueError(f"Listener {text!r}: there is no format {name!r}; see `gatelens formats`.")
    return ListenerSpec(
        cast(Framing, framing),
        cast(Transport, transport),
        parts.hostname or "127.0.0.1",
        port,
        name,
        options.get("tenant", "default"),
        options.get("environment"),
    )
