"""Answers that leave as files (CSV, Parquet, Arrow, PDF): who may take them, and that it is noted.

The one door for all of /api: it looks at the type of the answer, not at how it was asked for
(`?format=`, an Accept header, an address of its own), so no route can forget to ask. What plainly
asks for a file is refused before its question runs: it would cost as much as an answer.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

import sqlalchemy as sa
from starlette.requests import Request

from dashboards import identity
from dashboards.errors import Forbidden
from dashboards.serving.guards import App, Message, Receive, Scope, Send, header, refuse

SHOWN = frozenset({"application/json", "text/html", "application/yaml"})
"""Types that are no export: they are read where they are asked. YAML is a dashboard's definition
and holds no telemetry. Every other type is a file."""

FILE_FORMATS = ("csv", "parquet", "arrow", "pdf")
"""As `?format=` and the last part of an address name them, and as they stand in a media type."""

QUERY_CHARS_MAX = 1000
"""Of the parameters that were asked with, in the audit log."""

NO_FILES = "Files need the permission `export`; the same is answered as JSON without it."

_NOTES = "gatelens.export"


def name_export(request: Request, target: str, **detail: object) -> None:
    """Say what a file is, for the audit log; else it is named by its path and parameters."""
    request.scope.setdefault(_NOTES, {}).update(target=target, **detail)


async def answer_with_exports(
    app: App, state: sa.Engine, scope: Scope, receive: Receive, send: Send
) -> None:
    """Let `app` answer. A file goes out to those who may `export`, after it is in the audit log;
    others get 403, and the file is dropped. Where the log cannot be written, nothing goes out."""
    if asks_for_file(scope) and not _may_export():
        await refuse(send, 403, NO_FILES)
        return
    notes: dict[str, Any] = {}
    dropped = False

    async def watched(message: Message) -> None:
        nonlocal dropped
        if message["type"] == "http.response.start" and message["status"] == 200:
            type_ = _type(message)
            if type_ not in SHOWN:
                dropped = not _may_export()
                if dropped:
                    await refuse(send, 403, NO_FILES)
                else:
                    await asyncio.to_thread(_audit, state, scope, type_, notes)
        if not dropped:
            await send(message)

    await app({**scope, _NOTES: notes}, receive, watched)


def asks_for_file(scope: Scope) -> bool:
    """Whether a request says it wants a file: `?format=csv`, `Accept: text/csv`, `/panel/csv`.

    False does not mean that none comes; the answer's type has the last word.
    """
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("format")
    if asked:
        return asked[-1].lower() in FILE_FORMATS
    if scope["path"].rpartition("/")[2] in FILE_FORMATS:
        return True
    wanted = (header(scope, b"accept") or "").lower()
    return any(name in wanted for name in FILE_FORMATS)


def _may_export() -> bool:
    """Asks with `require`, so that a refusal is noted."""
    try:
        identity.require("export")
    except Forbidden:
        return False
    return True


def _type(message: Message) -> str:
    """Content type without its parameters; '' = the answer does not say."""
    found = next((v for k, v in message.get("headers", ()) if k.lower() == b"content-type"), b"")
    return str(found.decode("latin-1").partition(";")[0].strip().lower())


def _audit(state: sa.Engine, scope: Scope, type_: str, notes: dict[str, Any]) -> None:
    asked = scope["query_string"].decode("latin-1")[:QUERY_CHARS_MAX]
    detail: dict[str, Any] = {"type": type_, "asked": asked, **notes}
    target = str(detail.pop("target", scope["path"]))
    identity.audit(state, "export", target, **detail)
