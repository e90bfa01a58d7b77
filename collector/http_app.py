"""The HTTP side: OTLP, gateway formats, and what operators ask for.

OTLP and ingest routes are plain ASGI on raw bytes (a FastAPI body route costs two to three times
as much on small posts); health and metrics are FastAPI. Routing looks at `scope["path"]` only,
never at a URL rebuilt from the Host header.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from fastapi import FastAPI

from collector.auth import TokenBook
from collector.cors import Cors
from collector.decompress import parse_encoding, plain_bytes_expected
from collector.errors import (
    BodyTooLarge,
    CollectorError,
    Unauthenticated,
    UnknownPath,
    UnsupportedContentType,
    WrongMethod,
)
from collector.formats import FORMATS
from collector.http_body import (
    BodySource,
    Disconnected,
    Receive,
    Scope,
    Send,
    drain,
    read_body,
)
from collector.http_protocol import REFUSAL
from collector.intake import Incoming, Intake
from collector.limits import INLINE_BYTES_MAX
from collector.payload import Content, Format
from collector.receivers.door import ReceiverDoor
from collector.receivers.registry import find_api
from collector.responses import CONTENT_TYPES, Encoding, failure_of, success_body
from collector.tickets import LoopTickets

if TYPE_CHECKING:  # loaded only where it is on
    from collector.self_traces import SelfTraces

log = structlog.get_logger(__name__)


OTLP_PATHS = {
    "/v1/traces": "otlp_traces",
    "/v1/logs": "otlp_logs",
    "/v1/metrics": "otlp_metrics",
}
INGEST = "/ingest/"

OWN_SPANS_HEADER = "x-gatelens-own-spans"
"""Says that a body holds a collector's own spans (`self_traces.py`): none are made of it."""
_OWN_SPANS = OWN_SPANS_HEADER.encode()


@dataclass(frozen=True, slots=True)
class Head:
    """What of a request's head matters here."""

    content_type: str = ""
    content_encoding: str = ""
    content_length: int | None = None
    authorization: str = ""
    own_spans: bool = False
    """The body is what another collector says about itself."""

    @property
    def media_type(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def encoding(self) -> Encoding:
        """How the answer is written: like the request where that is one of ours, else in JSON."""
        return "protobuf" if self.media_type == "application/x-protobuf" else "json"


def parse_head(headers: list[tuple[bytes, bytes]]) -> Head:
    """Header fields, names in lower case as ASGI has them. The last of several counts, except for
    Content-Encoding, where several are a list."""
    content_type = content_encoding = authorization = ""
    content_length: int | None = None
    own_spans = False
    for name, value in headers:
        if name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"content-length":
            content_length = int(value)
        elif name == b"content-encoding":
            text = value.decode("latin-1")
            content_encoding = f"{content_encoding}, {text}" if content_encoding else text
        elif name == b"authorization":
            authorization = value.decode("latin-1")
        elif name == _OWN_SPANS:
            own_spans = True
    return Head(content_type, content_encoding, content_length, authorization, own_spans)


class HttpApp:
    """The ASGI application of the collector."""

    def __init__(
        self,
        intake: Intake,
        tokens: TokenBook,
        operations: FastAPI,
        traces: SelfTraces | None = None,
    ) -> None:
        self._intake = intake
        self._tokens = tokens
        self._traces = traces
        self._cors = Cors(intake.settings.cors_origins)
        self._operations = operations
        self._receivers = ReceiverDoor(intake, tokens)
        self._tickets: LoopTickets | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        source = BodySource(receive)
        if self._cors.enabled:
            send = self._cors.wrap(scope, send)
        try:
            await self._route(scope, source, receive, send)
        except Exception as err:
            # A mistake of ours outside of what answers errors itself. Where an answer has begun
            # this fails as well, and the server closes the connection.
            await self._fail(err, parse_head(scope["headers"]), "", source, send, close=True)

    async def _route(self, scope: Scope, source: BodySource, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if self._cors.is_preflight(scope) and _takes_data(path):
            await self._cors.answer_preflight(send)
        elif REFUSAL in scope:
            head = parse_head(scope["headers"])
            await self._fail(scope[REFUSAL], head, "", source, send, close=True)
        elif path in OTLP_PATHS:
            await self._take(scope, source, send, FORMATS[OTLP_PATHS[path]])
        elif path.startswith(INGEST):
            await self._take(scope, source, send, _ingest_format(path))
        elif path in ("/healthz", "/readyz", "/metrics") and scope["method"] in ("GET", "HEAD"):
            await self._operations(scope, receive, send)
        elif (api := find_api(scope["method"], path)) is not None:
            await self._receivers(scope, source, send, api)
        else:
            await self._fail(UnknownPath(), parse_head(scope["headers"]), "", source, send)

    async def _take(
        self, scope: Scope, source: BodySource, send: Send, format: Format | None
    ) -> None:
        """One POST of telemetry."""
        name = format.name if format else ""
        head = parse_head(scope["headers"])
        started_ns = time.time_ns() if self._traces and not head.own_spans else 0
        self._intake.telemetry.received.labels(name, "http").inc()
        failure = ""
        try:
            if format is None:
                raise UnknownPath
            if scope["method"] != "POST":
                raise WrongMethod
            body = await self._accept(scope, source, head, format)
        except Disconnected:
            failure = "disconnected"
            self._intake.telemetry.refused.labels(name, "http", failure).inc()
        except Exception as err:
            failure = str(err)
            await self._fail(err, head, name, source, send)
        else:
            await _send(send, 200, CONTENT_TYPES[head.encoding], body)
        if self._traces and started_ns:
            self._traces.record(
                format=name,
                transport="http",
                start_unix_nano=started_ns,
                body_bytes=source.size,
                body_read_unix_nano=source.complete_unix_nano,
                end_unix_nano=time.time_ns(),
                failure=failure,
            )

    async def _accept(self, scope: Scope, source: BodySource, head: Head, format: Format) -> bytes:
        """Read, hand over, wait until it is durable; the body of the answer."""
        intake = self._intake
        content = _content(format, head)
        content_encoding = parse_encoding(head.content_encoding)
        if (head.content_length or 0) > intake.settings.body_bytes_max:
            raise BodyTooLarge(intake.settings.body_bytes_max)
        client = scope.get("client")
        origin = client[0] if client else ""
        principal = self._tokens.authenticate(head.authorization, origin)
        reservation = intake.reserve(head.content_length or 0, content_encoding)
        try:
            body = await read_body(source, reservation, intake.settings)
            started = time.perf_counter()
            incoming = Incoming(
                body=body,
                encoding=content_encoding,
                format=format,
                content=content,
                principal=principal,
                origin=origin,
                transport="http",
            )
            if self._tickets is None:
                self._tickets = LoopTickets(asyncio.get_running_loop())
            ticket = self._tickets.new()
            if plain_bytes_expected(len(body), content_encoding) <= INLINE_BYTES_MAX:
                intake.submit(incoming, reservation, ticket)
            else:
                await asyncio.to_thread(intake.submit, incoming, reservation, ticket)
            accepted = await ticket.future
            intake.telemetry.ack_s.labels("http").observe(time.perf_counter() - started)
        finally:
            reservation.release()
        return success_body(format.name, head.encoding, accepted.rejected, accepted.message)

    async def _fail(
        self,
        error: Exception,
        head: Head,
        format: str,
        source: BodySource,
        send: Send,
        *,
        close: bool = False,
    ) -> None:
        """Answer with a Status, then read away what the client is still sending."""
        if not isinstance(error, CollectorError):
            log.error("request_failed", format=format, error=repr(error), exc_info=error)
        self._intake.count_refused(format, "http", error)
        failure = failure_of(error)
        headers = [
            (b"content-type", CONTENT_TYPES[head.encoding]),
        ]
        if failure.retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % failure.retry_after_s))
        if isinstance(error, Unauthenticated):
            headers.append((b"www-authenticate", b"Bearer"))
        if isinstance(error, WrongMethod):
            headers.append((b"allow", b"POST"))
        bytes_max = self._intake.settings.body_bytes_max
        if close or isinstance(error, BodyTooLarge) or (head.content_length or 0) > bytes_max:
            headers.append((b"connection", b"close"))
        body = failure.encode(head.encoding)
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": failure.http, "headers": headers})
        # The whole answer is on its way before the request is drained; the empty last part only
        # ends the exchange (and the connection, where it is to be closed).
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await drain(source, bytes_max)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _takes_data(path: str) -> bool:
    return path in OTLP_PATHS or path.startswith(INGEST)


def _ingest_format(path: str) -> Format | None:
    found = FORMATS.get(path[len(INGEST) :])
    return None if found is None or found.name in OTLP_PATHS.values() else found


def _content(format: Format, head: Head) -> Content:
    """How the body is written. OTLP says it by its content type, line formats are text."""
    media = head.media_type
    if format.name not in OTLP_PATHS.values():
        return "json" if media == "application/json" else "text"
    if media == "application/x-protobuf":
        return "protobuf"
    if media == "application/json":
        return "json"
    raise UnsupportedContentType(
        head.content_type or "(none)", "application/x-protobuf or application/json"
    )


async def _send(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


__all__ = ["Head", "HttpApp", "parse_head"]
