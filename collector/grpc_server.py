"""The gRPC side: the three OTLP services, on raw bytes, ending in the same intake as HTTP.

Handlers run on a thread pool (faster here than grpc.aio) and wait for the log there. A message is
only read off its connection once a thread takes the call and its token is known, so what waits
costs HTTP/2 flow control, not memory; `grpc_reads.py` bounds what those being read cost. For that
the calls are declared as streams of messages, which on the wire is the same. Compressed messages
come as they were sent (`grpc_messages.py`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
import structlog

from collector.admission import Reservation
from collector.auth import Principal, TokenBook
from collector.errors import CollectorError, CollectorStartError, MalformedBody, TryLater
from collector.formats import FORMATS
from collector.grpc_calls import OpenCalls, end_call, sender_address
from collector.grpc_messages import PER_MESSAGE_DECOMPRESSION, encoding_of
from collector.grpc_reads import ClientLeft, GrpcReads
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
        self._calls = OpenCalls()
        self._server = grpc.server(
            self._pool,
            interceptors=[self._calls],
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
            self._calls.close()
            raise CollectorStartError(
                f"Port {settings.grpc_port} (OTLP/gRPC) is taken or not allowed on "
                f"{settings.host}; stop what uses it or set grpc_port."
            ) from err
        self._reads = GrpcReads(settings, self.port)
        for service, name in SERVICES.items():
            export = _Export(intake, tokens, FORMATS[name], self._reads, traces)
            handler = self._calls.counted(export, export.turned_away)
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, {"Export": handler}),)
            )

    def start(self) -> None:
        self._reads.start()
        self._server.start()

    def stop(self, grace_s: float) -> None:
        """Take no new calls, let those under way finish for `grace_s`, then end them."""
        self._server.stop(grace_s).wait(grace_s + 1)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._reads.close()
        self._calls.close()


class _Export:
    """The method of one service."""

    def __init__(
        self,
        intake: Intake,
        tokens: TokenBook,
        format: Format,
        reads: GrpcReads,
        traces: SelfTraces | None,
    ) -> None:
        self._intake, self._tokens, self._format = intake, tokens, format
        self._reads, self._traces = reads, traces

    def __call__(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        intake, name = self._intake, self._format.name
        started_ns = time.time_ns()
        body, read_ns, told = b"", 0, ""
        intake.telemetry.received.labels(name, "grpc").inc()
        try:
            origin = sender_address(context)
            principal = self._tokens.authenticate(_authorization(context, self._tokens), origin)
            with _reserved(intake) as reservation:
                body = self._reads.read(messages, context, reservation)
                started, read_ns = time.perf_counter(), time.time_ns()
                intake.check_room(len(body))
                accepted = _accept(intake, self._format, body, principal, origin, reservation)
        except ClientLeft:
            told = "disconnected"
            intake.telemetry.refused.labels(name, "grpc", told).inc()
            return b""
        except Exception as err:
            if not isinstance(err, CollectorError):
                log.error("rpc_failed", format=name, error=repr(err), exc_info=err)
            intake.count_refused(name, "grpc", err)
            told = failure_of(err).status.message
            end_call(context, err)
        finally:
            if self._traces:
                self._traces.record(
                    format=name,
                    transport="grpc",
                    start_unix_nano=started_ns,
                    body_bytes=len(body),
                    body_read_unix_nano=read_ns,
                    end_unix_nano=time.time_ns(),
                    failure=told,
                )
        intake.telemetry.ack_s.labels("grpc").observe(time.perf_counter() - started)
        return accepted

    def turned_away(self, error: BaseException) -> None:
        """Count a call that was ended before it came here."""
        self._intake.telemetry.received.labels(self._format.name, "grpc").inc()
        self._intake.count_refused(self._format.name, "grpc", error)


@contextlib.contextmanager
def _reserved(intake: Intake) -> Iterator[Reservation]:
    reservation = intake.reserve(0)
    try:
        yield reservation
    finally:
        reservation.release()


def _authorization(context: grpc.ServicerContext, tokens: TokenBook) -> str:
    if tokens.open_to_all:
        return ""
    for key, value in context.invocation_metadata():
        if key == "authorization":
            return str(value)
    return ""


def _accept(
    intake: Intake,
    format: Format,
    body: bytes,
    principal: Principal,
    origin: str,
    reservation: Reservation,
) -> bytes:
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
    return success_body(format.name, "protobuf", accepted.rejected, accepted.message)
