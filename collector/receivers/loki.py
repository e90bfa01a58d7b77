"""Loki pushes: JSON, or protobuf in a snappy block.

    {"streams": [{"stream": {"app": "shop"}, "values": [["<ns>", "line", {"trace_id": "…"}]]}]}

Labels become resource attributes, structured metadata becomes attributes (trace_id, span_id and a
level find their columns), the line stays as it is. Lines of a stream with the label
`gatelens_format`, and JSON lines with the keys of a gateway's access log (APIPark and APISIX push
such), become requests. Time: epoch ns.

Source: loki docs/sources/reference/loki-http-api.md, pkg/push/push.proto, pkg/loghttp/push/push.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from google.protobuf.message import DecodeError

from collector.decompress import parse_encoding
from collector.errors import MalformedBody, UnsupportedContentType
from collector.otlp.logs import Logs
from collector.payload import Content, Payload
from collector.receivers.api import NativeApi, Reply, Request
from collector.receivers.descriptors import build_messages
from collector.receivers.gateway_records import NAME_FIELD, gateway_of, named_gateway
from collector.receivers.loki_labels import LEVELS, parse_labels, resource_of
from collector.receivers.otlp_wire import envelope, hex_id, log_record, rendered, to_json
from collector.receivers.severity import severity_number
from collector.receivers.times import rfc3339_ns
from collector.receivers.translated import TranslatedFormat, Translation

_MESSAGES = build_messages(
    "gatelens.loki",
    {
        "PushRequest": {"streams": (1, "Stream*")},
        "Stream": {"labels": (1, "string"), "entries": (2, "Entry*"), "hash": (3, "uint64")},
        "Entry": {
            "timestamp": (1, "Timestamp"),
            "line": (2, "string"),
            "metadata": (3, "LabelPair*"),
        },
        "Timestamp": {"seconds": (1, "int64"), "nanos": (2, "int32")},
        "LabelPair": {"name": (1, "string"), "value": (2, "string")},
    },
)

LOKI_PUSH = _MESSAGES["PushRequest"]


@dataclass(frozen=True, slots=True)
class _Entry:
    time_ns: int
    line: str
    metadata: Mapping[str, str] = field(default_factory=dict)


_Stream = tuple[dict[str, str], Iterable[_Entry]]


def translate_loki(payload: Payload) -> Translation:
    """Raises MalformedBody: Loki, too, refuses a push as a whole."""
    protobuf = payload.content == "protobuf"
    streams = _from_protobuf(payload.body) if protobuf else _from_json(payload.body)
    found = Translation()
    out: list[bytes] = []
    position = 0
    for labels, entries in streams:
        named = named_gateway(labels.get(NAME_FIELD))
        records: list[bytes] = []
        for entry in entries:
            position += 1
            gateway, line = _gateway_line(named, labels, entry.line)
            if gateway is not None:
                found.gateway(gateway).add(position, line)
            else:
                records.append(_record(entry, labels, payload.received_unix_nano))
        if records:
            out.append(envelope(resource_of(labels), records))
    found.otlp = b"".join(out)
    return found


def _gateway_line(
    named: str | None, labels: Mapping[str, str], line: str
) -> tuple[str | None, bytes]:
    if named is not None and line.strip():
        return named, line.encode("utf-8", "replace")
    if line[:1] != "{":
        return None, b""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None, b""
    gateway = gateway_of(record)
    if gateway is None:
        return None, b""
    # The node and cluster that APIPark puts into the labels are fields of its record.
    return gateway, to_json({**labels, **record})


def _record(entry: _Entry, labels: Mapping[str, str], received_ns: int) -> bytes:
    metadata = entry.metadata
    level = next((m[name] for name in LEVELS for m in (metadata, labels) if m.get(name)), "")
    return log_record(
        time_ns=entry.time_ns,
        observed_ns=received_ns,
        body=entry.line,
        severity_number=severity_number(level),
        severity_text=level,
        attributes=metadata.items(),
        trace_id=hex_id(metadata.get("trace_id") or metadata.get("traceID"), 16),
        span_id=hex_id(metadata.get("span_id") or metadata.get("spanID"), 8),
    )


def _from_protobuf(body: bytes) -> Iterator[_Stream]:
    try:
        push = LOKI_PUSH.FromString(body)
    except DecodeError as err:
        raise MalformedBody("not a logproto.PushRequest") from err
    for stream in push.streams:
        yield parse_labels(stream.labels), [_protobuf_entry(entry) for entry in stream.entries]


def _protobuf_entry(entry: Any) -> _Entry:
    time = entry.timestamp
    return _Entry(
        time.seconds * 1_000_000_000 + time.nanos,
        entry.line,
        {pair.name: pair.value for pair in entry.metadata},
    )


def _from_json(body: bytes) -> Iterator[_Stream]:
    try:
        push = orjson.loads(body)
    except orjson.JSONDecodeError as err:
        raise MalformedBody(f"not valid JSON ({err.msg})", err.pos) from err
    streams = push.get("streams") if isinstance(push, dict) else None
    if not isinstance(streams, list):
        raise MalformedBody("no list of `streams`")
    for stream in streams:
        if not isinstance(stream, dict):
            raise MalformedBody("a stream is no object")
        yield _json_labels(stream), [_json_entry(value) for value in stream.get("values") or ()]
        # The shape of Loki 0.x (/api/prom/push).
        old = [_old_entry(value) for value in stream.get("entries") or ()]
        if old:
            yield _json_labels(stream), old


def _json_labels(stream: Mapping[str, Any]) -> dict[str, str]:
    labels = stream.get("stream", stream.get("labels", {}))
    if isinstance(labels, str):
        return parse_labels(labels)
    if not isinstance(labels, dict):
        raise MalformedBody("the labels of a stream are no object")
    return {key: rendered(value) for key, value in labels.items()}


def _json_entry(value: Any) -> _Entry:
    if not isinstance(value, list) or len(value) < 2 or not isinstance(value[1], str):
        raise MalformedBody("a value is not [time, line]")
    metadata = value[2] if len(value) > 2 else {}
    if not isinstance(metadata, dict):
        raise MalformedBody("structured metadata is no object")
    return _Entry(_nanos(value[0]), value[1], {k: rendered(v) for k, v in metadata.items()})


def _old_entry(value: Any) -> _Entry:
    if not isinstance(value, dict) or not isinstance(value.get("line"), str):
        raise MalformedBody("an entry has no line")
    return _Entry(_nanos(value.get("ts")), value["line"])


def _nanos(value: Any) -> int:
    """Epoch ns, as a string or a number; RFC 3339 in the old shape."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        return int(value)
    if isinstance(value, int) and 0 <= value < 2**63:
        return value
    parsed = rfc3339_ns(value) if isinstance(value, str) else None
    if parsed is None:
        raise MalformedBody(f"{str(value)[:40]!r} is not a time in nanoseconds")
    return parsed


LOKI_SNIPPET = """\
# Promtail / Grafana Agent: clients; Fluent Bit: out_loki with host and port; Vector: sink loki
clients:
  - url: http://127.0.0.1:4318/loki/api/v1/push
    # with tokens: bearer_token: gl_…
# Access logs become requests when a stream has the label gatelens_format: nginx (haproxy, kong, …).
# APIPark and Apinto: put this URL into the Loki log output; their records are recognised.
"""

LOKI = TranslatedFormat(
    name="loki",
    signal=Logs,
    translate=translate_loki,
    description=(
        "Loki pushes at `/loki/api/v1/push` (JSON, or protobuf in snappy), answered with 204. "
        "Lines become logs; those of a gateway's access log become requests."
    ),
    snippet=LOKI_SNIPPET,
)


class LokiApi(NativeApi):
    """`/loki/api/v1/push` and the older `/api/prom/push`."""

    format = LOKI

    def takes(self, method: str, path: str) -> bool:
        return path in ("/loki/api/v1/push", "/api/prom/push")

    def content(self, request: Request) -> Content:
        if request.media_type == "application/json":
            return "json"
        if request.media_type in ("application/x-protobuf", ""):
            return "protobuf"
        raise UnsupportedContentType(
            request.media_type, "application/json or application/x-protobuf"
        )

    def encoding(self, request: Request) -> str:
        """Protobuf is in a snappy block whether a header says so or not."""
        named = request.header("content-encoding").strip().lower()
        if named == "snappy" or (not named and self.content(request) == "protobuf"):
            return "snappy"
        return parse_encoding(named)

    def accepted(self, request: Request, rejected: int, message: str, note: object) -> Reply:
        return Reply(204)
