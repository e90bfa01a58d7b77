"""Tell a log's format from its first lines: the one that reads the most of them, and most of each.

Where several read equally many lines, the one that fills the most columns wins, then the order
below. NGINX and Apache write the same combined line but differ in which instant its time is: name
the format where that matters.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from collector.gateways.lines import LinesFormat
from collector.payload import Payload

SAMPLE_LINES = 50
"""Lines that are tried."""

_ORDER = (
    "kong", "tyk", "apisix", "caddy", "azure_apim", "apigee", "aws_apigw", "apipark", "aws_alb",
    "haproxy", "istio", "envoy", "spring", "nginx", "apache", "traefik",
)  # fmt: skip


def detect(head: bytes, formats: Mapping[str, LinesFormat]) -> str | None:
    """Name of the format of a log that begins with `head` (whole lines, or all there is).

    None if no format reads a single line.
    """
    lines = head.splitlines(keepends=True)[:SAMPLE_LINES]
    sample = b"".join(lines)
    best, chosen = (0, 0), None
    for name in sorted(formats, key=_rank):
        payload = Payload(sample, name, "text", "detect", None, 0, "")
        decoded = formats[name].decode([payload])
        if decoded.accepted:
            score = decoded.accepted, _filled(decoded.tables["requests"])
            if score > best:
                best, chosen = score, name
    return chosen


def _filled(rows: pa.RecordBatch) -> int:
    """Values that are there. Attributes do not count: they hold what found no column."""
    return sum(
        rows.num_rows - column.null_count
        for name, column in zip(rows.schema.names, rows.columns, strict=True)
        if name != "attributes"
    )


def _rank(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)
