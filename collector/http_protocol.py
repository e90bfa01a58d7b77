"""uvicorn's httptools protocol with the guards it lacks.

    guard                                    beyond it
    ---------------------------------------  -----------------------------------------
    bytes and fields of a request's head     431, closed
    time for the head to arrive              closed
    Host exactly once (RFC 9112, 3.2)        400, closed
    chunk extensions and trailers            400, closed
    connections, requests pipelined          503, closed; closed

Body size, deadline and rate are the endpoints' (`http_body.py`). What the parser itself refuses
(bad framing, both lengths, bare LF) is answered 400 with a Status, like everything else.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from collector.errors import CollectorError, HeadersTooLarge, SenderError, TooManyConnections
from collector.limits import (
    CHUNK_OVERHEAD_BYTES_MAX,
    HEADER_BYTES_MAX,
    HEADER_FIELDS_MAX,
    PIPELINE_DEPTH_MAX,
)
from collector.responses import CONTENT_TYPES, Encoding, failure_of
from collector.settings import CollectorSettings
from collector.telemetry import Telemetry

log = structlog.get_logger(__name__)

REFUSAL = "gatelens.refusal"
"""Key of the ASGI scope: an error the request is to be answered with."""


def guarded_protocol(settings: CollectorSettings, telemetry: Telemetry) -> type[asyncio.Protocol]:
    """The protocol class for one server; uvicorn makes an instance per connection."""

    class Guarded(GuardedProtocol):
        limits = settings
        metrics = telemetry

    return Guarded


class GuardedProtocol(HttpToolsProtocol):
    """One connection. Everything happens on the event loop."""

    limits: CollectorSettings
    metrics: Telemetry

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._wire_bytes = 0  # of the current message, roughly: since its first byte was seen
        self._head_bytes = 0
        self._data_bytes = 0
        self._hosts = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections_max:
            self._refuse(TooManyConnections("Too many connections are open; try again."))
            return
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._wire_bytes += len(data)
        super().data_received(data)
        if self.parser is None or self.transport.is_closing():
            return
        if self._in_head:
            if self._wire_bytes > HEADER_BYTES_MAX:
                self._refuse(_head_too_large())
            elif self._head_timer is None:
                self._start_head_timer()
        elif (
            self._wire_bytes - self._head_bytes - 9 * self._data_bytes > CHUNK_OVERHEAD_BYTES_MAX
            and self.cycle is not None
            and self.cycle.more_body
        ):
            self._refuse(SenderError("The chunked body is mostly chunk extensions."))

    # -- parser callbacks ---------------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        # What came before in the same read belongs to the message before.
        self._wire_bytes = min(self._wire_bytes, HEADER_BYTES_MAX)
        self._head_bytes = self._data_bytes = self._hosts = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._head_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._head_bytes += len(name) + len(value) + 4
        if len(name) == 4 and name.lower() == b"host":
            self._hosts += 1

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._wire_bytes = 0
        self._stop_head_timer()
        refusal: CollectorError | None = None
        if self._head_bytes > HEADER_BYTES_MAX or len(self.headers) > HEADER_FIELDS_MAX:
            refusal = _head_too_large()
        elif self._hosts != 1 and self.parser.get_http_version() == "1.1":
            refusal = SenderError("HTTP/1.1 needs exactly one Host header.")
        elif len(self.pipeline) >= PIPELINE_DEPTH_MAX:
            self.transport.close()
        self._head_bytes = 0
        if refusal is not None:
            self.scope[REFUSAL] = refusal  # type: ignore[literal-required]
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._data_bytes += len(body)
        super().on_body(body)

    # -- refusing -----------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """The parser gave up on the connection."""
        self._refuse(SenderError(f"{msg} The connection is closed."))

    def _refuse(self, error: CollectorError) -> None:
        """Answer outside of any request, and close."""
        self._stop_head_timer()
        self.metrics.refused.labels("", "http", error.reason).inc()
        failure = failure_of(error)
        encoding = self._encoding()
        body = failure.encode(encoding)
        lines = [
            STATUS_LINE[failure.http],
            b"content-type: %b\r\n" % CONTENT_TYPES[encoding],
            b"content-length: %d\r\n" % len(body),
            b"connection: close\r\n",
        ]
        if failure.retry_after_s is not None:
            lines.append(b"retry-after: %d\r\n" % failure.retry_after_s)
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            self.transport.write(b"".join((*lines, b"\r\n", body)))
        if self.cycle is not None:
            self.cycle.disconnected = True  # its body will never be complete
            self.cycle.message_event.set()
        self.transport.close()

    def _encoding(self) -> Encoding:
        """How to answer a request whose head may have come in part."""
        for name, value in self.headers or ():
            if name == b"content-type" and value.startswith(CONTENT_TYPES["protobuf"]):
                return "protobuf"
        return "json"

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.header_timeout_s, self._head_too_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_too_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.metrics.refused.labels("", "http", "head_too_slow").inc()
            self.transport.close()


def _head_too_large() -> HeadersTooLarge:
    return HeadersTooLarge(
        f"The request's head has more than {HEADER_BYTES_MAX} bytes or {HEADER_FIELDS_MAX} fields."
    )
