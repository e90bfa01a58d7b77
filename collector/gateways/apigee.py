"""Apigee: analytics records (Envoy adapter, exports, or a MessageLogging policy that writes them).

Timestamps are epoch ms; `client_received_start_timestamp` is the start. total = client sent end -
received start; upstream = target received end - sent start; else the analytics' own
`…_response_time` (ms). `(not set)` is absent. `client_id` is the consumer key: kept as a keyed
hash; `access_token` is dropped.

Source: apigee-remote-service-golib analytics/record.go; Apigee analytics reference.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from collector.gateways.fields import Fields, first_text
from collector.gateways.lines import LinesFormat, Read
from collector.gateways.mapped import FieldMap, null_where, read_mapped
from collector.naming.naming import GATEWAY_API_ID
from collector.naming.unique import map_unique
from collector.privacy import hash_credential

_ABSENT = ("(not set)", "null", "na")

_MAP = FieldMap(
    time={"client_received_start_timestamp": "ms", "timestamp": "iso"},
    instant="start",
    status=("response_status_code",),
    durations={
        "duration_ms": (1.0, ("_total_ms", "total_response_time")),
        "upstream_ms": (1.0, ("_target_ms", "target_response_time")),
    },
    texts={
        "environment": ("environment",),
        "method": ("request_verb",),
        "host": ("virtual_host", "target_host"),
        "api": ("apiproxy",),
        "api_version": ("apiproxy_revision",),
        "product": ("api_product",),
        "consumer": ("developer_app", "developer_email"),
        "client_address": ("ax_resolved_client_ip", "client_ip"),
        "user_agent": ("useragent",),
        "country": ("ax_geo_country",),
        "request_id": ("gateway_flow_id",),
        "upstream": ("target_host", "target"),
        "response_flags": ("ax_execution_fault_policy_name", "ax_edge_execution_fault_code"),
        "cache_status": ("ax_cache_source",),
        "gateway_instance": ("gateway_source",),
    },
    counts={
        "request_bytes": ("request_size",),
        "response_bytes": ("response_size",),
        "upstream_status": ("target_response_code",),
    },
    target=("request_path", "request_uri"),
    attributes={GATEWAY_API_ID: ("apiproxy",), "apigee.organization": ("organization",)},
)


def read_apigee(fields: Fields) -> Read:
    """Records with `_total_ms` and `_target_ms` worked out."""
    read = read_mapped(fields, _MAP)
    columns = read.columns
    for name in _MAP.texts:
        columns[name] = null_where(columns[name], *_ABSENT)
    keys = null_where(first_text(fields, "client_id"), *_ABSENT)
    columns["credential"] = None if keys is None else map_unique(keys, hash_credential)
    return read


def _records(value: Any) -> Iterable[Any]:
    """Records of an adapter's request, each with the request's organisation and environment."""
    if not isinstance(value, dict):
        return (value,)
    entries = value.get("records")
    if not isinstance(entries, list):
        return (_with_times(value),)
    shared = {key: value[key] for key in ("organization", "environment") if key in value}
    return [_with_times({**shared, **e}) if isinstance(e, dict) else e for e in entries]


def _with_times(record: dict[str, Any]) -> dict[str, Any]:
    record["_total_ms"] = _between(
        record, "client_received_start_timestamp", "client_sent_end_timestamp"
    )
    record["_target_ms"] = _between(
        record, "target_sent_start_timestamp", "target_received_end_timestamp"
    )
    return record


def _between(record: dict[str, Any], first: str, last: str) -> float | None:
    """Time between two timestamps; 0 in either means that it never came to that."""
    try:
        start, end = float(record[first]), float(record[last])
    except (KeyError, TypeError, ValueError):
        return None
    return end - start if start > 0 and end >= start else None


SNIPPET = """\
# Records of the Envoy adapter, or of a MessageLogging policy whose <Message> is a JSON object with
# the names of the analytics, as files; then: gatelens import apigee 'records/*.json'
# Or posted, one object or {"records": [...]} at a time:
curl -H 'Content-Type: application/json' --data-binary @records.json \\
  http://127.0.0.1:4318/ingest/apigee
"""

APIGEE = LinesFormat(
    name="apigee",
    gateway="apigee",
    json=read_apigee,
    unwrap=_records,
    description="Apigee analytics records: adapter requests, exports, MessageLogging.",
    snippet=SNIPPET,
    dedupe=True,
)
