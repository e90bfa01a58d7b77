"""Everything the collector refuses or fails at, and how each is answered.

    CollectorError
    ├── CollectorStartError            cannot start: port, folder, lock (the operator's turn)
    ├── WalError                       the write-ahead log itself
    │   └── WalFailed                  an fsync failed: nothing is acknowledged until a restart
    ├── SenderError                    the sender's fault; sending the same again cannot help
    │   ├── MalformedBody              bytes are not what the format says
    │   ├── UnsupportedContentType
    │   ├── UnsupportedEncoding
    │   ├── BodyTooLarge               before or after decompression
    │   ├── HeadersTooLarge
    │   ├── UnknownPath
    │   ├── WrongMethod
    │   ├── Unauthenticated
    │   └── Forbidden
    └── TryLater                       nothing wrong with the data; nothing of it was kept
        ├── MemoryFull                 bytes in flight are at their budget
        ├── WalFull                    the log is at its size cap: the lake is behind
        ├── DiskNearlyFull             the disk's reserve would be touched (storage.disk_reserve_mb)
        ├── WalUnavailable             the log could not be written or synced
        ├── BodyTooSlow                the body missed its deadline or its minimum rate
        ├── TooManyConnections
        ├── TooManyCalls               over gRPC, from all connections
        ├── RateLimited                more than the tenant's token allows
        └── ShuttingDown

Two questions shape the tree: whose fault is it, and may the sender try again. ANSWERS below is
the one place that turns an error into a status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import grpc


class CollectorError(Exception):
    """Root of the tree. `str(error)` is one sentence fit for a sender's log."""

    reason = "internal"
    """Label of the refusal counter."""


class CollectorStartError(CollectorError):
    """The collector cannot start; the sentence says what the operator should do."""


class WalError(CollectorError):
    """The write-ahead log cannot do what was asked."""

    reason = "wal"


class WalFailed(WalError):
    """fsync failed. What the disk holds is unknown, so nothing is acknowledged any more."""


class SenderError(CollectorError):
    """The request can never succeed as it is."""

    reason = "bad_request"


class MalformedBody(SenderError):
    """The body is not a valid message of its format; sending it again cannot help.

    `reason`: what is wrong, in a few words. `offset`: byte of the decompressed body where it
    was seen, None when no single place is to blame.
    """

    def __init__(self, reason: str, offset: int | None = None) -> None:
        self.reason = reason
        self.offset = offset
        super().__init__(reason if offset is None else f"{reason} at byte {offset}")


class UnsupportedContentType(SenderError):
    reason = "content_type"

    def __init__(self, got: str, supported: str) -> None:
        super().__init__(f"Content-Type {got[:100]!r} is not supported here; send {supported}.")


class UnsupportedEncoding(SenderError):
    reason = "content_encoding"

    def __init__(self, got: str) -> None:
        super().__init__(
            f"Content-Encoding {got[:100]!r} is not supported; "
            "send exactly one of gzip, deflate, zstd or identity."
        )


class BodyTooLarge(SenderError):
    reason = "body_too_large"

    def __init__(self, bytes_max: int, what: str = "body") -> None:
        self.bytes_max = bytes_max
        super().__init__(f"The {what} is larger than {bytes_max} bytes; send smaller batches.")


class HeadersTooLarge(SenderError):
    reason = "headers_too_large"


class UnknownPath(SenderError):
    reason = "unknown_path"

    def __init__(self) -> None:
        super().__init__(
            "No such path; OTLP goes to /v1/traces, /v1/logs or /v1/metrics, "
            "other formats to /ingest/<format>."
        )


class WrongMethod(SenderError):
    reason = "method"

    def __init__(self) -> None:
        super().__init__("Telemetry is sent with POST.")


class Unauthenticated(SenderError):
    reason = "unauthenticated"


class Forbidden(SenderError):
    reason = "forbidden"


class TryLater(CollectorError):
    """Nothing of the request was kept; the same bytes are welcome after `retry_after_s`."""

    reason = "try_later"
    retry_after_s = 1


class MemoryFull(TryLater):
    reason = "memory_full"

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"{bytes_max} bytes are in flight already; try again shortly.")


class WalFull(TryLater):
    reason = "wal_full"
    retry_after_s = 5

    def __init__(self, bytes_max: int) -> None:
        super().__init__(
            f"The write-ahead log is at its cap of {bytes_max} bytes: the lake is behind."
        )


class DiskNearlyFull(TryLater):
    reason = "disk_low"
    retry_after_s = 10


class WalUnavailable(TryLater):
    reason = "wal_unavailable"
    retry_after_s = 5


class BodyTooSlow(TryLater):
    reason = "body_too_slow"

    def __init__(self, limit: str) -> None:
        super().__init__(f"The body arrived too slowly ({limit}); try again.")


class TooManyConnections(TryLater):
    reason = "connections"


class TooManyCalls(TryLater):
    reason = "calls"

    def __init__(self, calls_max: int) -> None:
        super().__init__(f"{calls_max} calls are open already; try again shortly.")


class RateLimited(TryLater):
    reason = "rate_limited"


class ShuttingDown(TryLater):
    reason = "shutting_down"
    retry_after_s = 2

    def __init__(self) -> None:
        super().__init__("The collector is stopping; try again.")


@dataclass(frozen=True, slots=True)
class Answer:
    """How an error is told to the sender."""

    http: int
    grpc: grpc.StatusCode
    retry: bool
    """True: Retry-After over HTTP and google.rpc.RetryInfo in the status of both transports.
    Over gRPC, RESOURCE_EXHAUSTED is retried by clients only with RetryInfo."""


ANSWERS: Mapping[type[CollectorError], Answer] = MappingProxyType(
    {
        # OTLP 1.11 "OTLP/HTTP Response > Failures": bad data is 400, never retried.
        MalformedBody: Answer(400, grpc.StatusCode.INVALID_ARGUMENT, False),
        SenderError: Answer(400, grpc.StatusCode.INVALID_ARGUMENT, False),
        UnsupportedContentType: Answer(415, grpc.StatusCode.INVALID_ARGUMENT, False),
        UnsupportedEncoding: Answer(415, grpc.StatusCode.UNIMPLEMENTED, False),
        # OTLP 1.11 "Request size limits": 413, and RESOURCE_EXHAUSTED *without* RetryInfo.
        BodyTooLarge: Answer(413, grpc.StatusCode.RESOURCE_EXHAUSTED, False),
        HeadersTooLarge: Answer(431, grpc.StatusCode.RESOURCE_EXHAUSTED, False),
        UnknownPath: Answer(404, grpc.StatusCode.UNIMPLEMENTED, False),
        WrongMethod: Answer(405, grpc.StatusCode.UNIMPLEMENTED, False),
        Unauthenticated: Answer(401, grpc.StatusCode.UNAUTHENTICATED, False),
        Forbidden: Answer(403, grpc.StatusCode.PERMISSION_DENIED, False),
        # OTLP 1.11 "OTLP/HTTP Throttling" and "OTLP/gRPC Throttling": 503 with Retry-After,
        # UNAVAILABLE with RetryInfo. 500 would make clients drop the data ("Retryable Response
        # Codes" lists 429, 502, 503, 504 only), so no transient fault of ours is ever a 500.
        TryLater: Answer(503, grpc.StatusCode.UNAVAILABLE, True),
        RateLimited: Answer(429, grpc.StatusCode.RESOURCE_EXHAUSTED, True),
        WalError: Answer(503, grpc.StatusCode.UNAVAILABLE, True),
        # Anything unforeseen on our side: nothing was acknowledged, so trying again is right.
        CollectorError: Answer(503, grpc.StatusCode.UNAVAILABLE, True),
    }
)
"""Error -> status. The most specific class wins."""


def answer_for(error: BaseException) -> Answer:
    """The row of ANSWERS for the error's closest class; foreign exceptions count as ours."""
    for cls in type(error).__mro__:
        if cls in ANSWERS:
            return ANSWERS[cls]
    return ANSWERS[CollectorError]


def retry_after_s(error: BaseException) -> int:
    """Seconds a sender should wait; only meaningful where the answer says retry."""
    return error.retry_after_s if isinstance(error, TryLater) else TryLater.retry_after_s
