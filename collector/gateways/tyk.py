"""Tyk: analytics records by Tyk Pump (Splunk HEC, Elasticsearch, Kafka, stdout) and the access log.

`timestamp` is the END (when the record was made); times are ms. `api_key` is the raw key unless Tyk
hashes keys: it is kept as our keyed hash only, `00000000` means none. `tags` carry the trace id as
`trace-id-…`. Sizes: only the request's Content-Length. QEX in `response_flag` = quota, RLT = rate.

Source: tyk-pump analytics/analytics.go, pumps/*.go; tyk internal/httputil/accesslog/record.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from collector.gateways.fields import Fields, JsonFields, first_text
from collector.gateways.lines import LinesFormat, Read
from collector.gateways.mapped import FieldMap, null_where, read_mapped, without_port
from collector.naming.naming import GATEWAY_API_ID
from collector.naming.unique import map_unique
from collector.privacy import hash_credential

_MAP = FieldMap(
    time={"timestamp": "iso", "time_stamp": "iso", "@timestamp": "iso", "time": "iso"},
    instant="end",
    status=("response_code", "status"),
    durations={
        "duration_ms": (1.0, ("latency.total", "latency_total", "request_time", "request_time_ms")),
        "upstream_ms": (1.0, ("latency.upstream", "upstream_latency")),
        "gateway_ms": (1.0, ("latency.gateway", "latency_gateway")),
    },
    texts={
        "method": ("method", "http_method"),
        "host": ("host",),
        "protocol": ("protocol",),
        "api": ("api_name", "api_id"),
        "consumer": ("alias", "oauth_id"),
        "client_address": ("ip_address", "client_ip", "remote_addr"),
        "user_agent": ("user_agent",),
        "country": ("geo.country.iso_code",),
        "upstream": ("upstream_addr",),
        "response_flags": ("response_flag",),
        "trace_id": ("trace_id",),
        "request_id": ("request_id",),
    },
    counts={"request_bytes": ("content_length",), "upstream_status": ("upstream_status",)},
    target=("raw_path", "original_path", "path", "request_uri"),
    attributes={GATEWAY_API_ID: ("api_id",), "tyk.org.id": ("org_id",)},
)


def read_tyk(fields: Fields) -> Read:
    """JSON records of any pump."""
    assert isinstance(fields, JsonFields)
    read = read_mapped(fields, _MAP)
    columns = read.columns
    version = null_where(first_text(fields, "api_version"), "Non Versioned", "Default")
    columns["api_version"] = version
    keys = null_where(first_text(fields, "api_key"), "00000000")
    columns["credential"] = None if keys is None else map_unique(keys, hash_credential)
    columns["client_address"] = without_port(columns["client_address"])
    columns["route"] = pa.array(
        [
            _route(prefix, path, tracked)
            for prefix, path, tracked in zip(
                fields.values("listen_path"),
                fields.values("path"),
                fields.values("track_path"),
                strict=True,
            )
        ],
        pa.string(),
    )
    if columns["trace_id"] is None:
        columns["trace_id"] = pa.array([_trace_id(t) for t in fields.values("tags")], pa.string())
    return read


def _route(listen_path: Any, path: Any, tracked: Any) -> str | None:
    """The path Tyk listens on; with the endpoint behind it where Tyk tracks that as a template."""
    if not isinstance(listen_path, str) or not listen_path:
        return None
    if tracked is True and isinstance(path, str) and "{" in path:
        return listen_path.rstrip("/") + "/" + path.lstrip("/")
    return listen_path


def _trace_id(tags: Any) -> str | None:
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str) and tag.startswith("trace-id-"):
            return tag.removeprefix("trace-id-").lower()
    return None


def _records(value: Any) -> Iterable[Any]:
    """The record in a Splunk event, a bulk action line's document or a logrus line."""
    if not isinstance(value, dict):
        return (value,)
    event = value.get("event")
    if isinstance(event, dict):
        return (event,)
    if len(value) == 1 and next(iter(value)) in ("index", "create"):
        return ()
    nested = [v for v in value.values() if isinstance(v, dict) and "api_id" in v]
    return nested or (value,)


_PAIR = re.compile(r'([A-Za-z_][\w.-]*)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')


def parse_logfmt(line: str) -> dict[str, Any] | None:
    """`a=1 b="two words"` as an object; None if the line is no such thing."""
    record: dict[str, Any] = {}
    for key, quoted, bare in _PAIR.findall(line):
        record[key] = quoted.replace('\\"', '"') if quoted else bare
    return (
        record if "time" in record and ("status" in record or "response_code" in record) else None
    )


SNIPPET = """\
# pump.conf: Tyk Pump writes JSON lines to its standard output.
{"pumps": {"stdout": {"type": "stdout",
                      "meta": {"format": "json", "log_field_name": "tyk-analytics-record"}}}}
# tyk-pump -c pump.conf >> tyk.log 2>&1, then: gatelens import tyk tyk.log --follow
# The pumps splunk and elasticsearch send straight here (below). Through Kafka, in pump.conf
{"pumps": {"kafka": {"type": "kafka", "meta": {"broker": ["broker:9092"], "topic": "tyk"}}}}
# and in gatelens.toml
[collector]
kafka = ["kafka://broker:9092/tyk?format=tyk"]
"""

TYK = LinesFormat(
    name="tyk",
    gateway="tyk",
    json=read_tyk,
    unwrap=_records,
    parse_text=parse_logfmt,
    description="Tyk: pump records (Splunk, Elasticsearch, Kafka, stdout) and the access log.",
    snippet=SNIPPET,
)
