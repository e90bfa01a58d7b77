"""Elasticsearch `_bulk` bodies: an action line, then the document's line.

    {"create": {"_index": "fluent-bit"}}
    {"@timestamp": "2026-01-02T03:04:05.678Z", "message": "…"}

`index` and `create` store a document; `update` does if it may insert (`doc_as_upsert`, `upsert`);
`delete` finds nothing. A document that is no JSON object is one failed item and a row of `rejects`;
a bad action line refuses the body, as Elasticsearch does. Documents become logs, those of a
gateway (Tyk Pump, APISIX, or lines of a Filebeat dataset such as nginx.access) requests.

Source: elasticsearch docs/reference/docs/bulk.asciidoc; fluent-bit plugins/in_elasticsearch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from collector.errors import MalformedBody
from collector.otlp.logs import Logs
from collector.payload import Payload
from collector.receivers.documents import read_document
from collector.receivers.envelopes import Envelopes
from collector.receivers.gateway_records import (
    NAME_FIELD,
    dataset_gateway,
    gateway_of,
    named_gateway,
)
from collector.receivers.limits import ANSWER_ITEMS_MAX
from collector.receivers.otlp_wire import to_json
from collector.receivers.translated import Reject, TranslatedFormat, Translation

_KINDS = ("index", "create", "update", "delete")


@dataclass(frozen=True, slots=True)
class Action:
    """One item of a bulk request."""

    kind: str
    index: str
    id: str
    document: Mapping[str, Any] | None
    """What to store; None = nothing, and `status` says why."""
    status: int
    error: str = ""
    """Elasticsearch's error type; '' = no error."""
    reason: str = ""
    source: bytes = b""


def parse_bulk(body: bytes) -> Iterator[Action]:
    """The items in order. Raises MalformedBody, after the items before it."""
    lines = body.split(b"\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line.strip():
            continue
        kind, meta = _action_line(line, at)
        source = b""
        if kind != "delete":
            if at >= len(lines) or (at == len(lines) - 1 and not lines[at].strip()):
                raise MalformedBody(f"the action of line {at} has no document")
            source = lines[at]
            at += 1
        yield _action(kind, meta, source)


def _action_line(line: bytes, number: int) -> tuple[str, Mapping[str, Any]]:
    try:
        action = orjson.loads(line)
    except orjson.JSONDecodeError as err:
        raise MalformedBody(f"Malformed action/metadata line [{number}]: no JSON") from err
    if not isinstance(action, dict) or len(action) != 1:
        raise MalformedBody(f"Malformed action/metadata line [{number}], expected one action")
    ((kind, meta),) = action.items()
    if kind not in _KINDS or not isinstance(meta, dict):
        raise MalformedBody(
            f"Malformed action/metadata line [{number}], expected one of {', '.join(_KINDS)}"
        )
    return kind, meta


def _action(kind: str, meta: Mapping[str, Any], source: bytes) -> Action:
    index, id_ = str(meta.get("_index") or ""), str(meta.get("_id") or "")
    if kind == "delete":
        return Action(kind, index, id_, None, 404)
    try:
        document = orjson.loads(source)
    except orjson.JSONDecodeError as err:
        reason = f"failed to parse: {err.msg}"
        return Action(kind, index, id_, None, 400, "document_parsing_exception", reason, source)
    if kind == "update" and isinstance(document, dict):
        upsert = document.get("doc") if document.get("doc_as_upsert") else document.get("upsert")
        if not isinstance(upsert, dict):
            reason = f"[{id_}]: document missing"
            return Action(kind, index, id_, None, 404, "document_missing_exception", reason, source)
        document = upsert
    if not isinstance(document, dict):
        reason = "the document is no object"
        return Action(kind, index, id_, None, 400, "document_parsing_exception", reason, source)
    return Action(kind, index, id_, document, 201, source=source)


def translate_bulk(payload: Payload) -> Translation:
    """Raises MalformedBody."""
    found = Translation()
    logs = Envelopes()
    for position, action in enumerate(parse_bulk(payload.body), 1):
        if position > ANSWER_ITEMS_MAX:
            raise MalformedBody(f"more than {ANSWER_ITEMS_MAX} actions in one body")
        document = action.document
        if document is None:
            if action.error:
                detail = f"{action.error}: {action.reason}."
                found.rejects.append(Reject(position, action.error, detail, action.source))
            continue
        gateway, line = _gateway_line(document)
        if gateway is not None:
            found.gateway(gateway).add(position, line)
            continue
        said = {"elasticsearch.index": action.index} if action.index else {}
        logs.add(read_document(document, received_ns=payload.received_unix_nano, attributes=said))
    found.otlp = logs.encode()
    return found


def _gateway_line(document: Mapping[str, Any]) -> tuple[str | None, bytes]:
    """The gateway and its record: the document itself, or the line that a shipper wrapped."""
    nested = document.get("event")
    event: Mapping[str, Any] = nested if isinstance(nested, dict) else {}
    fields = document.get("fields")
    named = named_gateway(document.get(NAME_FIELD)) or (
        named_gateway(fields.get(NAME_FIELD)) if isinstance(fields, dict) else None
    )
    wrapped = named or dataset_gateway(event.get("dataset") or document.get("event.dataset"))
    if wrapped is not None:
        line = event.get("original") or document.get("message") or document.get("log")
        if isinstance(line, str) and line.strip():
            return wrapped, line.encode("utf-8", "replace")
        return (wrapped, to_json(document)) if named is not None else (None, b"")
    gateway = gateway_of(document)
    return (gateway, to_json(document)) if gateway is not None else (None, b"")


ES_SNIPPET = """\
# filebeat.yml (Filebeat sets up nothing here; its templates and policies are taken as there)
output.elasticsearch:
  hosts: ["http://127.0.0.1:4318"]
setup.ilm.enabled: false
setup.template.enabled: false
# Fluent Bit:  [OUTPUT] Name es  Host 127.0.0.1  Port 4318  Suppress_Type_Name On
# Logstash:    output { elasticsearch { hosts => ["http://127.0.0.1:4318"] } }
# Tyk Pump:    "elasticsearch": {"meta": {"elasticsearch_url": "http://127.0.0.1:4318",
#               "index_name": "tyk_analytics", "version": "7"}}
# APISIX:      elasticsearch-logger with endpoint_addrs ["http://127.0.0.1:4318"]
# With tokens: user name = name of the token, password = the token.
"""

ELASTICSEARCH = TranslatedFormat(
    name="elasticsearch",
    signal=Logs,
    translate=translate_bulk,
    description=(
        "Elasticsearch `_bulk`, with the calls clients make at start. Documents become logs; "
        "records of Tyk Pump, APISIX and other gateways become requests."
    ),
    snippet=ES_SNIPPET,
)

__all__ = ["ELASTICSEARCH", "Action", "parse_bulk", "translate_bulk"]
