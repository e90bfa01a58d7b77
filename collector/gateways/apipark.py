"""APIPark / Apinto access logs: JSON objects, or Loki pushes with such objects as lines.

`msec` is the start, epoch ms. `request_time` and `proxy_time` are ms, but `response_time` is a Go
Duration: ns. Values may all be strings. `authorization`, headers and bodies are sent along: the
first is kept as a keyed hash, the rest is dropped.

Source: apinto entries/http-entry/{reader,proxy-reader}.go; APIPark module/log/iml.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

import orjson

from collector.gateways.fields import Fields, JsonFields, first_text
from collector.gateways.lines import LinesFormat, Read
from collector.gateways.mapped import FieldMap, read_mapped
from collector.naming.naming import GATEWAY_API_ID
from collector.naming.unique import map_unique
from collector.privacy import hash_credential

_MAP = FieldMap(
    time={"msec": "ms", "time_iso8601": "iso"},
    instant="start",
    status=("status",),
    durations={
        "duration_ms": (1.0, ("request_time",)),
        "upstream_ms": (1.0, ("proxy_time", "_response_ms")),
    },
    texts={
        "method": ("request_method",),
        "host": ("request_host",),
        "api": ("api", "service", "provider"),
        "consumer": ("application",),
        "client_address": ("src_ip", "remote_addr"),
        "user_agent": ("http_user_agent",),
        "request_id": ("request_id",),
        "upstream": ("proxy_addr", "proxy_host"),
        "response_flags": ("strategy",),
        "gateway_instance": ("node",),
    },
    counts={
        "request_bytes": ("request_length",),
        "response_bytes": ("response_length",),
        "upstream_status": ("proxy_status",),
    },
    target=("request_uri", "uri"),
    attributes={
        GATEWAY_API_ID: ("api_id", "service_id"),
        "apinto.service": ("service",),
        "apinto.provider": ("provider",),
        "gen_ai.request.model": ("ai_model",),
        "gen_ai.usage.input_tokens": ("ai_model_input_token",),
        "gen_ai.usage.output_tokens": ("ai_model_output_token",),
    },
)


def read_apipark(fields: Fields) -> Read:
    """JSON records of APIPark's field set."""
    assert isinstance(fields, JsonFields)
    read = read_mapped(fields, _MAP)
    columns = read.columns
    secrets = first_text(fields, "authorization")
    columns["credential"] = None if secrets is None else map_unique(secrets, hash_credential)
    if columns["user_agent"] is None:
        headers = first_text(fields, "request_header")
        columns["user_agent"] = None if headers is None else map_unique(headers, _user_agent)
    return read


def _user_agent(encoded: str) -> str | None:
    """User agent of headers written as a query string."""
    for name, value in parse_qsl(encoded, max_num_fields=200):
        if name.lower() == "user-agent":
            return value
    return None


def _records(value: Any) -> Iterable[Any]:
    """The objects in a Loki push, or the object itself; `response_time` as ms in `_response_ms`."""
    found: list[Any] = []
    if isinstance(value, dict) and isinstance(value.get("streams"), list):
        for stream in value["streams"]:
            entries = stream.get("values") if isinstance(stream, dict) else None
            if isinstance(entries, list):
                found += [_entry(entry, stream.get("stream")) for entry in entries]
            else:
                found.append(str(stream))
    else:
        found.append(value)
    for record in found:
        if isinstance(record, dict) and "response_time" in record:
            record["_response_ms"] = _ns_to_ms(record["response_time"])
    return found


def _entry(entry: Any, labels: Any) -> Any:
    try:
        record = orjson.loads(entry[1])
    except (orjson.JSONDecodeError, IndexError, KeyError, TypeError):
        return entry
    if isinstance(record, dict) and isinstance(labels, dict):
        return {**labels, **record}
    return record


def _ns_to_ms(value: Any) -> float | None:
    try:
        return float(value) / 1e6
    except (TypeError, ValueError):
        return None


SNIPPET = """\
# Apinto: an http_output driver (APIPark: the Loki address of the log output)
name: gatelens
driver: http_output
scopes: [access_log]
method: POST
url: http://127.0.0.1:4318/ingest/apipark
type: json
formatter:
  fields: [$msec, $api, $service, $application, $request_method, $request_uri, $request_host,
           $status, $request_time, $proxy_time, $proxy_status, $src_ip, $request_id, $node,
           $request_length, $response_length, $http_user_agent]
"""

APIPARK = LinesFormat(
    name="apipark",
    gateway="apipark",
    json=read_apipark,
    unwrap=_records,
    description="APIPark / Apinto access log: http output, or Loki pushes.",
    snippet=SNIPPET,
    dedupe=True,
)
