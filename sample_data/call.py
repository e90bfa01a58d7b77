"""One call as plain Python values, for what is sent one by one: spans, log records, log lines."""

from __future__ import annotations

from dataclasses import dataclass

from sample_data.columns import hex_text
from sample_data.company import AGENTS, Address, Company, Consumer, Operation
from sample_data.requests import OUTCOMES, Outcome, Requests
from sample_data.rows import paths
from sample_data.span_rows import span_ids, span_timing


@dataclass(frozen=True, slots=True)
class Call:
    """A row of `Requests`. None = not known or did not happen."""

    operation: Operation
    consumer: Consumer | None
    path: str
    status: int
    """0 = the client left before an answer."""
    outcome: Outcome
    upstream_status: int | None
    upstream_ms: float | None
    gateway_ms: float
    request_bytes: int
    response_bytes: int
    address: Address
    user_agent: str
    quota_limit: int | None
    quota_remaining: int | None
    trace_id: bytes
    span_ids: tuple[bytes, bytes, bytes, bytes]
    """Ids as `span_rows.py` has them. Live traffic does not use them: the SDK makes its own."""
    request_id: str
    dice: int
    """A random number of the call, for choices that must repeat: instance, whether it is logged."""
    spans: tuple[tuple[int, int], ...]
    """(start, end) in ns of the gateway's, client's, service's and database's span."""

    @property
    def end_ns(self) -> int:
        """When the gateway was done with it."""
        return self.spans[0][1]

    @property
    def instance(self) -> str:
        return f"{self.operation.gateway}-{1 + self.dice % 2}"


def calls_of(company: Company, requests: Requests) -> list[Call]:
    """The rows as values, in their order."""
    if not len(requests):
        return []
    timings = []
    for depth in range(4):
        start, duration = span_timing(requests, depth)
        timings.append(list(zip(start.tolist(), (start + duration).tolist(), strict=True)))
    trace_ids = requests.ids[:, :2].astype(">u8").tobytes()
    span_id_bytes = [span_ids(requests, depth).astype(">u8").tobytes() for depth in range(4)]
    request_ids = hex_text(requests.ids[:, 3]).to_pylist()
    path = paths(company, requests).to_pylist()
    return [
        Call(
            operation=company.operations[operation],
            consumer=company.consumers[consumer] if consumer >= 0 else None,
            path=path[i],
            status=status,
            outcome=OUTCOMES[outcome],
            upstream_status=upstream_status or None,
            upstream_ms=upstream_ms if upstream_ms == upstream_ms else None,  # NaN = not asked
            gateway_ms=gateway_ms,
            request_bytes=request_bytes,
            response_bytes=response_bytes,
            address=company.addresses[address],
            user_agent=AGENTS[agent].text,
            quota_limit=(
                company.consumers[consumer].plan.quota_per_month if remaining >= 0 else None
            ),
            quota_remaining=remaining if remaining >= 0 else None,
            trace_id=trace_ids[i * 16 : i * 16 + 16],
            span_ids=_span_ids_at(span_id_bytes, i),
            request_id=request_ids[i],
            dice=dice,
            spans=(timings[0][i], timings[1][i], timings[2][i], timings[3][i]),
        )
        for i, (
            operation, consumer, status, outcome, upstream_status, upstream_ms, gateway_ms,
            request_bytes, response_bytes, address, agent, remaining, dice,
        ) in enumerate(
            zip(
                requests.operation.tolist(), requests.consumer.tolist(), requests.status.tolist(),
                requests.outcome.tolist(), requests.upstream_status.tolist(),
                requests.upstream_ms.tolist(), requests.gateway_ms.tolist(),
                requests.request_bytes.tolist(), requests.response_bytes.tolist(),
                requests.address.tolist(), requests.agent.tolist(),
                requests.quota_remaining.tolist(), requests.ids[:, 3].tolist(),
                strict=True,
            )
        )
    ]  # fmt: skip


def _span_ids_at(columns: list[bytes], row: int) -> tuple[bytes, bytes, bytes, bytes]:
    at = slice(row * 8, row * 8 + 8)
    return columns[0][at], columns[1][at], columns[2][at], columns[3][at]
