"""Splunk's HTTP Event Collector: objects with an `event`, one after the other, nothing between.

    {"time": 1426279439.5, "host": "web1", "source": "nginx", "sourcetype": "access", "event": …}

`event` is a text or an object; `fields` are attributes; `time` is epoch seconds and optional. An
object with the keys of a gateway's record (Tyk Pump sends such), and events whose sourcetype names
a gateway format (`gatelens:nginx`), become requests. A body is taken as a whole or not at all.

Source: Splunk "Format events for HTTP Event Collector", "HEC REST API error codes"; tyk-pump
pumps/splunk.go.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from collector.errors import CollectorError, MalformedBody, Unauthenticated, answer_for
from collector.otlp.logs import Logs
from collector.payload import Payload
from collector.receivers.api import NativeApi, Reply, Request, json_reply, retry_headers
from collector.receivers.documents import read_document
from collector.receivers.envelopes import Envelopes
from collector.receivers.gateway_records import NAME_FIELD, gateway_of, named_gateway
from collector.receivers.otlp_wire import rendered, to_json
from collector.receivers.times import epoch_ns
from collector.receivers.translated import TranslatedFormat, Translation

_SPACE = " \t\r\n"
_SOURCETYPE = "gatelens:"


class InvalidEvent(MalformedBody):
    """One event spoils the body. `number` counts from 0, as Splunk's `invalid-event-number`."""

    def __init__(self, reason: str, number: int, code: int) -> None:
        self.number = number
        self.code = code
        super().__init__(f"{reason} (event {number})")


def translate_hec(payload: Payload) -> Translation:
    """Raises InvalidEvent."""
    found = Translation()
    logs = Envelopes()
    for position, envelope in enumerate(split_events(payload.body), 1):
        event = envelope["event"]
        gateway = _gateway(envelope, event)
        if gateway is not None:
            line = event.encode("utf-8", "replace") if isinstance(event, str) else to_json(event)
            found.gateway(gateway).add(position, line)
            continue
        known = isinstance(event, dict)
        where = {"host.name": rendered(envelope["host"])} if envelope.get("host") else {}
        said = {
            key: rendered(value)
            for key, value in (envelope.get("fields") or {}).items()
            if value is not None
        }
        for key in ("sourcetype", "index", "source"):
            if envelope.get(key):
                said[f"splunk.{key}"] = rendered(envelope[key])
        logs.add(
            read_document(
                event if known else {"message": event},
                received_ns=payload.received_unix_nano,
                time_ns=epoch_ns(envelope.get("time")) or 0,
                resource=where,
                attributes=said,
            )
        )
    found.otlp = logs.encode()
    return found


def _gateway(envelope: Mapping[str, Any], event: Any) -> str | None:
    sourcetype = envelope.get("sourcetype")
    fields = envelope.get("fields")
    name = named_gateway((fields or {}).get(NAME_FIELD))
    if name is None and isinstance(sourcetype, str):
        name = named_gateway(sourcetype.removeprefix(_SOURCETYPE))
    if name is not None and (isinstance(event, dict) or str(event).strip()):
        return name
    return gateway_of(event) if isinstance(event, dict) else None


def split_events(body: bytes) -> Iterator[dict[str, Any]]:
    """The objects of a body, each with an `event`. Raises InvalidEvent."""
    for number, value in enumerate(_values(body)):
        if not isinstance(value, dict):
            raise InvalidEvent("Invalid data format", number, 6)
        if value.get("event") is None:
            raise InvalidEvent("Event field is required", number, 12)
        if value["event"] == "":
            raise InvalidEvent("Event field cannot be blank", number, 13)
        if not isinstance(value.get("fields") or {}, dict):
            raise InvalidEvent("Error in handling indexed fields", number, 15)
        yield value


def _values(body: bytes) -> Iterator[Any]:
    """JSON values with white space or nothing between them; an array stands for its items."""
    try:
        value = orjson.loads(body)
        yield from value if isinstance(value, list) else (value,)
        return
    except orjson.JSONDecodeError:
        pass
    lines = [line for line in body.split(b"\n") if line.strip()]
    try:
        values = [orjson.loads(line) for line in lines]
    except orjson.JSONDecodeError:
        values = []
    if values:
        yield from values
        return
    yield from _scan(body)


def _scan(body: bytes) -> Iterator[Any]:
    try:
        text = body.decode()
    except UnicodeDecodeError as err:
        raise InvalidEvent("Invalid data format", 0, 6) from err
    scan = json.JSONDecoder(strict=False).raw_decode
    at, number = 0, 0
    while at < len(text):
        if text[at] in _SPACE:
            at += 1
            continue
        try:
            value, at = scan(text, at)
        except ValueError as err:
            raise InvalidEvent("Invalid data format", number, 6) from err
        yield value
        number += 1


HEC_SNIPPET = """\
# Tyk Pump, pump.conf (collector_token: any text where no tokens are set up):
{"pumps": {"splunk": {"type": "splunk", "meta": {
    "collector_url": "http://127.0.0.1:4318/services/collector/event",
    "collector_token": "gl_…", "enable_batch": true,
    "fields": ["method", "host", "path", "raw_path", "response_code", "api_key", "time_stamp",
               "api_version", "api_name", "api_id", "org_id", "oauth_id", "request_time",
               "latency", "ip_address", "user_agent", "content_length", "alias", "tags"]}}}}
# Fluent Bit: [OUTPUT] Name splunk  Host 127.0.0.1  Port 4318  Splunk_Token gl_…
# Access logs become requests with sourcetype gatelens:nginx (haproxy, kong, …).
"""

SPLUNK_HEC = TranslatedFormat(
    name="splunk_hec",
    signal=Logs,
    translate=translate_hec,
    dedupe=False,
    description=(
        "Splunk HTTP Event Collector at `/services/collector[/event[/1.0]]`. Events become logs; "
        "Tyk Pump's and other gateways' records become requests."
    ),
    snippet=HEC_SNIPPET,
)

_PATHS = frozenset(
    f"/services/collector{rest}{end}" for rest in ("", "/event", "/event/1.0") for end in ("", "/")
)
_HEALTH = ("/services/collector/health", "/services/collector/health/1.0")


class SplunkHecApi(NativeApi):
    """`/services/collector`. Success is exactly 200 with code 0; Tyk drops on anything else."""

    format = SPLUNK_HEC

    def takes(self, method: str, path: str) -> bool:
        return path in _PATHS or path in _HEALTH

    def other(self, request: Request) -> Reply | None:
        if request.path in _HEALTH:
            return json_reply(200, {"text": "HEC is healthy", "code": 17})
        return None

    def authorization(self, request: Request) -> str:
        """`Splunk <token>` is a bearer token by another name."""
        value = request.header("authorization")
        scheme, _, token = value.partition(" ")
        return f"Bearer {token}" if scheme.lower() == "splunk" else value

    def accepted(self, request: Request, rejected: int, message: str, note: object) -> Reply:
        return json_reply(200, {"text": "Success", "code": 0})

    def refused(self, request: Request, error: Exception) -> Reply:
        status = answer_for(error).http
        said: dict[str, object] = {"text": "Server is busy", "code": 9}
        if isinstance(error, InvalidEvent):
            said = {"text": error.reason, "code": error.code, "invalid-event-number": error.number}
        elif isinstance(error, Unauthenticated):
            missing = not request.header("authorization")
            said = {"text": "Token is required", "code": 2} if missing else _INVALID_TOKEN
        elif isinstance(error, CollectorError) and status < 500 and status != 429:
            said = {"text": str(error), "code": 6}
        return Reply(status, orjson.dumps(said), headers=retry_headers(error))


_INVALID_TOKEN: dict[str, object] = {"text": "Invalid token", "code": 4}
