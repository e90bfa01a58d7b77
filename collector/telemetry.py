"""What the collector says about itself at /metrics.

Every record is accounted for:

    requests received = accepted + duplicated + refused (by reason) + being handled
    records accepted + replayed = stored + rejected + poisoned + pending
                                  (+ those of a replay whose rows the lake had already)

Each collector has a registry of its own, so that several can live in one test process.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client import disable_created_metrics as _disable_created_metrics
from prometheus_client.registry import Collector as PrometheusCollector

_disable_created_metrics()  # type: ignore[no-untyped-call]  # a line more per metric, of no use

_ACK_BUCKETS = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
)  # fmt: skip
_COMMIT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ROW_BUCKETS = (1, 10, 100, 1_000, 10_000, 50_000, 100_000, 200_000, 500_000)


class Telemetry:
    """The collector's metrics. Thread-safe."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        signal = ("format", "transport")
        self.received = Counter(
            "gatelens_collector_requests_received",
            "Requests that came in, whatever became of them.",
            signal,
            registry=r,
        )
        self.accepted = Counter(
            "gatelens_collector_requests_accepted",
            "Requests acknowledged after their bytes were durable.",
            signal,
            registry=r,
        )
        self.duplicated = Counter(
            "gatelens_collector_requests_duplicated",
            "Requests acknowledged because equal bytes were durable already.",
            signal,
            registry=r,
        )
        self.refused = Counter(
            "gatelens_collector_requests_refused",
            "Requests answered with an error; nothing of them was kept.",
            (*signal, "reason"),
            registry=r,
        )
        self.wire_bytes = Counter(
            "gatelens_collector_received_bytes",
            "Bytes of bodies as they came over the wire.",
            signal,
            registry=r,
        )
        self.body_bytes = Counter(
            "gatelens_collector_decompressed_bytes",
            "Bytes of bodies after decompression.",
            signal,
            registry=r,
        )
        self.ack_s = Histogram(
            "gatelens_collector_ack_seconds",
            "Time from the end of a request's body to its acknowledgement.",
            ("transport",),
            buckets=_ACK_BUCKETS,
            registry=r,
        )
        by_format = ("format",)
        self.records_accepted = Counter(
            "gatelens_collector_records_accepted",
            "Records in acknowledged requests.",
            by_format,
            registry=r,
        )
        self.records_replayed = Counter(
            "gatelens_collector_records_replayed",
            "Records read back after a restart.",
            by_format,
            registry=r,
        )
        self.records_stored = Counter(
            "gatelens_collector_records_stored",
            "Records committed to the lake.",
            by_format,
            registry=r,
        )
        self.records_rejected = Counter(
            "gatelens_collector_records_rejected",
            "Records refused one by one; each is in the rejects table.",
            by_format,
            registry=r,
        )
        self.records_poisoned = Counter(
            "gatelens_collector_records_poisoned",
            "Records of bodies that could not be decoded or written; kept in the quarantine.",
            by_format,
            registry=r,
        )
        self.commit_s = Histogram(
            "gatelens_collector_commit_seconds",
            "Time to decode a batch and commit all its tables.",
            buckets=_COMMIT_BUCKETS,
            registry=r,
        )
        self.batch_records = Histogram(
            "gatelens_collector_batch_records",
            "Records per batch.",
            buckets=_ROW_BUCKETS,
            registry=r,
        )
        self.commit_failures = Counter(
            "gatelens_collector_commit_failures",
            "Commits that failed and are tried again; nothing is lost by them.",
            registry=r,
        )
        self.commit_failures_in_a_row = self._gauge(
            "commit_failures_in_a_row", "Commits that failed since one worked; 0 = all is well."
        )
        self.wal_lost = Gauge(
            "gatelens_collector_wal_lost_records",
            "Requests found damaged or missing in the write-ahead log at the last start.",
            registry=r,
        )
        self.wal_torn_bytes = Gauge(
            "gatelens_collector_wal_torn_bytes",
            "Unfinished bytes cut off the write-ahead log at the last start.",
            registry=r,
        )
        self.inflight_bytes = self._gauge("inflight_bytes", "Bytes of requests being handled.")
        self.queue_bytes = self._gauge("queue_bytes", "Acknowledged bytes in memory.")
        self.wal_bytes = self._gauge("wal_bytes", "Size of the write-ahead log.")
        self.wal_lag = self._gauge("wal_lag_requests", "Acknowledged requests not committed yet.")
        self.commit_lag_s = self._gauge(
            "commit_lag_seconds", "Age of the oldest acknowledged request not committed yet."
        )
        self.wal_syncs = self._gauge("wal_syncs", "Syncs of the write-ahead log since start.")
        self.wal_sync_s = self._gauge("wal_sync_seconds", "Time spent syncing since start.")
        self.wal_failed = self._gauge("wal_failed", "1 = the log has stopped; restart needed.")
        self.spans_left = self._gauge(
            "spans_left_to_gateways",
            "Server spans not counted since start: a gateway tells of the same calls.",
        )
        self.spans_left_to_log = self._gauge(
            "spans_left_to_access_logs",
            "Gateways' spans not counted since start: their access log tells of the same calls.",
        )
        self.names_overflowed = Gauge(
            "gatelens_collector_names_overflowed_requests",
            "Requests since start whose API or route is __overflow__, by the cap that was met.",
            ("reason",),
            registry=r,
        )
        self.digests = self._gauge("dedupe_digests", "Requests remembered as seen.")
        self.heartbeat_failures = Counter(
            "gatelens_collector_heartbeat_failures",
            "Times that the state store could not be told of this collector taking data; they are "
            "made up for, and intake does not depend on them.",
            registry=r,
        )

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"gatelens_collector_{name}", text, registry=self.registry)

    def register(self, collector: PrometheusCollector) -> None:
        """Add a foreign source of metrics."""
        self.registry.register(collector)

    def render(self) -> bytes:
        """Prometheus text format 0.0.4."""
        return generate_latest(self.registry)
