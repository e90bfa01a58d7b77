"""Envoy's gRPC access log service, v3: messages of a stream as `requests`.

`start_time` is the start; durations count from the first byte the client sent. total = `duration`,
before Envoy 1.27 the time of the last byte sent down; upstream = first byte sent up to last byte
received. Sizes are headers and body. Only records of a request's end count: type 6, or 0 of old
Envoys; those of its start, of periods and of upstreams are other views of the same call. TCP
records are no requests and become rows of `rejects`.

The node's name comes in a stream's first message only; the door puts it before every other one
(protobuf messages put one after the other are one merged message).

Source: data-plane-api envoy/service/accesslog/v3/als.proto and
envoy/data/accesslog/v3/accesslog.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from google.protobuf.message import DecodeError

from collector.errors import MalformedBody
from collector.gateways.envoy import read_envoy
from collector.gateways.fields import Fields, JsonFields, first_numbers, first_text
from collector.gateways.lines import LinesFormat, Read
from collector.gateways.rows import floats
from collector.naming.unique import map_unique
from collector.payload import Decoded, Payload
from collector.privacy import hash_credential
from collector.receivers.descriptors import build_messages

_DURATIONS = {
    "last_rx": (6, "Duration"), "first_up_tx": (7, "Duration"), "last_up_tx": (8, "Duration"),
    "first_up_rx": (9, "Duration"), "last_up_rx": (10, "Duration"),
    "first_down_tx": (11, "Duration"), "last_down_tx": (12, "Duration"),
}  # fmt: skip

_FLAGS = {
    1: "LH", 2: "UH", 3: "UT", 4: "LR", 5: "UR", 6: "UF", 7: "UC", 8: "UO", 9: "NR", 10: "DI",
    11: "FI", 12: "RL", 14: "RLSE", 15: "DC", 16: "URX", 17: "SI", 18: "IH", 19: "DPE",
    20: "UMSDR", 21: "RFCF", 22: "NFCF", 23: "DT", 24: "UPE", 25: "NC", 26: "OM", 27: "DF",
    28: "DR",
}  # fmt: skip
"""Field number of ResponseFlags -> the code Envoy writes in text logs. 13 (UAEX) is a message."""

_MESSAGES = build_messages(
    "gatelens.envoy",
    {
        "Message": {
            "identifier": (1, "Identifier"),
            "http_logs": (2, "HttpLogs"),
            "tcp_logs": (3, "TcpLogs"),
        },
        "Identifier": {"node": (1, "Node"), "log_name": (2, "string")},
        "Node": {"id": (1, "string"), "cluster": (2, "string")},
        "HttpLogs": {"entries": (1, "HttpEntry*")},
        "TcpLogs": {"entries": (1, "TcpEntry*")},
        "TcpEntry": {"common": (1, "Common")},
        "HttpEntry": {
            "common": (1, "Common"),
            "protocol": (2, "int32"),
            "request": (3, "HttpRequest"),
            "response": (4, "HttpResponse"),
        },
        "Common": {
            "client": (2, "Address"),
            "start_time": (5, "Timestamp"),
            **_DURATIONS,
            "upstream": (13, "Address"),
            "cluster": (15, "string"),
            "flags": (16, "Flags"),
            "route": (19, "string"),
            "tags": (22, "map<string>"),
            "duration": (23, "Duration"),
            "type": (33, "int32"),
        },
        "HttpRequest": {
            "method": (1, "int32"),
            "authority": (3, "string"),
            "path": (5, "string"),
            "user_agent": (6, "string"),
            "forwarded_for": (8, "string"),
            "request_id": (9, "string"),
            "original_path": (10, "string"),
            "header_bytes": (11, "uint64"),
            "body_bytes": (12, "uint64"),
            "headers": (13, "map<string>"),
        },
        "HttpResponse": {
            "code": (1, "Number"),
            "header_bytes": (2, "uint64"),
            "body_bytes": (3, "uint64"),
            "details": (6, "string"),
        },
        "Flags": {
            **{f"f{n}": (n, "bool") for n in _FLAGS},
            "unauthorized": (13, "Unauthorized"),
        },
        "Unauthorized": {"reason": (1, "int32")},
        "Address": {"socket": (1, "SocketAddress"), "pipe": (2, "Pipe")},
        "SocketAddress": {"address": (2, "string"), "port": (3, "uint32")},
        "Pipe": {"path": (1, "string")},
        "Timestamp": {"seconds": (1, "int64"), "nanos": (2, "int32")},
        "Duration": {"seconds": (1, "int64"), "nanos": (2, "int32")},
        "Number": {"value": (1, "uint32")},
    },
)
_MESSAGE = _MESSAGES["Message"]
ENVOY_ALS_MESSAGE = _MESSAGE

_METHODS = (
    None, "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
)  # fmt: skip
_PROTOCOLS = (None, "HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3")
_NOT_SET, _DOWNSTREAM_END = 0, 6

_CONSUMER = ("consumer", "x-consumer-username", "x-consumer-id", "x-consumer-custom-id")
_CREDENTIAL = ("x-api-key", "apikey", "authorization")
"""Custom tags or logged headers, the most telling first."""


def read_entry(entry: Any, node: str) -> dict[str, Any]:
    """An HTTPAccessLogEntry with the names of Istio's JSON log, which `read_envoy` reads."""
    common, request, response = entry.common, entry.request, entry.response
    said = {**dict(request.headers), **dict(common.tags)}
    record: dict[str, Any] = {
        "start_time": _iso(common.start_time),
        "method": _pick(_METHODS, request.method),
        "path": request.original_path or request.path,
        "protocol": _pick(_PROTOCOLS, entry.protocol),
        "authority": request.authority,
        "user_agent": request.user_agent,
        "request_id": request.request_id,
        "x_forwarded_for": request.forwarded_for,
        "response_code": response.code.value,
        "response_code_details": response.details,
        "response_flags": ",".join(_flags(common.flags)),
        "bytes_received": request.header_bytes + request.body_bytes,
        "bytes_sent": response.header_bytes + response.body_bytes,
        "duration": _total_ms(common),
        "upstream_service_time": _upstream_ms(common),
        "upstream_host": _address(common.upstream),
        "upstream_cluster": common.cluster,
        "route_name": common.route,
        "downstream_remote_address": _address(common.client),
        "node": node,
        "consumer": next((said[name] for name in _CONSUMER if said.get(name)), ""),
        "credential": next((said[name] for name in _CREDENTIAL if said.get(name)), ""),
        "trace_id": _trace_id(said),
    }
    return {key: value for key, value in record.items() if value not in ("", None)}


def _pick(names: Sequence[str | None], number: int) -> str | None:
    return names[number] if 0 <= number < len(names) else None


def _iso(time: Any) -> str:
    """'' where the time is absent or beyond the calendar."""
    if not 0 < time.seconds < 253_402_300_800:
        return ""
    moment = datetime.fromtimestamp(time.seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{max(time.nanos, 0) % 10**9 // 1000:06d}Z"


def _ms(duration: Any) -> float:
    return float(duration.seconds * 1000 + duration.nanos / 1e6)


def _total_ms(common: Any) -> float | None:
    for name in ("duration", "last_down_tx", "last_up_rx"):
        if common.HasField(name):
            return _ms(getattr(common, name))
    return None


def _upstream_ms(common: Any) -> float | None:
    if not common.HasField("last_up_rx"):
        return None
    return max(_ms(common.last_up_rx) - _ms(common.first_up_tx), 0.0)


def _flags(flags: Any) -> Iterator[str]:
    for number, code in _FLAGS.items():
        if getattr(flags, f"f{number}"):
            yield code
    if flags.HasField("unauthorized"):
        yield "UAEX"


def _address(address: Any) -> str:
    socket = address.socket
    if not socket.address:
        return str(address.pipe.path)
    host = f"[{socket.address}]" if ":" in socket.address else socket.address
    return f"{host}:{socket.port}"


def _trace_id(said: Mapping[str, str]) -> str:
    """Of `traceparent` or B3 headers, where Envoy is told to log them."""
    parts = said.get("traceparent", "").split("-")
    found = parts[1] if len(parts) >= 4 else said.get("x-b3-traceid") or said.get("trace_id", "")
    found = found.lower()
    return found if len(found) == 32 and set(found) <= set("0123456789abcdef") else ""


def _read(fields: Fields) -> Read:
    assert isinstance(fields, JsonFields)
    read = read_envoy(fields)
    keys = first_text(fields, "credential")
    read.columns.update(
        gateway_instance=first_text(fields, "node"),
        consumer=first_text(fields, "consumer"),
        credential=None if keys is None else map_unique(keys, hash_credential),
    )
    for name, source in (("duration_ms", "duration"), ("upstream_ms", "upstream_service_time")):
        numbers = first_numbers(fields, source)
        read.columns[name] = None if numbers is None else floats(numbers)
    return read


_LINES = LinesFormat(name="envoy_als", gateway="envoy", json=_read)


@dataclass(frozen=True, slots=True)
class EnvoyAlsFormat:
    """StreamAccessLogsMessage, each with its identifier."""

    name: str = "envoy_als"
    dedupe: bool = False
    description: str = (
        "Envoy's gRPC access log service v3, on the gRPC port: no answer is ever sent, as Envoy "
        "wants it. Becomes requests."
    )
    snippet: str = ""

    def validate(self, payload: Payload) -> int:
        """Entries that become requests or rejects. Raises MalformedBody."""
        message = parse_message(payload.body)
        return sum(1 for e in message.http_logs.entries if _counts(e)) + len(
            message.tcp_logs.entries
        )

    def decode(self, payloads: Sequence[Payload]) -> Decoded:
        """Rows of `requests` and `rejects`."""
        return _LINES.decode([_as_json(payload) for payload in payloads])


def parse_message(body: bytes) -> Any:
    """Raises MalformedBody."""
    try:
        return _MESSAGE.FromString(body)
    except DecodeError as err:
        raise MalformedBody("not a StreamAccessLogsMessage") from err


def identifier_of(body: bytes) -> bytes:
    """A message with nothing but the identifier of `body`; b'' if it has none."""
    message = parse_message(body)
    if not message.HasField("identifier"):
        return b""
    return bytes(_MESSAGE(identifier=message.identifier).SerializeToString())


def _counts(entry: Any) -> bool:
    return entry.common.type in (_NOT_SET, _DOWNSTREAM_END)


def _as_json(payload: Payload) -> Payload:
    """The message as JSON lines."""
    message = parse_message(payload.body)
    node = message.identifier.node.id
    lines = [orjson.dumps(read_entry(e, node)) for e in message.http_logs.entries if _counts(e)]
    lines += [b'{"tcp": true}'] * len(message.tcp_logs.entries)
    return replace(payload, body=b"\n".join(lines), content="text")


ENVOY_ALS_SNIPPET = """\
# envoy.yaml, in the HTTP connection manager, with a cluster gatelens (http2) at 127.0.0.1:4317
access_log:
  - name: envoy.access_loggers.http_grpc
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig
      common_config:
        log_name: http_envoy_accesslog
        transport_api_version: V3
        grpc_service: {envoy_grpc: {cluster_name: gatelens}}
      additional_request_headers_to_log: [traceparent, x-consumer-username]
"""

ENVOY_ALS = EnvoyAlsFormat(snippet=ENVOY_ALS_SNIPPET)

__all__ = ["ENVOY_ALS", "EnvoyAlsFormat", "identifier_of", "parse_message", "read_entry"]
