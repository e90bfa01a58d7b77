"""OTLP log records that are access-log records of a gateway, as `requests`.

Three ways they are written, asked in this order:

    semantic conventions   method and status as attributes of either generation (Kong's access_logs,
                           collectors that parse logs)
    the gateway's own keys Traefik's fields, NGINX's variables, Envoy's format strings under names
                           like those of Istio's JSON (any case, `-` for `_`, with `:` or not)
    the line               as body, text or JSON (Istio's default; whatever a file reader sends on)

A record is a gateway's if attributes, service.name, scope or `log_name` say so, or if its body is a
line in Envoy's or Istio's default format. An application's own log record is never a call, whatever
HTTP attributes it has.

Over OTLP the time of the record is taken as Envoy, Traefik and Kong mean it: the start of the
request. Durations: `http.server.request.duration` in s, `duration_ms`, Kong's `kong.latency.*` (in
s, as its metrics, where it has a fraction, else in ms, as its logs).

Source: envoy source/extensions/access_loggers/open_telemetry/access_log_impl.cc; traefik
pkg/middlewares/accesslog/logger.go; developer.konghq.com plugins/opentelemetry.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.attributes import AttributeColumns, Keys
from collector.gateways.lines import read_records
from collector.gateways.otlp_attributes import (
    KEYS,
    call_columns,
    find_attributes,
    gateway_kinds,
    numbers,
    true,
    valid,
)
from collector.gateways.registry import GATEWAY_FORMATS
from collector.gateways.rows import constant, floats, requests_batch
from collector.gateways.uncounted import counts_beside_spans
from collector.naming import Naming
from collector.naming.counting import ISTIO_DIRECTION
from storage.coded import plain_batch
from storage.schemas import REQUESTS

SOURCE = "otlp_log"

_BODY = r'^\[\d{4}-\d\d-\d\dT[^"]*"[A-Z]+ |^\s*\{.*"response_code"'
"""Bodies that are worth a try although nothing says they are a gateway's."""

_FORMATS = {"apinto": "apipark"}
"""Kind of gateway -> format of its lines, where they differ."""

_TIMES = {"traefik": "StartUTC", "envoy": "start_time", "istio": "start_time",
          "nginx": "time_iso8601"}  # fmt: skip
"""Formats whose keys may be attributes -> the key that is the time of the log record."""

_ENVOY_NAMES: Mapping[str, str] = {
    "code": "response_code", "status": "response_code", "status_code": "response_code",
    "response_status": "response_code", "request_method": "method", "req_method": "method",
    "request_path": "path", "original_path": "path", "x_envoy_original_path": "path",
    "uri": "path", "url_path": "path", "host": "authority", "user_agent_original": "user_agent",
    "x_request_id": "request_id", "x_envoy_upstream_service_time": "upstream_service_time",
    "duration_ms": "duration", "request_protocol": "protocol", "flags": "response_flags",
    "bytes_rcvd": "bytes_received", "req_bytes": "bytes_received", "resp_bytes": "bytes_sent",
    "upstream_cluster_raw": "upstream_cluster", "client_ip": "downstream_remote_address",
}  # fmt: skip
"""What operators call Envoy's values -> Istio's names for them."""

_LOG_NAME = Keys(["log_name"])

_SAMPLED = 1
"""Bit of the trace flags: the span is recorded (W3C Trace Context)."""


def requests_from_logs(logs: pa.RecordBatch, naming: Naming) -> pa.RecordBatch | None:
    """Rows of `requests`, named, for the records (schema of table `logs`) that are calls.

    None if there is none. Records of one way of writing keep their order.
    """
    kinds, found = _kinds(logs)
    if kinds.null_count == len(kinds):
        return None
    logs = plain_batch(logs)
    gateway = valid(kinds)
    told = gateway & found.has(*KEYS["method"][:2]) & found.has(*KEYS["status"][:2])
    parts = [_from_attributes(logs, kinds, told)] if told.any() else []
    for kind in pc.unique(kinds.filter(pa.array(gateway & ~told))).to_pylist():
        rows = np.flatnonzero(~told & gateway & _is(kinds, kind))
        parts += _from_lines(logs, kind, rows)
    if not parts:
        return None
    places = np.concatenate([at for at, _ in parts])
    batch = pa.concat_batches([rows for _, rows in parts])
    return _counted(batch, logs.take(pa.array(places)), naming)


def _counted(
    requests: pa.RecordBatch, logs: pa.RecordBatch, naming: Naming
) -> pa.RecordBatch | None:
    """Those of the rows that count, named; `logs` are the records they came from."""
    flags = logs.column("flags").fill_null(0).to_numpy(zero_copy_only=False)
    recorded = valid(logs.column("span_id")) & ((flags & _SAMPLED) != 0)
    counts = naming.counting.access_records_that_count(
        requests, logs.column("service_name"), recorded
    )
    counts = counts_beside_spans(requests, naming, counts)
    if not counts.any():
        return None
    counted = requests if counts.all() else requests.filter(pa.array(counts))
    return naming.apply(counted, format="otlp_logs")


def _kinds(logs: pa.RecordBatch) -> tuple[pa.Array, AttributeColumns]:
    """Kind of gateway of each record; NULL = not a gateway's access log."""
    found = find_attributes(logs)
    kinds = gateway_kinds(logs, found)
    resource = AttributeColumns(logs.column("resource_attributes"), _LOG_NAME)
    envoy = resource.has("log_name") | true(pc.match_substring_regex(logs.column("body"), _BODY))
    kinds = pc.if_else(pa.array(envoy & ~valid(kinds)), "envoy", kinds)
    return kinds, found


def _from_attributes(
    logs: pa.RecordBatch, kinds: pa.Array, told: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], pa.RecordBatch]:
    keep = pa.array(told)
    logs, kinds = logs.filter(keep), kinds.filter(keep)
    found = find_attributes(logs)
    columns = call_columns(logs, found, kinds)
    total = _first(numbers(found, "duration_s") * 1e3, numbers(found, "duration_ms"),
                   _kong_ms(found, "kong_total"))  # fmt: skip
    columns |= {
        "duration_ms": floats(total),
        "upstream_ms": floats(
            _first(numbers(found, "upstream_s") * 1e3, _kong_ms(found, "kong_upstream"))
        ),
        "gateway_ms": floats(
            _first(numbers(found, "gateway_s") * 1e3, _kong_ms(found, "kong_own"))
        ),
        "source": constant(SOURCE, logs.num_rows),
    }
    return np.flatnonzero(told), requests_batch(logs.num_rows, columns)


def _kong_ms(found: AttributeColumns, role: str) -> npt.NDArray[np.float64]:
    said = numbers(found, role)
    fraction = true(pc.match_substring(found.text(*KEYS[role]), "."))
    return np.where(said < 0, np.nan, np.where(fraction, said * 1e3, said))


def _from_lines(
    logs: pa.RecordBatch, kind: str, rows: npt.NDArray[np.int64]
) -> list[tuple[npt.NDArray[np.int64], pa.RecordBatch]]:
    """Rows of the records of a kind, by its format: from its keys as attributes, or from bodies."""
    format_ = GATEWAY_FORMATS.get(_FORMATS.get(kind, kind))
    if format_ is None:
        return []
    some = logs.take(pa.array(rows))
    records = [
        _record(kind, attributes, body, time)
        for attributes, body, time in zip(
            some.column("attributes").to_pylist(),
            some.column("body").to_pylist(),
            pc.strftime(some.column("time"), "%Y-%m-%dT%H:%M:%SZ").to_pylist(),
            strict=True,
        )
    ]
    found = []
    for at, requests in read_records(format_, records):
        found.append((rows[at], _as_logged(requests, some.take(pa.array(at)))))
    return found


def _record(
    kind: str, attributes: list[tuple[str, str]] | None, body: str | None, time: str
) -> bytes:
    """One line: the attributes as JSON where they are the gateway's own keys, else the body."""
    keys = dict(attributes or ())
    if kind in ("envoy", "istio"):
        keys = _envoy_keys(keys)
    time_key = _TIMES.get(kind)
    if time_key is not None and _telling(kind, keys):
        return orjson.dumps({**keys, time_key: time})
    line = (body or "").strip()
    return b"" if "\n" in line or "\0" in line else line.encode("utf-8", "replace")


def _envoy_keys(attributes: Mapping[str, str]) -> dict[str, str]:
    """Envoy's values under Istio's names."""
    plain = {key.lower().strip(":%").replace("-", "_"): v for key, v in attributes.items()}
    named = {_ENVOY_NAMES[key]: value for key, value in plain.items() if key in _ENVOY_NAMES}
    return {**named, **plain}


def _telling(kind: str, keys: Mapping[str, str]) -> bool:
    if kind == "traefik":
        return "RequestMethod" in keys and "DownstreamStatus" in keys
    if kind == "nginx":
        return "status" in keys and ("request" in keys or "request_method" in keys)
    return "method" in keys and "response_code" in keys


def _as_logged(requests: pa.RecordBatch, logs: pa.RecordBatch) -> pa.RecordBatch:
    """The rows with what the envelope says: exact time, tenant, instance, ids."""
    columns = {name: requests.column(name) for name in requests.schema.names}
    columns["tenant"] = logs.column("tenant")
    columns["source"] = constant(SOURCE, requests.num_rows)
    columns["time"] = _exact(columns["time"], logs.column("time"))
    columns["environment"] = pc.coalesce(logs.column("environment"), columns["environment"])
    for name, own in (("gateway_instance", "service_instance_id"), ("trace_id", "trace_id"),
                      ("span_id", "span_id")):  # fmt: skip
        columns[name] = pc.coalesce(columns[name], logs.column(own))
    if columns["attributes"].null_count < requests.num_rows:
        side = pc.map_lookup(columns["attributes"], ISTIO_DIRECTION, "first")
        columns["gateway"] = pc.if_else(side.is_valid(), "istio", columns["gateway"])
    return pa.RecordBatch.from_arrays(
        [columns[name] for name in REQUESTS.arrow_schema.names], schema=REQUESTS.arrow_schema
    )


def _exact(read: pa.Array, logged: pa.Array) -> pa.Array:
    """The log record's own time where what the line says is the same to the second."""
    apart = pc.abs(pc.subtract(read.cast(pa.int64()), logged.cast(pa.int64())))
    return pc.if_else(pc.less(apart, 1_000_000), logged, read)


def _first(*columns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    found = columns[0]
    for other in columns[1:]:
        found = np.where(np.isnan(found), other, found)
    return found


def _is(values: pa.Array, value: str) -> npt.NDArray[np.bool_]:
    return true(pc.equal(values, value))
