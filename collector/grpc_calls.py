"""What every gRPC call has: a sender, an end with a status, a place among those open at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo

from collector.errors import TooManyCalls
from collector.limits import GRPC_CALLS_MAX
from collector.responses import failure_of
from collector.tcp_arrivals import peer_address

STATUS_METADATA = "grpc-status-details-bin"
RETRY_METADATA = "google.rpc.retryinfo-bin"
"""The same RetryInfo bare: exporters of Python look for it here, and for nothing in the status."""

Behavior = Callable[[Iterator[bytes], grpc.ServicerContext], bytes]

_CODES = {code.value[0]: code for code in grpc.StatusCode}


def end_call(context: grpc.ServicerContext, error: BaseException) -> NoReturn:
    """End the call with the status of `error`, details included."""
    failure = failure_of(error)
    status = failure.status
    trailers = [(STATUS_METADATA, status.SerializeToString())]
    if failure.retry_after_s is not None:
        retry = RetryInfo(retry_delay=Duration(seconds=failure.retry_after_s))
        trailers.append((RETRY_METADATA, retry.SerializeToString()))
    context.set_trailing_metadata(tuple(trailers))
    context.abort(_CODES[status.code], status.message)
    raise AssertionError("abort raises")


def sender_address(context: grpc.ServicerContext) -> str:
    """Where the call comes from, without the port."""
    peer = context.peer()
    address = peer_address(peer)
    return peer[:100] if address is None else address[0]


class OpenCalls(grpc.ServerInterceptor):  # type: ignore[misc]
    """Turns calls away while GRPC_CALLS_MAX of them are open, with a status that may be retried;
    the server's own `maximum_concurrent_rpcs` gives one that may not."""

    def __init__(self) -> None:
        self._open = 0
        self._lock = threading.Lock()
        # Of its own: the calls that are open have all the server's threads.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="grpc-refuse")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def counted(
        self, behavior: Behavior, turned_away: Callable[[BaseException], None]
    ) -> grpc.RpcMethodHandler:
        """A handler whose calls count. `turned_away` is told of each that finds no place."""

        def run(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            try:
                return behavior(messages, context)
            finally:
                with self._lock:
                    self._open -= 1

        def refuse(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            error = TooManyCalls(GRPC_CALLS_MAX)
            turned_away(error)
            end_call(context, error)

        refuse.experimental_thread_pool = self._pool  # type: ignore[attr-defined]
        run.refusal = grpc.stream_unary_rpc_method_handler(refuse)  # type: ignore[attr-defined]
        return grpc.stream_unary_rpc_method_handler(run)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """Called by the server for each call, before a thread takes it."""
        handler = continuation(handler_call_details)
        refusal = getattr(handler and handler.stream_unary, "refusal", None)
        if refusal is None:
            return handler
        with self._lock:
            if self._open >= GRPC_CALLS_MAX:
                return refusal
            self._open += 1
        return handler
