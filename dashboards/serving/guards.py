"""ASGI guards in front of everything: known hosts, same-origin updates, body caps, secure headers.

Decisions use `scope["path"]` and the raw headers, never a URL put together from the Host header.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import orjson

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def content_policy(script_hashes: Iterable[str]) -> str:
    """Content-Security-Policy of screens: own files and the framework's hashed inline script."""
    hashes = " ".join(script_hashes)
    return (
        f"default-src 'self'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
        "worker-src 'self' blob:; object-src 'none'; frame-ancestors 'none'; base-uri 'self'; "
        "form-action 'self'"
    )


SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


def header(scope: Scope, name: bytes) -> str | None:
    """A header's value; None when it is missing or there twice with different values."""
    values = {value for key, value in scope.get("headers", ()) if key == name}
    return values.pop().decode("latin-1") if len(values) == 1 else None


def host_allowed(host: str | None, allowed: frozenset[str]) -> bool:
    """Addresses, localhost and configured names; a strange name is DNS rebinding or a mistake."""
    if host is None:
        return False
    try:
        name = (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return False
    if any(c in host for c in "/\\?#@ "):
        return False
    if name in ("localhost", *allowed) or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def same_origin(scope: Scope) -> bool:
    """Whether a state-changing request comes from our own pages.

    Browsers always send Origin with a cross-site POST; a client without one (curl) carries no
    cookies of a user, so it is let through.
    """
    origin = header(scope, b"origin")
    site = header(scope, b"sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    if origin is None:
        return not any(key == b"origin" for key, _ in scope.get("headers", ()))
    return urlsplit(origin).netloc == header(scope, b"host")


async def respond_json(
    send: Send, status: int, body: object, *headers: tuple[bytes, bytes]
) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json"), *SECURITY_HEADERS, *headers],
        }
    )
    await send({"type": "http.response.body", "body": orjson.dumps(body)})


async def refuse(send: Send, status: int, sentence: str) -> None:
    await respond_json(send, status, {"error": sentence})


class BodyTooLarge(Exception):
    """More bytes came than the path allows."""


class Capped:
    """`receive` that raises BodyTooLarge beyond `limit` bytes, declared or really sent.

    `exceeded` stays set: frameworks swallow what reading a body raises.
    """

    def __init__(self, scope: Scope, receive: Receive, limit: int) -> None:
        declared = header(scope, b"content-length")
        if declared is not None and declared.isdigit() and int(declared) > limit:
            raise BodyTooLarge
        self._receive = receive
        self._left = limit
        self.exceeded = False

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.exceeded = True
            raise BodyTooLarge
        return message


def with_headers(
    send: Send, extra: Iterable[tuple[bytes, bytes]], status: int | None = None
) -> Send:
    """`send` that adds headers to the answer; `status` replaces a 200."""
    added = list(extra)

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            names = {name for name, _ in added}
            kept = [(k, v) for k, v in message.get("headers", ()) if k.lower() not in names]
            message = {**message, "headers": [*kept, *added]}
            if status is not None and message["status"] == 200:
                message["status"] = status
        await send(message)

    return wrapped
