"""Telemetry that tries to run a script or to be more than text, in every string a screen shows.

Written hours before everything else the tests know, so that no count of theirs includes it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa

from storage.lake import Lake
from storage.settings import StorageSettings

PAYLOADS = (
    "<script>window.canary=1</script>",
    "<img src=x onerror=window.canary=1>",
    "\"'><svg onload=window.canary=1>",
    "javascript:window.canary=1",
    "{{constructor.constructor('window.canary=1')()}}",
    "<a href='javascript:window.canary=1'>x</a>",
    "</script><iframe srcdoc='<script>parent.canary=1</script>'>",
    "%{x}<br><b>bold</b>",
)
RANGE = "from=now-6h&to=now-4h&refresh=off"
"""The part of the past they lie in."""

TRACE = "c" * 32

AGO = timedelta(hours=5)
"""Outside the last hour, which tests count, and the hour before it, which they compare with."""


def write_canaries(storage: StorageSettings, now: datetime) -> None:
    lake = Lake(storage)
    begin = now - AGO
    requests, spans, logs, metrics = [], [], [], []
    for n, text in enumerate(PAYLOADS):
        time = begin + timedelta(seconds=20 * n)
        requests.append(
            {
                "time": time, "tenant": "default", "environment": text, "gateway": text,
                "api": text, "api_version": text, "route": text, "method": text, "product": text,
                "plan": text, "consumer": text, "status_code": (200, 500)[n % 2],
                "outcome": ("ok", "server_error")[n % 2], "duration_ms": 10.0 + n,
                "upstream_ms": 9.0, "gateway_ms": 1.0, "country": text, "client_kind": text,
                "source": text, "trace_id": TRACE,
            }
        )  # fmt: skip
        spans.append(
            {
                "time": time, "tenant": "default", "trace_id": TRACE, "span_id": f"{n:016x}",
                "parent_span_id": None if n == 0 else f"{n - 1:016x}", "kind": "SERVER",
                "start_time_unix_nano": int(time.timestamp() * 1e9), "duration_ns": 5_000_000,
                "name": text, "status": "ERROR", "status_message": text, "service_name": text,
                "service_version": text, "attributes": [(text, text)],
                "events": [{
                    "time_unix_nano": int(time.timestamp() * 1e9), "name": "exception",
                    "attributes": [("exception.type", text), ("exception.message", text)],
                }],
            }
        )  # fmt: skip
        logs.append(
            {
                "time": time, "tenant": "default", "severity_number": 17, "severity_text": text,
                "body": text, "service_name": text, "trace_id": TRACE, "attributes": [("k", text)],
            }
        )  # fmt: skip
        metrics.append(
            {
                "time": time, "tenant": "default", "name": text, "type": "gauge", "unit": text,
                "description": text, "value": 1.0, "service_name": text, "series": n,
            }
        )  # fmt: skip
    for name, rows in (
        ("requests", requests), ("spans", spans), ("logs", logs), ("metrics", metrics)
    ):  # fmt: skip
        target = lake.table(name)
        schema = pa.schema([target.spec.arrow_schema.field(column) for column in rows[0]])
        batch = pa.Table.from_pylist(rows, schema=schema)
        target.append(batch, app_id="canaries", app_version=1)
