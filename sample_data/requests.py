"""A block of API calls as numpy columns, and how calls of given consumers and operations turn out.

This is the form all generators share: `rows.py` turns it into lake rows, `live.py` into spans and
log lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sample_data.company import ADDRESSES_PER_CONSUMER, Company

Outcome = str
OUTCOMES: tuple[Outcome, ...] = (
    "ok", "redirect", "client_error", "server_error", "rate_limited", "quota_exceeded",
    "unauthorized", "aborted",
)  # fmt: skip
OK, REDIRECT, CLIENT_ERROR, SERVER_ERROR, RATE_LIMITED, QUOTA_EXCEEDED, UNAUTHORIZED, ABORTED = (
    range(8)
)

_FATES = 4096
"""Resolution of the table of statuses: the rarest fate has a share of 1/4096."""


@dataclass(frozen=True, slots=True)
class Requests:
    """Calls in order of time; arrays have one length. Indexes point into the company's tuples."""

    time_us: NDArray[np.int64]
    """Start at the gateway, microseconds since the epoch."""
    operation: NDArray[np.int16]
    consumer: NDArray[np.int16]
    """-1 = nobody known."""
    status: NDArray[np.int16]
    """0 = the client left before an answer."""
    outcome: NDArray[np.int8]
    upstream_status: NDArray[np.int16]
    """0 = the upstream was not asked."""
    upstream_ms: NDArray[np.float32]
    """NaN = the upstream was not asked."""
    gateway_ms: NDArray[np.float32]
    request_bytes: NDArray[np.int32]
    response_bytes: NDArray[np.int32]
    address: NDArray[np.int32]
    agent: NDArray[np.int16]
    quota_remaining: NDArray[np.int64]
    """-1 = the gateway said nothing about a quota."""
    ids: NDArray[np.uint64]
    """Shape (n, 5): trace id (2), span id, request id and the id in the path."""

    def __len__(self) -> int:
        return len(self.time_us)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Requests:
        """The rows of an index, mask or slice."""
        return Requests(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @property
    def duration_ms(self) -> NDArray[np.float32]:
        """Whole time at the gateway, milliseconds."""
        return self.gateway_ms + np.nan_to_num(self.upstream_ms)


def concat_requests(blocks: Sequence[Requests]) -> Requests:
    """All blocks as one, ordered by time (stable). At least one block."""
    if len(blocks) == 1:
        return blocks[0]
    merged = Requests(
        **{f.name: np.concatenate([getattr(b, f.name) for b in blocks]) for f in fields(Requests)}
    )
    return merged.take(np.argsort(merged.time_us, kind="stable"))


@dataclass(frozen=True, slots=True)
class OperationArrays:
    """The company's operations as columns, for gathering by index."""

    upstream_ms: NDArray[np.float32]
    gateway_ms: NDArray[np.float32]
    spread: NDArray[np.float32]
    request_bytes: NDArray[np.float32]
    response_bytes: NDArray[np.float32]
    fates: NDArray[np.int16]
    """Shape (operations, 4096): statuses in the shares they happen in."""
    api: NDArray[np.int16]
    """Index into company.apis; -1 = none."""


@lru_cache(maxsize=4)
def operation_arrays(company: Company) -> OperationArrays:
    ops = company.operations
    names = [api.name for api in company.apis]
    return OperationArrays(
        upstream_ms=np.array([o.upstream_ms for o in ops], np.float32),
        gateway_ms=np.array([o.gateway_ms for o in ops], np.float32),
        spread=np.array([o.spread for o in ops], np.float32),
        request_bytes=np.array([o.request_bytes for o in ops], np.float32),
        response_bytes=np.array([o.response_bytes for o in ops], np.float32),
        fates=np.stack([_fates(o.method, o.ok_status, o.error_share, o.kind) for o in ops]),
        api=np.array([names.index(o.api.name) if o.api else -1 for o in ops], np.int16),
    )


def _fates(method: str, ok_status: int, error_share: float, kind: str) -> NDArray[np.int16]:
    """Statuses of one operation in the shares they happen in; what is left over is `ok_status`."""
    if kind != "call":
        return np.full(_FATES, ok_status, np.int16)
    shares = {500: error_share * 0.5, 503: error_share * 0.3, 502: error_share * 0.2}
    shares |= {401: 0.004, 403: 0.002, 0: 0.001}
    if method == "GET":
        shares |= {404: 0.014, 304: 0.03, 400: 0.003}
    else:
        shares |= {400: 0.011, 409: 0.004, 422: 0.012, 404: 0.002}
    fates = np.full(_FATES, ok_status, np.int16)
    position = 0
    for status, share in shares.items():
        count = max(1, round(share * _FATES))
        fates[position : position + count] = status
        position += count
    return fates


def draw_requests(
    company: Company,
    rng: np.random.Generator,
    time_us: NDArray[np.int64],
    operation: NDArray[np.int16],
    consumer: NDArray[np.int16],
) -> Requests:
    """How calls at these times turn out on a normal day. `consumer` -1 = unknown caller."""
    n = len(time_us)
    arrays = operation_arrays(company)
    dice = rng.integers(0, 2**32, n, np.uint32)
    status = arrays.fates[operation, dice & (_FATES - 1)]
    known = np.maximum(consumer, 0)
    agents = _agent_pairs(company)[known, (dice >> 12) & 1]
    address = known.astype(np.int32) * ADDRESSES_PER_CONSUMER + ((dice >> 13) & 7).astype(np.int32)

    normal = rng.standard_normal((4, n), np.float32)
    upstream_ms = arrays.upstream_ms[operation] * np.exp(normal[0] * arrays.spread[operation])
    gateway_ms = arrays.gateway_ms[operation] * np.exp(normal[1] * np.float32(0.35))
    request_bytes = arrays.request_bytes[operation] * np.exp(normal[2] * np.float32(0.3))
    response_bytes = arrays.response_bytes[operation] * np.exp(normal[3] * np.float32(0.5))

    return settle(
        Requests(
            time_us=time_us,
            operation=operation,
            consumer=consumer,
            status=status,
            outcome=np.zeros(n, np.int8),
            upstream_status=status.copy(),
            upstream_ms=upstream_ms,
            gateway_ms=gateway_ms,
            request_bytes=request_bytes.astype(np.int32),
            response_bytes=response_bytes.astype(np.int32),
            address=address,
            agent=agents,
            quota_remaining=np.full(n, -1, np.int64),
            ids=rng.integers(1, 2**64 - 1, (n, 5), np.uint64),
        )
    )


def settle(requests: Requests) -> Requests:
    """Make what follows from the status agree with it: outcome, upstream, sizes."""
    status = requests.status
    outcome = _outcome_by_status()[status]
    # The gateway itself answers 401 and 429: nothing goes upstream, the answer is short.
    refused = (status == 401) | (status == 429)
    left = status == 0
    short = refused | (status >= 400) | (status == 304)
    upstream_status = np.where(refused | left, 0, requests.upstream_status).astype(np.int16)
    return replace(
        requests,
        outcome=outcome,
        upstream_status=upstream_status,
        upstream_ms=np.where(refused, np.float32("nan"), requests.upstream_ms).astype(np.float32),
        response_bytes=np.where(
            left, 0, np.where(short, 180 + (requests.response_bytes & 127), requests.response_bytes)
        ).astype(np.int32),
    )


@lru_cache(maxsize=1)
def _outcome_by_status() -> NDArray[np.int8]:
    table = np.zeros(600, np.int8)
    table[300:400] = REDIRECT
    table[400:500] = CLIENT_ERROR
    table[[401, 403]] = UNAUTHORIZED
    table[429] = RATE_LIMITED
    table[500:] = SERVER_ERROR
    table[0] = ABORTED
    return table


@lru_cache(maxsize=4)
def _agent_pairs(company: Company) -> NDArray[np.int16]:
    return np.array([(c.agents[0], c.agents[-1]) for c in company.consumers], np.int16)
