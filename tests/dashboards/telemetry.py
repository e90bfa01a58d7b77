"""Spans, log records and metrics for the explore screens: a slow service, its failing calls, their
words, its queues."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa

from storage.lake import Lake
from storage.settings import StorageSettings

TRACES = 60
SLOW = 12
"""The last traces: two seconds long, failing, all of carrier `north`."""
DEPLOYED_AT = 30
"""The trace with which version 1.1 of orders-service took over from 1.0."""
QUEUES = {"fast": 1_000.0, "slow": 3_000.0}
"""Value of the gauge `queue.size`, in bytes, by its attribute `queue`."""


def trace_id(number: int) -> str:
    return f"{number + 1:032x}"


def write_telemetry(storage: StorageSettings, now: datetime) -> None:
    """One trace of two spans, and one log record, every ten seconds up to a minute ago."""
    lake = Lake(storage)
    end = now - timedelta(minutes=1)
    spans, logs, metrics = [], [], []
    for n in range(TRACES):
        slow = n >= TRACES - SLOW
        time = end - timedelta(seconds=10 * (TRACES - n))
        for kind, parent, name, service in (
            ("SERVER", None, "GET /orders", "gateway"),
            ("SERVER", f"{n:016x}", "list orders", "orders-service"),
        ):
            start_ns = int(time.timestamp() * 1e9)
            spans.append(
                {
                    "time": time,
                    "tenant": "default",
                    "trace_id": trace_id(n),
                    "span_id": f"{n:016x}" if parent is None else f"{n + 1000:016x}",
                    "parent_span_id": parent,
                    "start_time_unix_nano": start_ns,
                    "duration_ns": (2_000 if slow else 20) * 1_000_000,
                    "name": name,
                    "kind": kind,
                    "status": "ERROR" if slow else "OK",
                    "service_name": service,
                    "service_version": "1.1" if n >= DEPLOYED_AT else "1.0",
                    "attributes": [("carrier", "north" if slow else "south")],
                }
            )
        logs.append(
            {
                "time": time,
                "tenant": "default",
                "severity_number": 17 if slow else 9,
                "severity_text": "ERROR" if slow else "INFO",
                "body": f"order {n} {'failed' if slow else 'listed'}",
                "service_name": "orders-service",
                "trace_id": trace_id(n),
            }
        )
    for n, (queue, size) in enumerate(QUEUES.items()):
        metrics += [
            {
                "time": end - timedelta(minutes=minute),
                "tenant": "default",
                "name": "queue.size",
                "type": "gauge",
                "unit": "By",
                "value": size,
                "service_name": "orders-service",
                "series": n,
                "attributes": [("queue", queue)],
            }
            for minute in range(10)
        ]
    for table, rows in (("spans", spans), ("logs", logs), ("metrics", metrics)):
        target = lake.table(table)
        names = list(rows[0])
        schema = pa.schema([target.spec.arrow_schema.field(name) for name in names])
        batch = pa.Table.from_pylist(rows, schema=schema)
        target.append(batch, app_id="telemetry", app_version=1)
