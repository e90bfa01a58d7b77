"""Bytes in, rows out, nothing lost and nothing twice.

Owns the doors (OTLP over gRPC and HTTP, gateway formats), the write-ahead log behind every
acknowledgement, and the decoders. It never answers a question about data: that is `analytics`.
Open first: `intake.py` (one request's way to its acknowledgement), then `batcher.py` (from there
to the lake), `wal.py` for durability, `errors.py` for what senders are told.
"""
