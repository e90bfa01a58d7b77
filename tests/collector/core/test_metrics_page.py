"""/metrics has everything an operator is promised, under the names that the docs give."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.collector.core.doors import eventually, open_collector
from tests.collector.core.process import CollectorProcess, post, traces

PROMISED = {
    "accepted": ("requests_accepted", "records_accepted"),
    "refused, by reason": ("requests_refused",),
    "duplicated": ("requests_duplicated",),
    "bytes": ("received_bytes", "decompressed_bytes"),
    "lag of the write-ahead log": ("wal_lag_requests", "wal_bytes"),
    "lag of commits": ("commit_lag_seconds",),
    "bytes waiting in memory": ("queue_bytes", "inflight_bytes"),
    "sizes of batches": ("batch_records",),
    "time to the acknowledgement": ("ack_seconds",),
    "names beyond a cap": ("names_overflowed_requests",),
    "every drop": ("records_rejected", "records_poisoned", "wal_lost_records"),
}


def test_what_is_promised_is_there_and_moves(tmp_path: Path) -> None:
    with open_collector(tmp_path) as collector:
        body = traces(1, 3)
        statuses = [post(collector.http_port, b)[0] for b in (body, body, b"\xff")]
        assert statuses == [200, 200, 400]
        port = collector.http_port

        def families() -> dict[str, list[tuple[dict[str, str], float]]]:
            text = CollectorProcess.get_from(port, "/metrics")[1].decode()
            return {
                f.name.removeprefix("gatelens_collector_"): [(s.labels, s.value) for s in f.samples]
                for f in text_string_to_metric_families(text)
            }

        eventually(lambda: any(v for _, v in families()["records_stored"]))
        found = families()
    for promise, names in PROMISED.items():
        assert set(names) <= found.keys(), promise
    moved = ("requests_accepted", "records_accepted", "requests_refused", "requests_duplicated",
             "received_bytes", "decompressed_bytes", "batch_records", "ack_seconds")  # fmt: skip
    for name in moved:
        assert any(value > 0 for _, value in found[name]), name
    assert [labels["reason"] for labels, v in found["requests_refused"] if v] == ["malformed"]
