"""The gRPC side: the three OTLP services, on raw bytes, ending in the same intake as HTTP.

Handlers run on a thread pool (faster here than grpc.aio) and wait for the log there. A message is
only read off its connection once a thread takes the call, so what waits costs HTTP/2 flow control,
not memory. Compressed messages come as they were sent (`grpc_messages.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
import structlog

from collector.auth import Principal, TokenBook
from collector.errors import CollectorError, CollectorStartError, MalformedBody, TryLater
from collector.formats import FORMATS
from collector.grpc_messages import PER_MESSAGE_DECOMPRESSION, encoding_of
from collector.intake import Incoming, Intake
from collector.limits import (
    GRPC_IDLE_MS_MAX,
    GRPC_METADATA_BYTES_MAX,
    GRPC_STREAMS_PER_CONNECTION_MAX,
)
from collector.payload import Format
from collector.receivers.envoy_als_service import envoy_als_handler
from collector.responses import failure_of, success_body
from collector.settings import CollectorSettings
from collector.tickets import ThreadTicket
from collector.tls import CertificateFiles

if TYPE_CHECKING:  # loaded only where it is on
    from collector.self_traces import SelfTraces

log = structlog.get_logger(__name__)

SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "otlp_traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "otlp_logs",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "otlp_metrics",
}

STATUS_METADATA = "grpc-status-details-bin"
_SYNC_WAIT_S = 30.0
"""Longest wait for the log; a disk that takes longer is as good as none."""


class GrpcServer:
    """Owns the gRPC server and its threads."""

    def __init__(
        self,
        settings: CollectorSettings,
        intake: Intake,
        tokens: TokenBook,
        certificate: CertificateFiles | None = None,
        traces: SelfTraces | None = None,
    ) -> None:
        """Binds the port (`port` says which) but serves nothing yet. Raises CollectorStartError."""
        self._pool = ThreadPoolExecutor(settings.grpc_threads, thread_name_prefix="grpc")
        self._server = grpc.server(
            self._pool,
            options=[
                ("grpc.max_receive_message_length", settings.body_bytes_max),
                (PER_MESSAGE_DECOMPRESSION, 0),
                ("grpc.max_metadata_size", GRPC_METADATA_BYTES_MAX),
                ("grpc.absolute_max_metadata_size", GRPC_METADATA_BYTES_MAX),
                ("grpc.max_concurrent_streams", GRPC_STREAMS_PER_CONNECTION_MAX),
                ("grpc.max_allowed_incoming_connections", settings.connections_max),
                ("grpc.max_connection_idle_ms", GRPC_IDLE_MS_MAX),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_time_ms", 60_000),
                ("grpc.keepalive_timeout_ms", 20_000),
                ("grpc.so_reuseport", 0),
            ],
        )
        for service, name in SERVICES.items():
            handler = grpc.unary_unary_rpc_method_handler(
                _export(intake, tokens, FORMATS[name], traces)
            )
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, {"Export": handler}),)
            )
        self._server.add_generic_rpc_handlers((envoy_als_handler(intake, tokens),))
        address = f"{settings.host}:{settings.grpc_port}"
        try:
            self.port = (
                self._server.add_secure_port(address, certificate.grpc_credentials())
                if certificate
                else self._server.add_insecure_port(address)
            )
        except RuntimeError as err:
            self._pool.shutdown()
            raise CollectorStartError(
                f"Port {settings.grpc_port} (OTLP/gRPC) is taken or not allowed on "
                f"{settings.host}; stop what uses it or set grpc_port."
            ) from err

    def start(self) -> None:
        self._server.start()

    def stop(self, grace_s: float) -> None:
        """Take no new calls, let those under way finish for `grace_s`, then end them."""
        self._server.stop(grace_s).wait(grace_s + 1)
        self._pool.shutdown(wait=False, cancel_futures=True)


def _export(
    intake: Intake, tokens: TokenBook, format: Format, traces: SelfTraces | None
) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        started, started_ns = time.perf_counter(), time.time_ns()
        intake.telemetry.received.labels(format.name, "grpc").inc()
        told = ""
        try:
            origin = _address(context.peer())
            principal = tokens.authenticate(_authorization(context, tokens), origin)
            accepted = _accept(intake, format, body, principal, origin)
        except Exception as err:
            if not isinstance(err, CollectorError):
                log.error("rpc_failed", format=format.name, error=repr(err), exc_info=err)
            intake.count_refused(format.name, "grpc", err)
            failure = failure_of(err)
            told = failure.status.message
            context.set_trailing_metadata(((STATUS_METADATA, failure.status.SerializeToString()),))
            context.abort(_CODES[failure.status.code], failure.status.message)
            raise AssertionError("abort raises") from err
        finally:
            if traces:
                traces.record(
                    format=format.name,
                    transport="grpc",
                    start_unix_nano=started_ns,
                    body_bytes=len(body),
                    body_read_unix_nano=started_ns,
                    end_unix_nano=time.time_ns(),
                    failure=told,
                )
        intake.telemetry.ack_s.labels("grpc").observe(time.perf_counter() - started)
        return accepted

    return export


def _authorization(context: grpc.ServicerContext, tokens: TokenBook) -> str:
    if tokens.open_to_all:
        return ""
    for key, value in context.invocation_metadata():
        if key == "authorization":
            return str(value)
    return ""


def _accept(
    intake: Intake, format: Format, body: bytes, principal: Principal, origin: str
) -> bytes:
    reservation = intake.reserve(len(body))
    try:
        ticket = ThreadTicket()
        incoming = Incoming(
            body=body,
            encoding=encoding_of(body),
            format=format,
            content="protobuf",
            principal=principal,
            origin=origin,
            transport="grpc",
        )
        try:
            intake.submit(incoming, reservation, ticket)
        except MalformedBody:
            if incoming.encoding != "deflate":
                raise
            intake.submit(replace(incoming, encoding="identity"), reservation, ticket)
        try:
            accepted = ticket.wait(_SYNC_WAIT_S)
        except TimeoutError as err:
            raise TryLater("The disk is too slow to take the data now.") from err
    finally:
        reservation.release()
    return success_body(format.name, "protobuf", accepted.rejected, accepted.message)


_CODES = {code.value[0]: code for code in grpc.StatusCode}


def _address(peer: str) -> str:
    """`ipv4:10.0.0.1:5000` or `ipv6:%5B::1%5D:5000` as the address alone."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return peer[:100]
    return rest.rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]")
