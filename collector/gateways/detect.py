"""Tell a log's format from its first lines: the one that reads the most of them.

Where several read equally many, the more particular one wins (`_ORDER`): Istio's line says more
than Envoy's, and combined lines are NGINX's. NGINX and Apache write the
same combined line; they differ in which instant the time is, so name the format where that matters.
"""

from __future__ import annotations

from collections.abc import Mapping

from collector.gateways.lines import LinesFormat
from collector.payload import Payload

SAMPLE_LINES = 50
"""Lines that are tried."""

_ORDER = (
    "kong", "tyk", "apisix", "caddy", "traefik", "azure_apim", "apigee", "aws_apigw", "apipark",
    "aws_alb", "haproxy", "istio", "envoy", "spring", "nginx", "apache",
)  # fmt: skip


def detect(head: bytes, formats: Mapping[str, LinesFormat]) -> str | None:
    """Name of the format of a log that begins with `head` (whole lines, or all there is).

    None if no format reads a single line.
    """
    lines = head.splitlines(keepends=True)[:SAMPLE_LINES]
    sample = b"".join(lines)
    best: tuple[int, str] | None = None
    for name in sorted(formats, key=_rank):
        payload = Payload(sample, name, "text", "detect", None, 0, "")
        read = formats[name].decode([payload]).accepted
        if read and (best is None or read > best[0]):
            best = (read, name)
    return None if best is None else best[1]


def _rank(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)
