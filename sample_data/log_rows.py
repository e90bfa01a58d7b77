"""Generated calls as rows of the lake's `logs` table: what the services wrote about them.

One line in `INFO_EVERY` of the good calls, every failed one; the same texts `live.py` sends.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sample_data.columns import hex_text, map_column, pick, timestamps
from sample_data.company import Company, Operation
from sample_data.requests import CLIENT_ERROR, SERVER_ERROR, Requests
from sample_data.rows import ENVIRONMENT, TENANT
from sample_data.span_rows import SERVICE_SCOPE, span_timing
from storage.schemas import LOGS

INFO_EVERY = 4
SEVERITIES = ((9, "INFO"), (13, "WARN"), (17, "ERROR"))
EXCEPTIONS: dict[int, tuple[str, str]] = {
    500: ("NullPointerException", "carrier account is null"),
    502: ("UpstreamResetError", "connection reset by provider before headers"),
    503: ("PoolExhaustedError", "no database connection free after 250 ms"),
    504: ("DeadlineExceeded", "provider did not answer within 2500 ms"),
}
"""Exception type and message by status."""


def severity_of(status: int) -> int:
    """Index into SEVERITIES."""
    return 2 if status >= 500 else 1 if status >= 400 else 0


def body_of(operation: Operation, status: int) -> str:
    """What a service writes about a call with this status."""
    what = f"{operation.method} {operation.template}"
    if status in EXCEPTIONS:
        return f"{what} failed: {EXCEPTIONS[status][0]}: {EXCEPTIONS[status][1]}"
    return f"{what} rejected with {status}" if status >= 400 else f"{what} handled with {status}"


def logs_table(company: Company, requests: Requests) -> pa.Table:
    """Log rows in the order of the calls. Calls that no service answered wrote nothing."""
    ops = company.operations
    logged = _logged(company, requests)
    n, op = len(logged), logged.operation
    severity = np.where(logged.status >= 500, 2, np.where(logged.status >= 400, 1, 0))
    start_ns, duration_ns = span_timing(logged, 2)
    time = timestamps((start_ns + duration_ns) // 1_000)
    statuses = np.unique(logged.status)
    # One text per (operation, status), gathered by index.
    at = op.astype(np.int64) * len(statuses) + np.searchsorted(statuses, logged.status)
    bodies = [body_of(o, int(s)) for o in ops for s in statuses]
    kinds = [EXCEPTIONS.get(int(s), (None, None)) for _ in ops for s in statuses]
    exception = pick([kind for kind, _ in kinds], at)
    attributes = map_column(
        (
            "http.request.method",
            "http.route",
            "waypost.consumer",
            "exception.type",
            "exception.message",
        ),
        (
            pick([o.method for o in ops], op),
            pick([o.template for o in ops], op),
            pick([c.name for c in company.consumers], logged.consumer),
            exception,
            pick([message for _, message in kinds], at),
        ),
    )
    filled: dict[str, pa.Array] = {
        "time": time,
        "observed_time": time,
        "severity_number": pa.array(np.array([s for s, _ in SEVERITIES], np.int8)[severity]),
        "severity_text": pick([text for _, text in SEVERITIES], severity),
        "body": pick(bodies, at),
        "trace_id": hex_text(logged.ids[:, :2]),
        "flags": pa.array(np.ones(n, np.uint32)),
        "service_name": pick([o.api.service if o.api else None for o in ops], op),
        "service_namespace": pa.repeat(pa.scalar("waypost"), n),
        "environment": pa.repeat(pa.scalar(ENVIRONMENT), n),
        "scope_name": pa.repeat(pa.scalar(SERVICE_SCOPE[0]), n),
        "scope_version": pa.repeat(pa.scalar(SERVICE_SCOPE[1]), n),
        "attributes": attributes,
        "dropped_attributes_count": pa.array(np.zeros(n, np.uint32)),
        "tenant": pa.repeat(pa.scalar(TENANT), n),
    }
    return pa.table(
        [filled[c.name] if c.name in filled else pa.nulls(n, c.type) for c in LOGS.columns],
        schema=LOGS.arrow_schema,
    )


def _logged(company: Company, requests: Requests) -> Requests:
    traced = np.array([o.gateway != "nginx" and o.kind == "call" for o in company.operations])
    reached = traced[requests.operation] & (requests.upstream_status > 0)
    failed = (requests.outcome == SERVER_ERROR) | (requests.outcome == CLIENT_ERROR)
    sampled = requests.ids[:, 1] % INFO_EVERY == 0
    return requests.take(reached & (failed | sampled))
