"""Limits of the receivers: value, unit, what is bounded, what happens beyond it."""

from __future__ import annotations

SNAPPY_RATIO_MAX = 32
"""Decompressed bytes per compressed byte of a snappy block. The format cannot do better than
about 22 (a copy of 64 bytes takes 3), so a larger declared length is a lie. Beyond: 400."""

ATTRIBUTE_DEPTH_MAX = 4
"""Levels of nested JSON that become dotted attribute names; what is deeper stays JSON text."""

ATTRIBUTES_MAX = 1_000
"""Attributes made of one record; the rest stays together as JSON under `more`."""

ANSWER_ITEMS_MAX = 500_000
"""Actions of one `_bulk` body. Beyond: 413."""

PAIR_MEMO_ENTRIES = 65_536
"""Encoded attributes remembered, so that labels which come again and again are encoded once."""

GATEWAY_RECORD_BYTES = 2_000
"""Memory a gateway record may take when decoded, for the limit on decoded bodies."""

HISTOGRAM_BUCKETS_MAX = 10_000
"""Buckets of one native histogram, gaps included: a span's offset may say two thousand million.
Beyond: the histogram is a reject. OpenTelemetry SDKs use 160."""

MESSAGE_BYTES_MAX = 64 * 1024
"""One syslog message or line of a listener. A longer one is cut over UDP by the network itself;
over TCP the connection is closed and the message counted as dropped."""

LISTENER_BYTES_MAX = 16 * 1024 * 1024
"""Messages of one listener that wait for the log. Beyond: UDP drops and counts them, TCP stops
reading."""

LISTENER_BATCH_BYTES = 512 * 1024
"""Messages handed to the log together."""

LISTENER_PAUSE_S = 0.1
"""Longest time a message waits for others to share its record in the log."""

LISTENER_CONNECTIONS_MAX = 1_000
"""Open TCP connections of one listener. Beyond: closed on arrival, and counted."""

LISTENER_IDLE_S = 3_600.0
"""A TCP connection without a byte for so long is closed."""

UDP_BUFFER_BYTES = 4 * 1024 * 1024
"""Receive buffer asked of the kernel for a UDP listener, for bursts."""

ENVOY_STREAMS_MAX = 256
"""Access log streams served at a time; Envoy opens one per worker thread. Beyond: a stream waits
unread until another one ends."""

ENVOY_RETRY_S = 30.0
"""How long a message waits for room in the log before its stream is ended with UNAVAILABLE."""

WATCH_BODY_BYTES_MAX = 16 * 1024 * 1024
"""Answer of a scraped or probed endpoint, decompressed. Beyond: read no further, `up` is 0."""

KAFKA_MESSAGES_MAX = 2_000
"""Messages of a Kafka topic taken at once."""
