"""Every limit of the OTLP decoder: value, what it bounds, what happens beyond it."""

from __future__ import annotations

from dataclasses import dataclass

DEPTH_MAX = 100
"""Messages and groups inside one another below the request. Google's decoders use the same number;
the scanner must too, so that what one accepts the other does. Beyond: the body is malformed."""

JSON_DEPTH_MAX = 64
"""Arrays and objects inside one another in one attribute value or log body of a JSON body.
Beyond: the body is malformed. Protobuf bodies reach about 33 to 50, by DEPTH_MAX."""

TIME_MIN_UNIX_NANO = 946_684_800 * 1_000_000_000
"""2000-01-01T00:00:00Z. No telemetry is older than that; a time before it is a broken clock."""

FUTURE_MAX_NANO = 10 * 366 * 86_400 * 1_000_000_000
"""How far after its reception, ns, a record may claim to be: about ten years."""

JOIN_BYTES_MAX = 4 * 1024 * 1024
"""Protobuf bodies joined for one scan. Beyond: several scans, their rows put together. Measured
best at 4 to 8 MiB: more does not stay in the processor's cache, less pays the fixed cost of a scan
(a millisecond or two of Python and Arrow) more often."""

REJECT_DETAILS_MAX = 200
"""Refused records of one scan whose content is kept in `rejects`; the rest have a row without."""


@dataclass(frozen=True, slots=True)
class OtlpLimits:
    """What one body may hold. Small messages grow when decoded (an empty span is 2 bytes on the
    wire and some 400 in memory), so a limit on bytes alone does not bound memory."""

    records_max: int = 500_000
    """Spans, log records or data points of one body. Beyond: MalformedBody. A setting."""
    items_max: int = 4_000_000
    """Messages and list entries of any kind in one body. Beyond: MalformedBody."""
    shared_bytes_max: int = 64 * 1024 * 1024
    """Bytes of resources and scopes, each times the records under it. Beyond: MalformedBody."""
    attributes_per_record_max: int = 2_000
    """Attributes of one record, a setting. Beyond: it is refused as too_many_attributes."""
