"""CORS: which pages of a browser may send over HTTP. Off unless origins are named.

Fetch standard, "CORS protocol". Credentials are never allowed by it: a token travels in a header,
and cookies mean nothing here.
"""

from __future__ import annotations

from collector.http_body import Message, Scope, Send

_ALLOWED_HEADERS = b"authorization, content-encoding, content-type"
_PREFLIGHT_S = 3600


class Cors:
    """Answers preflights and marks answers."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        """`origins`: exact origins, or `*` among them for any. Empty = off."""
        self._any = "*" in origins
        self._origins = frozenset(origin.encode("latin-1", "replace") for origin in origins)

    @property
    def enabled(self) -> bool:
        return bool(self._origins)

    def is_preflight(self, scope: Scope) -> bool:
        if not self.enabled or scope["method"] != "OPTIONS":
            return False
        return any(name == b"access-control-request-method" for name, _ in scope["headers"])

    def wrap(self, scope: Scope, send: Send) -> Send:
        """A `send` that adds the origin where it is allowed; others' answers stay as they are,
        and the browser keeps them from the page."""
        origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
        if origin is None or not (self._any or origin in self._origins):
            return send
        added = [(b"access-control-allow-origin", origin), (b"vary", b"origin")]

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        return marked

    async def answer_preflight(self, send: Send) -> None:
        headers = [
            (b"access-control-allow-methods", b"POST"),
            (b"access-control-allow-headers", _ALLOWED_HEADERS),
            (b"access-control-max-age", b"%d" % _PREFLIGHT_S),
            (b"content-length", b"0"),
        ]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
