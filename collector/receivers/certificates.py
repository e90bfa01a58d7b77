"""When the certificate of a TLS connection expires."""

from __future__ import annotations

import ssl
from typing import Any


def certificate_expiry_s(stream: Any, now_s: float) -> float | None:
    """Seconds from `now_s` until the peer's certificate expires; negative = it has. None without
    TLS, or where the certificate was not verified (then Python does not decode it).

    `stream`: `network_stream` of an httpx response.
    """
    if stream is None:
        return None
    connection = stream.get_extra_info("ssl_object")
    if connection is None:
        return None
    certificate = connection.getpeercert()
    until = certificate.get("notAfter") if certificate else None
    return None if not until else ssl.cert_time_to_seconds(until) - now_s
