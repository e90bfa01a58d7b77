"""A receiver that keeps what it is sent, decoded by the official protobuf classes.

Independent of the collector: the tests here say what the sender puts on the wire.
"""

from __future__ import annotations

import gzip
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "/v1/traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "/v1/logs",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "/v1/metrics",
}


class Receiver:
    """OTLP/HTTP, OTLP/gRPC and /ingest/nginx on free loopback ports. `refuse` = posts to refuse."""

    def __init__(self) -> None:
        self.refuse = 0
        self._started = False
        self.bodies: dict[str, list[bytes]] = defaultdict(list)
        self._changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                taken = receiver._take(self.path, body)
                self.send_response(200 if taken else 503)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._grpc = grpc.server(futures.ThreadPoolExecutor(2))
        for service, path in _SERVICES.items():
            handler = grpc.unary_unary_rpc_method_handler(self._grpc_method(path))
            self._grpc.add_generic_rpc_handlers(
                [grpc.method_handlers_generic_handler(service, {"Export": handler})]
            )
        self.http_url = f"http://127.0.0.1:{self._http.server_port}"
        self.grpc_target = f"127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"

    def start(self) -> None:
        self._started = True
        threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        self._grpc.start()

    def stop(self) -> None:
        if self._started:
            self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(None).wait()

    def wait_for(self, condition: Callable[[], bool], timeout_s: float = 20.0) -> bool:
        """Wait until the condition holds; looked at after every body. False = it never did."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def spans(self) -> list[tuple[str, Span]]:
        """(service.name, span) of everything received, in order."""
        return [
            (
                next(
                    a.value.string_value for a in r.resource.attributes if a.key == "service.name"
                ),
                span,
            )
            for body in self.bodies["grpc/v1/traces"] + self.bodies["/v1/traces"]
            for r in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in r.scope_spans
            for span in scope.spans
        ]

    def logs(self) -> list[object]:
        return [
            record
            for body in self.bodies["grpc/v1/logs"] + self.bodies["/v1/logs"]
            for r in ExportLogsServiceRequest.FromString(body).resource_logs
            for scope in r.scope_logs
            for record in scope.log_records
        ]

    def metric_names(self) -> set[str]:
        return {
            metric.name
            for body in self.bodies["grpc/v1/metrics"] + self.bodies["/v1/metrics"]
            for r in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in r.scope_metrics
            for metric in scope.metrics
        }

    def lines(self) -> list[str]:
        return [
            line for body in self.bodies["/ingest/nginx"] for line in body.decode().splitlines()
        ]

    def _take(self, path: str, body: bytes) -> bool:
        with self._changed:
            if self.refuse > 0:
                self.refuse -= 1
                return False
            self.bodies[path].append(body)
            self._changed.notify_all()
            return True

    def _grpc_method(self, path: str) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        def export(body: bytes, context: grpc.ServicerContext) -> bytes:
            if not self._take(f"grpc{path}", body):
                context.abort(grpc.StatusCode.UNAVAILABLE, "try again")
            return b""

        return export
