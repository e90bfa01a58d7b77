"""The HTTP door of the receivers: reads a body, has it stored, answers in the sender's protocol."""

from __future__ import annotations

import asyncio
import time

import structlog

from collector.auth import TokenBook
from collector.decompress import decompress, plain_bytes_expected
from collector.errors import BodyTooLarge, CollectorError, Unauthenticated
from collector.http_body import BodySource, Disconnected, Scope, Send, drain, read_body
from collector.intake import Accepted, Incoming, Intake
from collector.limits import INLINE_BYTES_MAX
from collector.receivers.api import NativeApi, Prepared, Reply, Request
from collector.tickets import LoopTickets

log = structlog.get_logger(__name__)


class ReceiverDoor:
    """Serves every NativeApi of one collector."""

    def __init__(self, intake: Intake, tokens: TokenBook) -> None:
        self._intake = intake
        self._tokens = tokens
        self._tickets: LoopTickets | None = None

    async def __call__(self, scope: Scope, source: BodySource, send: Send, api: NativeApi) -> None:
        """Answer one request whose path `api` takes."""
        request = _request(scope)
        other = api.other(request)
        if other is not None:
            await drain(source, self._intake.settings.body_bytes_max)
            await _send(send, other)
            return
        name = api.format.name
        self._intake.telemetry.received.labels(name, "http").inc()
        try:
            reply = await self._take(scope, source, api, request)
        except Disconnected:
            self._intake.telemetry.refused.labels(name, "http", "disconnected").inc()
        except Exception as err:
            if not isinstance(err, CollectorError):
                log.error("request_failed", format=name, error=repr(err), exc_info=err)
            self._intake.count_refused(name, "http", err)
            await self._refuse(source, send, api.refused(request, err), err)
        else:
            await _send(send, reply)

    async def _take(
        self, scope: Scope, source: BodySource, api: NativeApi, request: Request
    ) -> Reply:
        intake = self._intake
        api.check(request)
        content, encoding = api.content(request), api.encoding(request)
        declared = int(request.header("content-length") or 0)
        if declared > intake.settings.body_bytes_max:
            raise BodyTooLarge(intake.settings.body_bytes_max)
        client = scope.get("client")
        origin = client[0] if client else ""
        principal = self._tokens.authenticate(api.authorization(request), origin)
        reservation = intake.reserve(declared, encoding)
        try:
            body = await read_body(source, reservation, intake.settings)
            started = time.perf_counter()
            if self._tickets is None:
                self._tickets = LoopTickets(asyncio.get_running_loop())
            ticket = self._tickets.new()

            def submit() -> Prepared:
                prepared = self._prepare(api, request, body, encoding)
                incoming = Incoming(
                    body=prepared.body,
                    encoding=prepared.encoding,
                    format=api.format,
                    content=content,
                    principal=principal,
                    origin=origin,
                    transport="http",
                )
                intake.submit(incoming, reservation, ticket)
                return prepared

            if plain_bytes_expected(len(body), encoding) <= INLINE_BYTES_MAX:
                prepared = submit()
            else:
                prepared = await asyncio.to_thread(submit)
            accepted: Accepted = await ticket.future
            intake.telemetry.ack_s.labels("http").observe(time.perf_counter() - started)
        finally:
            reservation.release()
        return api.accepted(request, accepted.rejected, accepted.message, prepared.note)

    def _prepare(self, api: NativeApi, request: Request, wire: bytes, encoding: str) -> Prepared:
        plain = b""
        if api.needs_plain:
            settings = self._intake.settings
            plain = decompress(
                wire,
                encoding,
                bytes_max=settings.body_bytes_max,
                ratio_max=settings.body_ratio_max,
            )
        return api.prepare(request, wire, plain, encoding)

    async def _refuse(self, source: BodySource, send: Send, reply: Reply, err: Exception) -> None:
        """The whole answer goes out before what the client still sends is read away."""
        close = isinstance(err, BodyTooLarge)
        challenge = isinstance(err, Unauthenticated)
        await _start(send, reply, close=close, challenge=challenge)
        await send({"type": "http.response.body", "body": reply.body, "more_body": True})
        await drain(source, self._intake.settings.body_bytes_max)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _request(scope: Scope) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name == "content-encoding" and name in headers:
            value = f"{headers[name]}, {value}"
        headers[name] = value
    query = scope.get("query_string", b"").decode("latin-1")
    return Request(scope["method"], scope["path"], query, headers)


async def _start(send: Send, reply: Reply, *, close: bool = False, challenge: bool = False) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers]
    if reply.body:
        headers.append((b"content-type", reply.content_type.encode()))
    if challenge:
        headers.append((b"www-authenticate", b"Bearer"))
    if close:
        headers.append((b"connection", b"close"))
    if reply.status != 204:
        # RFC 9110, 8.6: a 204 has no Content-Length.
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})


async def _send(send: Send, reply: Reply) -> None:
    await _start(send, reply)
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})
