"""Zipkin v2 spans in JSON.

    [{"traceId": "5af7183fb1d4cf5f", "id": "352bff9a74ca9ad2", "parentId": "6b221d5bc9e6496c",
      "name": "get /api", "kind": "SERVER", "timestamp": 1556604172355737, "duration": 1431,
      "localEndpoint": {"serviceName": "backend"}, "tags": {"http.method": "GET"}}]

Times are µs. A 64-bit trace id is padded with zeros on the left. `shared` halves of one span keep
their common id, as Zipkin means it. Tags become attributes, `error` makes the status ERROR,
annotations become events. A span without ids is a row of `rejects`; other shapes refuse the body.
Server spans with HTTP tags become requests by the same rule as OTLP's.

Source: zipkin-api zipkin2-api.yaml; zipkin ZipkinHttpCollector.java; OpenTelemetry "Zipkin
exporter" mapping, read backwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from collector.errors import MalformedBody, UnsupportedContentType
from collector.otlp.traces import Traces
from collector.payload import Content, Payload
from collector.receivers.api import NativeApi, Reply, Request
from collector.receivers.otlp_wire import (
    block,
    envelope,
    fixed64,
    hex_id,
    pairs,
    rendered,
    text,
    to_json,
    varint,
)
from collector.receivers.translated import Reject, TranslatedFormat, Translation

_KINDS = {"SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}
_INTERNAL = 1
_ERROR = 2

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))
_HTTP_TAGS = ("http.path", "http.url", "http.route", "http.status_code")
"""With one of these, a span named `get` or `get /items` has its method in the name: zipkin-js
and Brave's defaults send no `http.method`."""

_Resource = tuple[tuple[str, str], ...]


def translate_zipkin(payload: Payload) -> Translation:
    """Raises MalformedBody."""
    found = Translation()
    by_resource: dict[_Resource, list[bytes]] = {}
    for position, span in enumerate(_spans(payload.body), 1):
        trace_id, span_id = hex_id(span.get("traceId"), 16), hex_id(span.get("id"), 8)
        if not trace_id or not span_id:
            detail = "A span needs traceId and id in hexadecimal digits."
            found.rejects.append(Reject(position, "invalid_id", detail, to_json(span)))
            continue
        record = _span(span, trace_id, span_id, payload.received_unix_nano)
        by_resource.setdefault(_resource(span), []).append(record)
    found.otlp = b"".join(envelope(where, some) for where, some in by_resource.items())
    return found


def _spans(body: bytes) -> Iterator[dict[str, Any]]:
    if not body.strip():
        return
    try:
        spans = orjson.loads(body)
    except orjson.JSONDecodeError as err:
        raise MalformedBody(f"not valid JSON ({err.msg})", err.pos) from err
    if not isinstance(spans, list):
        raise MalformedBody("Zipkin spans come as a list")
    for span in spans:
        if not isinstance(span, dict):
            raise MalformedBody("a span is no object")
        if "binaryAnnotations" in span:
            raise MalformedBody("spans of Zipkin v1; send v2 to /api/v2/spans")
        yield span


def _endpoint(span: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    endpoint = span.get(name)
    return endpoint if isinstance(endpoint, dict) else {}


def _tags(span: Mapping[str, Any]) -> dict[str, str]:
    tags = span.get("tags")
    if not isinstance(tags, dict):
        return {}
    return {key: rendered(value) for key, value in tags.items() if value is not None}


_RESOURCE_TAGS = (
    "service.version", "service.namespace", "service.instance.id", "deployment.environment",
    "deployment.environment.name", "telemetry.sdk.language", "telemetry.sdk.name",
    "telemetry.sdk.version", "host.name",
)  # fmt: skip
"""Tags in which exporters put what belongs to the resource."""


def _resource(span: Mapping[str, Any]) -> _Resource:
    local, tags = _endpoint(span, "localEndpoint"), _tags(span)
    found = []
    if local.get("serviceName"):
        found.append(("service.name", rendered(local["serviceName"])))
    address = local.get("ipv4") or local.get("ipv6")
    if address:
        found.append(("host.ip", rendered(address)))
    found += [(name, tags[name]) for name in _RESOURCE_TAGS if name in tags]
    return tuple(found)


def _span(span: Mapping[str, Any], trace_id: bytes, span_id: bytes, received_ns: int) -> bytes:
    """A Span as a field of ScopeSpans. Without a timestamp it starts at reception."""
    start = _micros(span.get("timestamp")) * 1000 or received_ns
    end = start + _micros(span.get("duration")) * 1000
    kind = _KINDS.get(str(span.get("kind")).upper(), _INTERNAL)
    tags = {k: v for k, v in _tags(span).items() if k not in _RESOURCE_TAGS}
    error = tags.pop("error", None)
    method = rendered(span.get("name") or "").partition(" ")[0].upper()
    if method in _METHODS and not tags.keys().isdisjoint(_HTTP_TAGS):
        tags.setdefault("http.method", method)
    remote = _endpoint(span, "remoteEndpoint")
    for name, key in _remote_names(kind):
        if remote.get(key):
            tags.setdefault(name, rendered(remote[key]))
    if span.get("debug") is True:
        tags["zipkin.debug"] = "true"
    if span.get("shared") is True:
        tags["zipkin.shared"] = "true"
    data = block(b"\x0a", trace_id) + block(b"\x12", span_id)
    parent = hex_id(span.get("parentId"), 8)
    if parent.strip(b"\0"):
        data += block(b"\x22", parent)
    data += text(b"\x2a", rendered(span.get("name") or ""))
    data += b"\x30" + varint(kind) + fixed64(b"\x39", start) + fixed64(b"\x41", end)
    data += pairs(b"\x4a", tags) + b"".join(_events(span))
    if error is not None and error.lower() != "false":
        message = "" if error.lower() == "true" else error
        data += block(b"\x7a", text(b"\x12", message) + b"\x18" + varint(_ERROR))
    return block(b"\x12", data)


def _remote_names(kind: int) -> tuple[tuple[str, str], ...]:
    """OpenTelemetry's names for the other side."""
    if kind == _KINDS["SERVER"]:
        address = (("client.address", "ipv4"), ("client.address", "ipv6"), ("client.port", "port"))
    else:
        address = (("server.address", "ipv4"), ("server.address", "ipv6"), ("server.port", "port"))
    return (("peer.service", "serviceName"), *address)


def _events(span: Mapping[str, Any]) -> Iterator[bytes]:
    annotations = span.get("annotations")
    for annotation in annotations if isinstance(annotations, list) else ():
        if isinstance(annotation, dict):
            time = fixed64(b"\x09", _micros(annotation.get("timestamp")) * 1000)
            yield block(b"\x5a", time + text(b"\x12", rendered(annotation.get("value") or "")))


def _micros(value: object) -> int:
    """Non-negative whole microseconds; 0 for anything else. Some senders write them as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 <= value < 2**53 else 0


ZIPKIN_SNIPPET = """\
# Zipkin reporters (Brave, zipkin-js, …) and OpenTelemetry's Zipkin exporter:
http://127.0.0.1:4318/api/v2/spans
# Spring Boot: management.zipkin.tracing.endpoint=http://127.0.0.1:4318/api/v2/spans
# Traefik 2:   tracing.zipkin.httpEndpoint=http://127.0.0.1:4318/api/v2/spans
# Envoy:       collector_endpoint: /api/v2/spans, collector_endpoint_version: HTTP_JSON
"""

ZIPKIN = TranslatedFormat(
    name="zipkin",
    signal=Traces,
    translate=translate_zipkin,
    description=(
        "Zipkin v2 JSON at `/api/v2/spans`, answered with 202. Spans are stored like OTLP's, and "
        "server spans of HTTP calls become requests."
    ),
    snippet=ZIPKIN_SNIPPET,
)


class ZipkinApi(NativeApi):
    """`/api/v2/spans`."""

    format = ZIPKIN

    def takes(self, method: str, path: str) -> bool:
        return path in ("/api/v2/spans", "/api/v2/spans/")

    def content(self, request: Request) -> Content:
        """Missing = JSON, as Zipkin has it."""
        if request.media_type in ("application/json", "text/plain", ""):
            return "json"
        raise UnsupportedContentType(request.media_type, "application/json")

    def accepted(self, request: Request, rejected: int, message: str, note: object) -> Reply:
        return Reply(202)
