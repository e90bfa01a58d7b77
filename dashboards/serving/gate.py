"""Decides for each request who is asking, before anything else sees it.

A bearer token under /api, else the session's cookie, else nobody: pages lead to the login, all
else is 401. Where no login is asked, `LOCAL` asks. Public links have a door of their own
(custom/public_page.py).
Decisions use `scope["path"]` and raw headers.
"""

from __future__ import annotations

import asyncio
import dataclasses
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote

from dashboards import identity
from dashboards.identity import Principal
from dashboards.people.errors import TooManyAttempts
from dashboards.people.sign_in import SignIn
from dashboards.serving.guards import Scope, Send, header, respond_json, same_origin

COOKIE = "gatelens_session"
SECURE_COOKIE = "__Host-gatelens_session"
"""Under TLS: browsers take a cookie of that name only over TLS, for this host and every path."""

BEARER_CHARS_MAX = 400


class Gate:
    def __init__(self, sign_in: SignIn) -> None:
        self.sign_in = sign_in
        self._public_tls = sign_in.settings.public_url.startswith("https://")

    async def who(self, scope: Scope) -> Principal | None:
        """Who is asking; None = nobody. Raises TooManyAttempts."""
        return await asyncio.to_thread(self._who, scope)

    def _who(self, scope: Scope) -> Principal | None:
        self.sign_in.sweep()
        address = address_of(scope)
        if not self.sign_in.asked():
            return dataclasses.replace(identity.LOCAL, address=address)
        bearer = bearer_of(scope)
        if bearer is not None:
            # A token that does not hold is not made up for by a cookie: say so instead.
            return self.sign_in.by_token(bearer, address) if is_api(scope["path"]) else None
        secret = self.cookie(scope)
        return self.sign_in.by_cookie(secret, address) if secret else None

    def cookie(self, scope: Scope) -> str:
        """The session's secret that the browser sent; '' = none."""
        return cookies_of(scope).get(SECURE_COOKIE if self.secure(scope) else COOKIE, "")

    def secure(self, scope: Scope) -> bool:
        return self._public_tls or scope.get("scheme") == "https"

    def set_cookie(self, scope: Scope, secret: str) -> tuple[bytes, bytes]:
        """The header that gives a browser its session; '' takes it away."""
        age = round(self.sign_in.sessions.longest_s) if secret else 0
        secure = self.secure(scope)
        name = SECURE_COOKIE if secure else COOKIE
        text = f"{name}={secret}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax"
        return b"set-cookie", (text + ("; Secure" if secure else "")).encode()

    async def turn_away(self, scope: Scope, send: Send) -> None:
        """Nobody is asking: a page leads to the login, everything else says so."""
        path: str = scope["path"]
        page = scope["method"] in ("GET", "HEAD") and not is_api(path) and "/_" not in path
        if not page:
            await respond_json(
                send,
                401,
                {"error": "Sign in first, or send a token: Authorization: Bearer glq_..."},
                (b"www-authenticate", b'Bearer realm="gatelens"'),
                (b"cache-control", b"no-store"),
            )
            return
        wanted = path
        if scope.get("query_string"):
            wanted += "?" + scope["query_string"].decode("latin-1")
        target = "/login" if wanted == "/" else f"/login?next={quote(wanted, safe='')}"
        await redirect(send, target)


def is_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def changes_state(scope: Scope) -> bool:
    return scope["method"] not in ("GET", "HEAD", "OPTIONS")


def proves_same_origin(scope: Scope) -> bool:
    """Whether a request that a browser's cookie speaks for really comes from our own pages.

    Browsers send Origin with every POST; without it, and without Sec-Fetch-Site, there is no proof.
    """
    told = header(scope, b"origin") is not None or header(scope, b"sec-fetch-site") is not None
    return told and same_origin(scope)


def address_of(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def bearer_of(scope: Scope) -> str | None:
    """The bearer token that was sent; None = none. Two different headers, or too long, are ''."""
    sent: list[bytes] = [v for k, v in scope["headers"] if k == b"authorization"]
    if not sent:
        return None
    text = sent[0].decode("latin-1")
    kind, _, secret = text.partition(" ")
    if len(sent) > 1 or kind.lower() != "bearer" or len(text) > BEARER_CHARS_MAX:
        return ""
    return secret.strip()


def cookies_of(scope: Scope) -> dict[str, str]:
    """Cookies by name; what cannot be read is left out."""
    found: dict[str, str] = {}
    for key, value in scope["headers"]:
        if key != b"cookie" or len(value) > 16_384:
            continue
        for part in value.decode("latin-1").split(";"):
            try:
                found.update({k: m.value for k, m in SimpleCookie(part.strip()).items()})
            except CookieError:
                continue
    return found


def harmless_path(text: str) -> str:
    """A path of ours to go to after the login; '/' for anything that could lead elsewhere."""
    plain = text.isascii() and text.isprintable() and "\\" not in text and len(text) < 4096
    return text if plain and text.startswith("/") and not text.startswith("//") else "/"


async def redirect(send: Send, target: str, *headers: tuple[bytes, bytes]) -> None:
    """See Other; `target` is a path of ours, or an address the provider gave."""
    await send(
        {
            "type": "http.response.start",
            "status": 303,
            "headers": [
                (b"location", target.encode("ascii", "ignore")),
                (b"cache-control", b"no-store"),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": b""})


async def put_off(send: Send, err: TooManyAttempts) -> None:
    await respond_json(
        send, 429, {"error": str(err)}, (b"retry-after", str(err.retry_after_s).encode())
    )
