"""Gzip for what the server sends: component files once and for ever, updates quickly each time.

Dash's own compression runs at the highest level on the event loop, for every request anew: a
second of standstill for everybody per browser that opens its first page. Here a file is compressed
once, off the loop, and kept; updates (JSON) take zlib-ng at its fastest: about 1 ms per 100 KB.
"""

from __future__ import annotations

import asyncio
import gzip

from zlib_ng import zlib_ng

from dashboards.serving.guards import App, Message, Receive, Scope, Send, refuse

SMALLEST_BYTES = 1024
"""Shorter answers are sent as they are."""

FILE_LEVEL = 6
UPDATE_LEVEL = 1

_FOR_EVER = b"public, max-age=31536000, immutable"


class Answer:
    """One collected response."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    async def collect(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    def is_whole(self) -> bool:
        """Whether as much came as was announced."""
        announced = next((v for k, v in self.headers if k.lower() == b"content-length"), None)
        return announced is None or int(announced) == len(self.body)

    async def send_to(
        self, send: Send, *extra: tuple[bytes, bytes], body: bytes | None = None
    ) -> None:
        shown = self.body if body is None else body
        kept = [
            (k, v) for k, v in self.headers if k.lower() not in (b"content-length", *dict(extra))
        ]
        length = (b"content-length", str(len(shown)).encode())
        await send(
            {
                "type": "http.response.start",
                "status": self.status,
                "headers": [*kept, length, (b"vary", b"accept-encoding"), *extra],
            }
        )
        await send({"type": "http.response.body", "body": shown})


def _patient() -> Receive:
    """A reader without a body who never leaves. The framework breaks an answer off when its reader
    has gone, and the next reader would be given the piece that was kept."""
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive


def takes_gzip(scope: Scope) -> bool:
    return any(k == b"accept-encoding" and b"gzip" in v for k, v in scope.get("headers", ()))


async def compressed(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Run `app` and compress its one-piece answer."""
    if not takes_gzip(scope):
        return await app(scope, receive, send)
    answer = Answer()
    await app(scope, receive, answer.collect)
    if len(answer.body) < SMALLEST_BYTES or answer.status != 200:
        return await answer.send_to(send)
    body = zlib_ng.compress(answer.body, UPDATE_LEVEL, wbits=31)
    return await answer.send_to(send, (b"content-encoding", b"gzip"), body=body)


class KeptFiles:
    """Files of Dash and of ours, fetched from `app` once per address, compressed once.

    Addresses carry the version and the file's time, so an answer never changes while the process
    lives. What is not 200 is not kept. Bounded by the number of files the framework has.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._kept: dict[str, tuple[Answer, bytes]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if scope["method"] != "GET":
            return await self._app(scope, receive, send)
        if path not in self._kept:
            answer = Answer()
            await self._app(scope, _patient(), answer.collect)
            if answer.status != 200:
                return await answer.send_to(send)
            if not answer.is_whole():
                return await refuse(send, 503, "The file did not come whole; reload the page.")
            # Not on the threads of questions: a page must not wait for the lake to be drawn at all.
            packed = await asyncio.to_thread(gzip.compress, answer.body, FILE_LEVEL)
            self._kept[path] = (answer, packed)
        answer, packed = self._kept[path]
        forever = (b"cache-control", _FOR_EVER)
        if takes_gzip(scope) and len(packed) < len(answer.body):
            return await answer.send_to(send, forever, (b"content-encoding", b"gzip"), body=packed)
        return await answer.send_to(send, forever)
