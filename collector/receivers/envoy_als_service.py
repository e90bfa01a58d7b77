"""The gRPC side of Envoy's access log service.

Each stream holds a thread as long as it lives, so they have threads of their own: Envoys that are
connected must not take those that answer OTLP. While the log has no room a stream is not read;
Envoy then buffers, and drops by its own rules.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import structlog

from collector.auth import Principal, TokenBook
from collector.errors import CollectorError, SenderError, answer_for
from collector.grpc_calls import sender_address
from collector.grpc_messages import plain_message
from collector.intake import Incoming, Intake
from collector.receivers.envoy_als import ENVOY_ALS, identifier_of
from collector.receivers.limits import ENVOY_RETRY_S, ENVOY_STREAMS_MAX
from collector.tickets import ThreadTicket

log = structlog.get_logger(__name__)

SERVICE = "envoy.service.accesslog.v3.AccessLogService"
_SYNC_WAIT_S = 30.0


def envoy_als_handler(intake: Intake, tokens: TokenBook) -> grpc.GenericRpcHandler:
    """The service, to be added to a server."""

    def stream(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        origin = sender_address(context)
        try:
            principal = tokens.authenticate(_authorization(context))
            identifier = b""
            for sent in messages:
                message = plain_message(intake, sent)
                identifier = identifier_of(message) or identifier
                body = message if message.startswith(identifier) else identifier + message
                _carry(intake, body, principal, origin, context)
        except (CollectorError, TimeoutError) as err:
            intake.count_refused(ENVOY_ALS.name, "grpc", err)
            context.abort(answer_for(err).grpc, str(err))
        # Only now that Envoy has ended the stream: it takes no answer before.
        return b""

    # Read by grpc's server: handlers with a pool of their own do not use the server's.
    stream.experimental_thread_pool = ThreadPoolExecutor(  # type: ignore[attr-defined]
        ENVOY_STREAMS_MAX, thread_name_prefix="envoy-als"
    )
    handler = grpc.stream_unary_rpc_method_handler(stream)
    return grpc.method_handlers_generic_handler(SERVICE, {"StreamAccessLogs": handler})


def _carry(
    intake: Intake, body: bytes, principal: Principal, origin: str, context: grpc.ServicerContext
) -> None:
    """Store one message, waiting while there is no room. Raises CollectorError in the end."""
    deadline = time.monotonic() + ENVOY_RETRY_S
    while True:
        try:
            _submit(intake, body, principal, origin)
            return
        except SenderError:
            raise
        except (CollectorError, TimeoutError):
            if time.monotonic() > deadline or not context.is_active():
                raise
            time.sleep(0.2)


def _submit(intake: Intake, body: bytes, principal: Principal, origin: str) -> None:
    reservation = intake.reserve(len(body))
    try:
        ticket = ThreadTicket()
        incoming = Incoming(
            body=body,
            encoding="identity",
            format=ENVOY_ALS,
            content="protobuf",
            principal=principal,
            origin=origin,
            transport="grpc",
        )
        intake.submit(incoming, reservation, ticket)
        ticket.wait(_SYNC_WAIT_S)
    finally:
        reservation.release()


def _authorization(context: grpc.ServicerContext) -> str:
    for key, value in context.invocation_metadata():
        if key == "authorization":
            return str(value)
    return ""
