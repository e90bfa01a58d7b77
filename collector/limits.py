"""Every limit of the collector that is not a setting: value, what it bounds, what happens beyond.

Limits an operator may want to move are fields of `collector.settings.CollectorSettings`.
"""

from __future__ import annotations

HEADER_BYTES_MAX = 32 * 1024
"""Request line and header fields of one HTTP request, on the wire. Beyond: 431, closed.
nginx takes 32 KiB (4 x 8 KiB) by default."""

HEADER_FIELDS_MAX = 100
"""Header fields of one HTTP request. Beyond: 431, closed. Apache's LimitRequestFields is 100."""

CHUNK_OVERHEAD_BYTES_MAX = 64 * 1024
"""Wire bytes of a chunked body beyond eight times the data in it: chunk extensions and trailers.
Beyond: 400, closed."""

PIPELINE_DEPTH_MAX = 32
"""Requests of one connection waiting for the answer to an earlier one. Beyond: closed."""

STATUS_MESSAGE_CHARS_MAX = 1024
"""Characters of an error message sent back; longer ones are cut. Keeps responses far below the
4 MiB that OTLP 1.11 allows."""

FILES_KEPT = 512
"""Open files of the process that connections may not use up: the log, the lake, its readers."""

GRPC_IDLE_MS_MAX = 10 * 60 * 1000
"""Time after which a gRPC connection without calls is closed; clients open it again when needed."""

GRPC_METADATA_BYTES_MAX = 16 * 1024
"""Metadata of one RPC. Beyond: RESOURCE_EXHAUSTED by the gRPC core."""

GRPC_STREAMS_PER_CONNECTION_MAX = 128
"""RPCs in flight on one connection. Beyond: the client waits (HTTP/2 flow control)."""

GRPC_CALLS_MAX = 2_000
"""Calls of all connections that are open at a time, waiting for a thread included. Beyond:
UNAVAILABLE, unread. A waiting call costs some 10 KB."""

GRPC_PEERS_KNOWN_MAX = 1_000
"""Connections whose socket is remembered, to see what came over them. Beyond: looked for again."""

GRPC_CROWDED_STALL_S = 0.5
"""Time without a byte after which a message is given up while every thread waits for one."""

GRPC_LEAVE_S = 0.25
"""Time for a gRPC call that brought no message to turn out to be one whose client has left."""

READ_UNWATCHED_S = 0.02
"""Time for a gRPC message to become whole before its arrival is watched."""

READ_LOOK_EVERY_S = 0.01
"""Time between two looks at what has arrived of a gRPC message: 10 MB at 1 GB/s."""

BODY_RATE_GRACE_S = 5.0
"""Time before a body's minimum rate is asked for: TCP starts slowly."""

INLINE_BYTES_MAX = 2 * 1024 * 1024
"""Bodies up to this are decompressed and validated on the event loop (a few ms); larger ones on
a worker thread, so that one of them does not hold up everybody's acknowledgement."""

RESERVATION_BYTES_MIN = 4 * 1024
"""What the smallest request counts against the in-flight budget: its objects are not free."""

DECOMPRESS_STEP_BYTES = 4 * 1024 * 1024
"""Output made of a compressed body before the budget is asked for more. Beyond the budget: 503."""

GZIP_MEMBERS_MAX = 64
"""Members of a multi-member gzip body. Beyond: 400."""

ZSTD_WINDOW_LOG_MAX = 27
"""Window of a zstd frame, as log2 of bytes: 128 MiB is what the zstd tool accepts by default.
Beyond: 400. Memory for the window is only touched as output is made, so the body limit holds."""

WAL_FIELD_BYTES_MAX = 1024
"""Bytes of a text field (tenant, environment, origin) in a record of the write-ahead log.
Longer ones are cut."""

ANSWER_DELAY_S_MAX = 2.0
"""Longest time an answer is held back because more than a commit's bytes wait for the lake.
Beyond: answered; past `queue_bytes_max` records are read back from the log later."""

READ_BACK_DELAY_S = 0.05
"""How long each group of answers is held back while records are read back from the log, so that
the lake catches up under full load."""

QUARANTINE_FILES_MAX = 10_000
"""Files kept in the log's quarantine folder. Beyond: damaged bytes of the log are only counted;
a batch with a body that would have to go there waits, and that is told."""

COMMIT_FAILURES_TOLD = 3
"""Failures in a row after which a stuck batch is told at /healthz, to rules and to `doctor`, and is
committed in halves where other rows may fare better: single failures are a disk's hiccups."""

REJECT_RECORD_CHARS_MAX = 4096
"""Characters of a refused record kept in the rejects table."""

AUTHORIZATION_CHARS_MAX = 8 * 1024
"""Characters of an Authorization header. Beyond: 401, unread."""

TOKEN_FILE_CHECK_S = 2.0
"""Seconds between two looks at whether the token file has changed."""

WRONG_TOKENS_BURST_MAX = 20.0
"""Wrong tokens one address may send at once. Beyond: 429, until time has passed. A sender with an
old token is told 401 that often before it is told to wait."""

WRONG_TOKENS_PER_S_MAX = 0.5
"""Wrong tokens a second that are forgiven again."""

WRONG_TOKEN_PEERS_MAX = 10_000
"""Addresses whose wrong tokens are remembered. Beyond: the one quiet for longest is forgotten."""

STRETCHES_WAITING_MAX = 1_000
"""Stretches of taking data kept while the state store cannot be written. Beyond: the oldest are
forgotten, and count as time in which no collector took data."""
