"""What `wal_scrub` costs before the acknowledgement: CPU-seconds per million records and MB/s.

    python -m benchmarks.bench_wal_scrub

Bodies of 1,000 records: without any secret's name (one search), with the names but in none of the
values that count, and with a secret in every record.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.formats import MESSAGES
from collector.payload import Content
from collector.settings import QUERY_PARAMETERS
from collector.wal_scrub import Scrubber

RECORDS = 1000
SECONDS = 1.0


def spans(url: str, header: str | None) -> bytes:
    """A traces body of RECORDS spans, about 250 bytes each."""
    request = ExportTraceServiceRequest()
    found = request.resource_spans.add().scope_spans.add().spans
    for number in range(RECORDS):
        span = found.add(
            trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"), kind=2,
            name="GET /orders/{id}", start_time_unix_nano=10**18, end_time_unix_nano=10**18 + 5,
        )  # fmt: skip
        pairs = {"http.request.method": "GET", "url.full": f"https://shop.example/orders/{url}",
                 "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64)"}  # fmt: skip
        if header is not None:
            pairs["http.request.header.authorization"] = header
        for key, value in pairs.items():
            span.attributes.add(key=key).value.string_value = value
    return bytes(request.SerializeToString())


def kong(uri: str, headers: dict[str, str]) -> bytes:
    """An array of RECORDS of Kong's records."""
    record = {
        "started_at": 1_795_261_431_000, "client_ip": "192.0.2.1", "response": {"status": 200},
        "latencies": {"request": 12, "proxy": 9, "kong": 2}, "service": {"name": "orders"},
        "request": {"method": "GET", "uri": uri, "size": 120, "headers": headers},
    }  # fmt: skip
    return json.dumps([record] * RECORDS).encode()


def corpora() -> Iterator[tuple[str, str, Content, bytes]]:
    secret = {"authorization": "Bearer abc.def.ghi", "cookie": "sid=abc", "user-agent": "curl"}
    yield "spans, no secret", "otlp_traces", "protobuf", spans("1?page=2", None)
    yield "spans, redacted already", "otlp_traces", "protobuf", spans("1", "REDACTED")
    yield "spans, a secret in each", "otlp_traces", "protobuf", spans("1?token=abc", "Bearer abc")
    yield "kong, no secret", "kong", "json", kong("/orders/1", {"user-agent": "curl"})
    yield "kong, a secret in each", "kong", "json", kong("/orders/1?apikey=abc", secret)


def cpu_per_call(call: Callable[[], object]) -> float:
    call()
    calls, started = 0, time.process_time()
    while (spent := time.process_time() - started) < SECONDS:
        call()
        calls += 1
    return spent / calls


def main() -> None:
    scrubber = Scrubber(lambda _: QUERY_PARAMETERS, MESSAGES)
    print(f"{'body':26} {'bytes':>9} {'CPU-s/M records':>16} {'MB/s':>8}")
    for name, format_, content, body in corpora():
        clean = scrubber.scrub(format_, content, "default", body)
        assert (b"abc" not in clean) and (clean == body) == ("each" not in name), name
        took = cpu_per_call(lambda: scrubber.scrub(format_, content, "default", body))  # noqa: B023
        print(
            f"{name:26} {len(body):9,} {took * 1e6 / RECORDS:16.2f} {len(body) / took / 1e6:8.0f}"
        )


if __name__ == "__main__":
    main()
