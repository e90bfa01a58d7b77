from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from dashboards.serving.compression import KeptFiles
from dashboards.serving.guards import App, Message, Receive, Scope, Send
from tests.aio import run

TEXT = b"'use strict';\n" * 10_000


async def passed_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
    return await call_next(request)


@pytest.fixture
def files(tmp_path: Path) -> KeptFiles:
    """A file behind a middleware that stops when its reader has gone, as the framework's does."""
    (tmp_path / "all.js").write_bytes(TEXT)
    return KeptFiles(
        Starlette(
            routes=[Mount("/assets", StaticFiles(directory=tmp_path))],
            middleware=[Middleware(BaseHTTPMiddleware, dispatch=passed_on)],
        )
    )


async def gone() -> Message:
    """What a reader who has left says; what is sent all the same is looked at here."""
    return {"type": "http.disconnect"}


async def ask(app: App, path: str) -> tuple[int, bytes]:
    """Status and unpacked body."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"accept-encoding", b"gzip"), (b"host", b"127.0.0.1")]
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "method": "GET", "path": path,
        "raw_path": path.encode(), "root_path": "", "query_string": b"", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "scheme": "http",
        "http_version": "1.1",
    }  # fmt: skip
    await app(scope, gone, send)
    body = b"".join(one.get("body", b"") for one in sent[1:])
    packed = (b"content-encoding", b"gzip") in sent[0]["headers"]
    return sent[0]["status"], gzip.decompress(body) if packed else body


def test_who_leaves_while_a_file_is_read_leaves_nobody_a_piece_of_it(files: KeptFiles) -> None:
    run(ask(files, "/assets/all.js"))
    assert run(ask(files, "/assets/all.js")) == (200, TEXT)


def test_what_is_not_there_is_not_kept(files: KeptFiles, tmp_path: Path) -> None:
    assert run(ask(files, "/assets/late.js"))[0] == 404
    (tmp_path / "late.js").write_bytes(TEXT)
    assert run(ask(files, "/assets/late.js")) == (200, TEXT)


def test_an_answer_shorter_than_announced_is_not_kept() -> None:
    pieces = [TEXT[:100], TEXT]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        length = (b"content-length", str(len(TEXT)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": pieces.pop(0)})

    files = KeptFiles(app)
    assert run(ask(files, "/all.js"))[0] == 503
    assert run(ask(files, "/all.js")) == (200, TEXT)
