"""One POST to a checked address: pinned IP, no redirects, one deadline, the answer thrown away."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import cache
from time import time

import httpx

from alerting.errors import DeliveryFailed
from alerting.limits import DELIVERY_TIMEOUT_S, RESPONSE_BYTES_MAX, RETRY_AFTER_MAX_S
from alerting.net_guard import Network, Target, check_url

_RETRIED = frozenset({408, 425, 429})
"""4xx answers that may go away by themselves; the other 4xx say the request itself is wrong."""


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allowed: Sequence[Network] = (),
    timeout_s: float = DELIVERY_TIMEOUT_S,
    ok: frozenset[int] = frozenset(),
) -> None:
    """POST and return once the receiver answered 2xx (or a status of `ok`).

    Raises DeliveryFailed (AddressRefused among them): retry for 5xx, 408, 425, 429, 3xx never, and
    for anything that goes wrong on the way. Messages name the host, never the path or a header.
    """
    target = check_url(url, allowed)
    try:
        status, retry_after, text = _exchange(target, body, headers, timeout_s)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, RuntimeError) as err:
        # RuntimeError: the watchdog closed the client under a receiver that drips its answer.
        raise DeliveryFailed(
            f"{target.host} did not answer: {type(err).__name__}.", retry=True
        ) from err
    if 200 <= status < 300 or status in ok:
        return
    retry = status >= 500 or status in _RETRIED
    raise DeliveryFailed(
        f"{target.host} answered {status}{': ' + text if text else ''}",
        retry=retry,
        retry_after_s=_wait_s(retry_after) if retry else None,
        hint="" if retry else "Check the channel's address and secret.",
    )


def _exchange(
    target: Target, body: bytes, headers: Mapping[str, str], timeout_s: float
) -> tuple[int, str, str]:
    host = f"[{target.address}]" if ":" in target.address else target.address
    default_port = 443 if target.scheme == "https" else 80
    named = f"[{target.host}]" if ":" in target.host else target.host
    host_header = named if target.port == default_port else f"{named}:{target.port}"
    client = httpx.Client(
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=False,
        verify=_trusted_roots(),
        headers={"Accept": "*/*"},
    )
    # httpx bounds each read, not the whole: a receiver that drips bytes would hold the channel.
    watchdog = threading.Timer(timeout_s, client.close)
    watchdog.daemon = True
    watchdog.start()
    try:
        with client.stream(
            "POST",
            f"{target.scheme}://{host}:{target.port}{target.path}",
            content=body,
            headers={**headers, "Host": host_header},
            extensions={"sni_hostname": target.host},
        ) as response:
            text = b""
            if response.status_code >= 300:
                for chunk in response.iter_bytes(RESPONSE_BYTES_MAX):
                    text += chunk
                    if len(text) >= RESPONSE_BYTES_MAX:
                        break
            return (
                response.status_code,
                response.headers.get("Retry-After", ""),
                " ".join(text[:200].decode("utf-8", "replace").split()),
            )
    finally:
        watchdog.cancel()
        client.close()


@cache
def _trusted_roots() -> ssl.SSLContext:
    """Read once: it takes longer than a whole notification."""
    return httpx.create_ssl_context(trust_env=False)


def _wait_s(retry_after: str) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3); None when it says nothing usable."""
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S) if seconds == seconds else None
