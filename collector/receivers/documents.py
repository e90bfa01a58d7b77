"""JSON documents of log shippers as log records: which field is the line, the time, the service.

Elastic Common Schema, what Fluent Bit, Logstash and Vector write, and plain objects. Nothing is
dropped: what has no column becomes an attribute with a dotted name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from collector.receivers.limits import ATTRIBUTE_DEPTH_MAX, ATTRIBUTES_MAX
from collector.receivers.loki_labels import LEVELS
from collector.receivers.otlp_wire import hex_id, log_record, rendered
from collector.receivers.severity import severity_number
from collector.receivers.times import epoch_ns, rfc3339_ns

_LINE = ("message", "log", "msg", "MESSAGE", "event.original")
_TIME = ("@timestamp", "timestamp", "time", "ts")
_LEVEL = ("log.level", *LEVELS)
_TRACE = ("trace.id", "trace_id", "traceId", "traceID")
_SPAN = ("span.id", "span_id", "spanId", "spanID")
_SERVICE = (
    "service.name", "service", "service_name", "kubernetes.labels.app_kubernetes_io/name",
    "kubernetes.labels.app", "kubernetes.container.name", "kubernetes.container_name",
    "container.name", "container_name", "app", "SYSLOG_IDENTIFIER",
)  # fmt: skip
_RESOURCE = {
    "service.version": "service.version",
    "service.environment": "deployment.environment.name",
    "host.name": "host.name",
    "host.hostname": "host.name",
    "agent.name": "agent.name",
    "kubernetes.namespace": "k8s.namespace.name",
    "kubernetes.namespace_name": "k8s.namespace.name",
    "kubernetes.pod.name": "k8s.pod.name",
    "kubernetes.pod_name": "k8s.pod.name",
}
"""Fields that say where a record comes from, with OpenTelemetry's names for them."""


@dataclass(frozen=True, slots=True)
class Document:
    """One record, ready for its envelope."""

    resource: tuple[tuple[str, str], ...]
    record: bytes
    """A LogRecord field."""


def read_document(
    fields: Mapping[str, Any],
    *,
    received_ns: int,
    time_ns: int = 0,
    resource: Mapping[str, str] | None = None,
    attributes: Mapping[str, str] | None = None,
) -> Document:
    """A document as a log record. `time_ns`: 0 = look into the document, else reception.

    `resource`, `attributes`: what the envelope said; the document itself wins.
    """
    flat = dict(flatten(fields))
    level = _take(flat, _LEVEL)
    for name in _TIME if not time_ns else ():
        found = any_time_ns(flat.get(name))
        if found:
            time_ns = found
            flat.pop(name)
            break
    body = _take(flat, _LINE)
    trace = hex_id(flat.get(_first(flat, _TRACE)), 16)
    span = hex_id(flat.get(_first(flat, _SPAN)), 8)
    service = flat.get(_first(flat, _SERVICE))
    where = {"service.name": rendered(service)} if service else {}
    for name, target in _RESOURCE.items():
        if name in flat:
            where.setdefault(target, rendered(flat.pop(name)))
    level_text = rendered(level) if level is not None else ""
    named = {**(attributes or {}), **{k: rendered(v) for k, v in flat.items() if v is not None}}
    return Document(
        tuple({**(resource or {}), **where}.items()),
        log_record(
            time_ns=time_ns,
            observed_ns=received_ns,
            body=None if body is None else rendered(body),
            severity_number=severity_number(level_text),
            severity_text=level_text,
            attributes=named.items(),
            trace_id=trace,
            span_id=span,
        ),
    )


def any_time_ns(value: object) -> int:
    """Epoch ns of RFC 3339 text, or of seconds or milliseconds since 1970; 0 = no time."""
    if isinstance(value, str):
        return rfc3339_ns(value) or epoch_ns(value) or 0
    if isinstance(value, int) and not isinstance(value, bool) and 10**11 < value < 10**14:
        return value * 1_000_000
    return epoch_ns(value) or 0


def flatten(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Nested objects as dotted names, to a depth; past ATTRIBUTES_MAX the rest is one value."""
    rest: dict[str, Any] = {}
    for count, (name, value) in enumerate(_walk(fields, "", 1), 1):
        if count > ATTRIBUTES_MAX:
            rest[name] = value
        else:
            yield name, value
    if rest:
        yield "more", rest


def _walk(fields: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in fields.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and depth < ATTRIBUTE_DEPTH_MAX:
            yield from _walk(value, f"{name}.", depth + 1)
        else:
            yield name, value


def _first(flat: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((name for name in names if flat.get(name) not in (None, "")), "")


def _take(flat: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The first of the names that is there, taken out; None if none is."""
    name = _first(flat, names)
    return flat.pop(name) if name else None
