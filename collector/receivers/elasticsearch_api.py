"""Elasticsearch's HTTP side: bulk answers, and what clients ask before they send.

Filebeat, Logstash, Fluent Bit and the olivere client (Tyk Pump) look for a version, a licence and
the product header, and set up templates, policies and indexes. There is nothing to set up: what is
asked for is there already, what is created is acknowledged.

Source: beats libbeat/esleg/eslegclient/connection.go, libbeat/licenser/elastic_fetcher.go;
logstash-output-elasticsearch lib/…/http_client/pool.rb; fluent-bit plugins/in_elasticsearch.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

import orjson

from collector.errors import WrongMethod, answer_for
from collector.receivers.api import (
    NativeApi,
    Prepared,
    Reply,
    Request,
    json_reply,
    message_of,
    retry_headers,
)
from collector.receivers.elasticsearch import ELASTICSEARCH, Action, parse_bulk

VERSION = "9.9.0"
"""Beats refuse servers older than themselves, so it has to be a high one."""

_PRODUCT = ("X-Elastic-Product", "Elasticsearch")
_UUID = "Z2F0ZWxlbnMtY29sbGVjdA"

_SETUP = re.compile(
    r"^/(_license|_xpack(/.*)?|_nodes(/.*)?|_cluster/.*|_cat/.*|_template(/.*)?|_features"
    r"|_index_template(/.*)?|_component_template(/.*)?|_data_stream(/.*)?|_ilm/.*|_alias(/.*)?"
    r"|_ingest/pipeline(/.*)?|_security/.*|_aliases|[^_/][^/]*/_(mapping|alias|settings)(/.*)?)$"
)
_INDEX = re.compile(r"^/(?:<[^>]*>|[a-z0-9%.][^/]*)$")
"""A name, or date maths such as `<logstash-{now/d}-000001>`."""
_BULK = re.compile(r"^/(?:([^/]+)/(?:[^/]+/)?)?_bulk/?$")

_TYPES = {400: "illegal_argument_exception", 401: "security_exception", 403: "security_exception"}


class ElasticsearchApi(NativeApi):
    """`/_bulk`, `/<index>/_bulk` and the handshakes."""

    format = ELASTICSEARCH
    needs_plain = True

    def takes(self, method: str, path: str) -> bool:
        if path == "/":
            return method in ("GET", "HEAD")
        if _BULK.match(path) or _SETUP.match(path):
            return True
        return method in ("HEAD", "PUT") and bool(_INDEX.match(path))

    def other(self, request: Request) -> Reply | None:
        if _BULK.match(request.path):
            return None
        return json_reply(200, _setup_answer(request), _PRODUCT)

    def check(self, request: Request) -> None:
        if request.method not in ("POST", "PUT"):
            raise WrongMethod

    def authorization(self, request: Request) -> str:
        """`ApiKey base64(id:key)` is written like basic auth: token name and token."""
        value = request.header("authorization")
        scheme, _, key = value.partition(" ")
        return f"Basic {key}" if scheme.lower() == "apikey" else value

    def prepare(self, request: Request, wire: bytes, plain: bytes, encoding: str) -> Prepared:
        match = _BULK.match(request.path)
        index = unquote(match[1]) if match and match[1] else ""
        return Prepared(wire, encoding, bulk_answer(plain, index))

    def accepted(self, request: Request, rejected: int, message: str, note: object) -> Reply:
        assert isinstance(note, bytes)
        return Reply(200, note, headers=(_PRODUCT,))

    def refused(self, request: Request, error: Exception) -> Reply:
        status = answer_for(error).http
        kind = _TYPES.get(status, "es_rejected_execution_exception")
        cause = {"type": kind, "reason": message_of(error)}
        body = {"error": {"root_cause": [cause], **cause}, "status": status}
        return json_reply(status, body, _PRODUCT, *retry_headers(error))


def bulk_answer(body: bytes, index: str) -> bytes:
    """The answer to a bulk body once it is stored: one item per action, in order.

    `index`: of the path, for actions that name none. Raises MalformedBody.
    """
    items = [_item(action, number, index) for number, action in enumerate(parse_bulk(body))]
    errors = any("error" in entry for item in items for entry in item.values())
    return orjson.dumps({"took": 1, "errors": errors, "items": items})


def _item(action: Action, number: int, index: str) -> dict[str, dict[str, object]]:
    entry: dict[str, object] = {
        "_index": action.index or index,
        "_id": action.id or f"{number}",
        "status": action.status,
    }
    if action.error:
        entry["error"] = {"type": action.error, "reason": action.reason}
    else:
        entry |= {"_version": 1, "result": "created" if action.status == 201 else "not_found"}
        entry["_shards"] = {"total": 1, "successful": 1, "failed": 0}
    return {action.kind: entry}


def _setup_answer(request: Request) -> object:
    """Whatever a client may ask before it sends."""
    path = request.path
    if path == "/":
        return _greeting()
    if request.method in ("PUT", "POST", "DELETE"):
        return {"acknowledged": True, "shards_acknowledged": True, "index": unquote(path[1:])}
    if path.startswith("/_license"):
        return {
            "license": {
                "status": "active",
                "uid": _UUID,
                "type": "basic",
                "mode": "basic",
                "issued_to": "gatelens",
                "issuer": "gatelens",
            }
        }
    if path.startswith("/_nodes"):
        node = {
            "name": "gatelens",
            "version": VERSION,
            "roles": ["data", "ingest", "master"],
            "http": {"publish_address": request.header("host") or "127.0.0.1:4318"},
        }
        return {"cluster_name": "gatelens", "nodes": {_UUID: node}}
    if path.startswith("/_cluster/health"):
        return {"cluster_name": "gatelens", "status": "green", "timed_out": False}
    if path.startswith("/_xpack"):
        return {"features": {"ilm": {"available": True, "enabled": True}}}
    if path.startswith(("/_ilm/policy/", "/_alias/", "/_template/")):
        return {unquote(path.rpartition("/")[2]): {}}
    if path.startswith("/_index_template/"):
        return {"index_templates": [{"name": unquote(path.rpartition("/")[2])}]}
    return {}


def _greeting() -> dict[str, object]:
    return {
        "name": "gatelens",
        "cluster_name": "gatelens",
        "cluster_uuid": _UUID,
        "version": {
            "number": VERSION,
            "build_flavor": "default",
            "build_type": "tar",
            "build_hash": "0" * 40,
            "build_date": "2026-01-01T00:00:00.000Z",
            "build_snapshot": False,
            "lucene_version": "10.3.0",
            "minimum_wire_compatibility_version": "8.19.0",
            "minimum_index_compatibility_version": "8.0.0",
        },
        "tagline": "You Know, for Search",
    }
