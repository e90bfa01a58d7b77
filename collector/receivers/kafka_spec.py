"""Kafka sources as settings write them: `kafka://b1:9092,b2:9092/tyk-analytics?format=tyk`."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

_PREFIX = "kafka://"
_OPTIONS = ("format", "encoding", "partitions", "group", "tenant", "environment")
_TOPICS = {"otlp_spans": "otlp_traces", "otlp_logs": "otlp_logs", "otlp_metrics": "otlp_metrics",
           "zipkin": "zipkin"}  # fmt: skip
"""Topics that senders use by default -> what is in them."""


@dataclass(frozen=True, slots=True)
class KafkaSpec:
    """One topic to read."""

    servers: str
    """host:port of brokers to begin with, comma separated."""
    topic: str
    format: str
    """Name in FORMATS of what the messages are."""
    encoding: Literal["proto", "json"] = "proto"
    """Of OTLP messages."""
    partitions: frozenset[int] | None = None
    """Partitions this collector reads; None = all."""
    group: str = "gatelens"
    """Consumer group under which progress is shown in Kafka."""
    tenant: str = "default"
    environment: str | None = None


def parse_kafka(text: str, formats: Container[str]) -> KafkaSpec:
    """Raises ValueError with one sentence."""
    address, _, query = text.removeprefix(_PREFIX).partition("?")
    servers, _, topic = address.partition("/")
    if not text.startswith(_PREFIX) or not servers or not topic or "/" in topic:
        raise ValueError(f"Kafka source {text!r} must look like kafka://broker:9092/topic.")
    if "@" in servers:
        raise ValueError("Passwords belong into kafka_config, not into a Kafka source's address.")
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = options.keys() - set(_OPTIONS)
    if unknown:
        raise ValueError(
            f"Kafka source {text!r}: unknown option {min(unknown)}; there are "
            + ", ".join(_OPTIONS)
            + "."
        )
    name = options.get("format", _TOPICS.get(topic, "json_lines"))
    if name not in formats:
        raise ValueError(
            f"Kafka source {text!r}: there is no format {name!r}; see `gatelens formats`."
        )
    encoding = options.get("encoding", "proto")
    if encoding not in ("proto", "json"):
        raise ValueError(f"Kafka source {text!r}: encoding is proto or json.")
    return KafkaSpec(
        servers,
        topic,
        name,
        "json" if encoding == "json" else "proto",
        _partitions(text, options.get("partitions")),
        options.get("group", "gatelens"),
        options.get("tenant", "default"),
        options.get("environment"),
    )


def _partitions(text: str, said: str | None) -> frozenset[int] | None:
    """`0,2,4-7`."""
    if said is None:
        return None
    found: set[int] = set()
    try:
        for part in said.split(","):
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    except ValueError:
        found.clear()
    if not found:
        raise ValueError(f"Kafka source {text!r}: partitions are written like 0,2,4-7.")
    return frozenset(found)
