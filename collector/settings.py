"""What the collector needs to know. Read by `gatelens/` and handed down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

FsyncMode = Literal["strict", "interval", "off"]
AddressPolicy = Literal["keep", "truncate", "hash", "drop"]
UserPolicy = Literal["keep", "hash", "drop"]

QUERY_PARAMETERS = (
    "access_token", "api_key", "api-key", "apikey", "auth", "client_secret", "code", "id_token",
    "key", "passwd", "password", "refresh_token", "secret", "sig", "signature", "subscription-key",
    "token", "x-amz-credential", "x-amz-security-token", "x-amz-signature",
)  # fmt: skip
"""Query parameters that carry secrets, by their usual names."""


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """One collector process. Frozen: made once."""

    host: str = "127.0.0.1"
    """Address both servers bind to."""

    http_port: int = 4318
    """OTLP/HTTP and gateway formats; 0 = a free port, logged at start."""

    grpc_port: int = 4317
    """OTLP/gRPC; 0 = a free port, logged at start; -1 = no gRPC server."""

    tokens_file: Path | None = None
    """YAML file of tokens and their tenants, see `collector/auth.py`; None = everybody may send,
    as tenant `default`."""

    cors_origins: tuple[str, ...] = ()
    """Origins of browsers that may send over HTTP, such as https://shop.example; `*` = any.
    Empty = CORS is off."""

    tls_certificate: Path | None = None
    """PEM file with the certificate chain of both servers; None = no TLS. Read again when it
    changes."""

    tls_key: Path | None = None
    """PEM file with the certificate's private key; None = it is in the certificate's file."""

    tls_client_ca: Path | None = None
    """PEM file with the authorities whose client certificates are required (mutual TLS); None =
    clients need no certificate."""

    commit_interval_s: float = 2.0
    """Longest time acknowledged data waits before it is committed to the lake."""

    rows_per_commit_max: int = 100_000
    """Records that make a commit happen before its time."""

    bytes_per_commit_max: int = 32 * 1024 * 1024
    """Body bytes that make a commit happen before its time; bounds the memory of one commit."""

    fsync: FsyncMode = "strict"
    """strict: acknowledged = synced to disk. interval: synced every fsync_interval_ms, a power cut
    may lose that much. off: the kernel decides; a crash of this process still loses nothing."""

    fsync_interval_ms: int = 200
    """Time between syncs in mode interval."""

    wal_scrub: bool = False
    """Whether secrets are taken out of bodies before they are written to the write-ahead log, as
    they always are before rows are. Costs time where a body names secrets, see docs/privacy.md."""

    wal_bytes_max: int = 4 * 1024 * 1024 * 1024
    """Size cap of the write-ahead log. Beyond: 503 until the lake has caught up."""

    wal_segment_bytes: int = 64 * 1024 * 1024
    """Size at which a segment file is closed and the next one begun."""

    inflight_bytes_max: int = 128 * 1024 * 1024
    """Body bytes of requests not yet acknowledged. Beyond: 503 before anything is parsed."""

    queue_bytes_max: int = 64 * 1024 * 1024
    """Acknowledged body bytes kept in memory for the next commits. Beyond: they are read back
    from the write-ahead log when their turn comes."""

    body_bytes_max: int = 64 * 1024 * 1024
    """One request's body, compressed and decompressed. Beyond: 413 / RESOURCE_EXHAUSTED.
    64 MiB is what OTLP 1.11 recommends."""

    body_ratio_max: int = 1000
    """Decompressed bytes per compressed byte, for bodies over 1 MiB decompressed; 0 = no limit.
    Beyond: 413."""

    decoded_bytes_max: int = 1024 * 1024 * 1024
    """Memory one request's body may take when decoded, by an estimate that is about twice of what
    it takes: millions of empty records fit into few bytes, and 64 MiB of small spans count as
    0.9 GB. Beyond: 413 / RESOURCE_EXHAUSTED, before anything is made of it."""

    otlp_records_max: int = 500_000
    """Spans, log records or data points of one OTLP body. Beyond: 400."""

    otlp_attributes_max: int = 2_000
    """Attributes of one span, log record or data point. Beyond: that record is refused (partial
    success) and kept in `rejects`. Values inside one another: at most 64 deep in JSON bodies, 100
    messages in protobuf, as Google's decoders have it; that is no setting."""

    api_names_max: int = 2_000
    """API names of one tenant that come from gateways and services and that the catalog does not
    list. Beyond: `__overflow__`, counted, and senders are told."""

    route_names_max: int = 10_000
    """Routes of one tenant, sent or made of paths, that the catalog does not list. Beyond:
    `__overflow__`, counted, and senders are told."""

    header_timeout_s: float = 10.0
    """Time for the head of an HTTP request to arrive. Beyond: closed."""

    body_timeout_s: float = 60.0
    """Time for the body of an HTTP request to arrive. Beyond: 503, closed."""

    body_rate_min: int = 1024
    """Bytes per second a body must arrive with after five seconds. Beyond: 503, closed."""

    keep_alive_s: float = 75.0
    """Idle time after which an HTTP connection is closed; longer than senders' export intervals."""

    connections_max: int = 10_000
    """Open connections, over HTTP and over gRPC each. Beyond: closed on arrival, over HTTP with a
    503. Fewer where the process may not open as many files."""

    listeners: tuple[str, ...] = ()
    """UDP and TCP listeners, such as syslog+udp://127.0.0.1:5514?format=nginx, syslog+tcp://,
    json+tcp:// or json+udp://; options: format, tenant, environment. Empty = none."""

    kafka: tuple[str, ...] = ()
    """Kafka topics to read, such as kafka://broker:9092/tyk-analytics?format=tyk; options: format,
    encoding (proto, json), partitions (0,2,4-7), group, tenant, environment. Needs the extra
    `kafka`. Empty = none."""

    kafka_config: Path | None = None
    """File of more settings of librdkafka, one `name=value` a line (security.protocol, sasl.…);
    None = none."""

    watch_file: Path | None = None
    """YAML file of Prometheus targets to scrape and health endpoints to probe, see
    `collector/receivers/watch_file.py`; None = nothing is fetched."""

    grpc_threads: int = 16
    """Threads of the gRPC server: requests handled at a time."""

    dedupe_window_s: int = 600
    """How long a request's digest is remembered; 0 = never recognise duplicates."""

    dedupe_entries_max: int = 1_000_000
    """Digests kept (about 100 bytes each). Beyond: the oldest are forgotten early, and counted."""

    shutdown_s: float = 4.0
    """Longest time a stop may take; what is not in the lake by then is replayed at next start."""

    self_traces_url: str = ""
    """Where the collector sends spans about itself (OTLP/HTTP, such as
    http://other:4318/v1/traces); never to itself. Empty = it makes none."""

    self_traces_ratio: float = 0.05
    """Share of requests that become such a span, more than 0, at most 1."""

    client_addresses: AddressPolicy = "keep"
    """What is kept of client addresses: keep, truncate (IPv4 to /24, IPv6 to /48), hash (keyed) or
    drop. Countries are looked up before."""

    user_names: UserPolicy = "keep"
    """What is kept of user names that the catalog does not list as consumers: keep, hash (keyed)
    or drop."""

    query_parameters: tuple[str, ...] = QUERY_PARAMETERS
    """Query parameters whose values never reach the lake, in spans and log records; `requests`
    holds no queries at all. Any case."""

    privacy_file: Path | None = None
    """YAML file with other policies per tenant, see docs/privacy.md; None = one for all."""

    def validate(self) -> None:
        """Raise ValueError, in one sentence, where values cannot work together."""
        if self.wal_segment_bytes > self.wal_bytes_max // 2:
            raise ValueError("wal_segment_bytes must be at most half of wal_bytes_max.")
        if self.body_bytes_max > self.inflight_bytes_max:
            raise ValueError("body_bytes_max must not exceed inflight_bytes_max.")
        if self.otlp_records_max < 1 or self.otlp_attributes_max < 0:
            raise ValueError("otlp_records_max must be positive, otlp_attributes_max not negative.")
        if self.api_names_max < 1 or self.route_names_max < 1:
            raise ValueError("api_names_max and route_names_max must be positive.")
        if self.commit_interval_s <= 0 or self.rows_per_commit_max < 1:
            raise ValueError("commit_interval_s and rows_per_commit_max must be positive.")
        if self.tls_certificate is None and (self.tls_key or self.tls_client_ca):
            raise ValueError("tls_key and tls_client_ca need tls_certificate.")
        if self.self_traces_url and not self.self_traces_url.startswith(("http://", "https://")):
            raise ValueError("self_traces_url must begin with http:// or https://.")
        if not 0 < self.self_traces_ratio <= 1:
            raise ValueError("self_traces_ratio must be more than 0 and at most 1.")
        if self.fsync not in ("strict", "interval", "off"):
            raise ValueError("fsync must be strict, interval or off.")
