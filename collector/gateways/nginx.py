"""NGINX access logs: combined, `main`, upstreaminfo of ingress-nginx, JSON, any log_format.

`$time_local` and `$msec` are the END of the request (when the line is written): start = end minus
`$request_time` where that is logged. Times are seconds. `-` is absent. `$upstream_*` may list
several tries (`a, b : c`): times are summed, of statuses and addresses the last counts. A request
line that is no request line (TLS bytes, empty) is a request all the same: 400 without method.

Source: nginx.org ngx_http_log_module, ngx_http_upstream_module; ingress-nginx log-format.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.attributes import attributes_column
from collector.gateways.escapes import unescaped
from collector.gateways.fields import Fields, first_numbers, first_text
from collector.gateways.line_scanner import LIST, LineField, LineFormat
from collector.gateways.lines import LinesFormat, LineShape, Read
from collector.gateways.mapped import bare_host
from collector.gateways.rows import floats, whole
from collector.gateways.scan_values import NO_TIME
from collector.gateways.upstreams import last_of_list, status_column
from collector.gateways.urls import origin_form, without_query
from collector.naming.naming import GATEWAY_API_ID

COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent"'
)
UPSTREAMINFO = (
    COMBINED + " $request_length $request_time [$proxy_upstream_name] "
    "[$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length "
    "$upstream_response_time $upstream_status $req_id"
)

_ALIASES: Mapping[str, tuple[str, ...]] = {
    "time_iso8601": ("time_iso8601", "@timestamp", "timestamp"),
    "time_any": ("time_local", "time"),
    "msec": ("msec",),
    "request_time": ("request_time", "request_duration"),
    "upstream_response_time": ("upstream_response_time", "upstream_time"),
    "status": ("status", "response"),
    "method": ("request_method", "method"),
    "target": ("request_uri", "uri", "path"),
    "protocol": ("server_protocol", "protocol"),
    "host": ("http_host", "host", "server_name"),
    "user_agent": ("http_user_agent", "user_agent", "agent"),
    "client": ("remote_addr", "remote_ip", "client_ip", "client"),
    "user": ("remote_user",),
    "response_bytes": ("bytes_sent", "body_bytes_sent", "bytes"),
    "request_bytes": ("request_length",),
    "request_id": ("request_id", "req_id", "http_x_request_id"),
    "trace_id": ("otel_trace_id", "opentelemetry_trace_id", "trace_id"),
    "span_id": ("otel_span_id", "opentelemetry_span_id", "span_id"),
}
"""What a role may be called: NGINX's variables first, then what public JSON log formats call it."""

_LISTS = frozenset(
    f"upstream_{name}"
    for name in (
        "addr", "status", "response_time", "connect_time", "header_time", "queue_time",
        "response_length", "bytes_sent", "bytes_received", "cache_status",
    )
)  # fmt: skip
"""Variables that list one value per try."""

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class BadLogFormat(ValueError):
    """A log_format that cannot be read back; the sentence says which variable is to blame."""


def compile_log_format(text: str, *, open_end: bool = True) -> LineFormat:
    """`$remote_addr - $remote_user [...` as a LineFormat. Raises BadLogFormat.

    `open_end`: text after the last field is allowed (formats often gain a field at the end).
    """
    found = list(_VARIABLE.finditer(text))
    if not found:
        raise BadLogFormat("a log_format needs at least one $variable")
    fields = []
    for this, following in zip(found, [*found[1:], None], strict=True):
        name = this.group(1) or this.group(2)
        end = text[this.end() : following.start() if following else len(text)]
        if following is not None and not end:
            raise BadLogFormat(f"nothing stands between ${name} and the variable after it")
        fields.append(LineField(name, end.encode(), LIST if name in _LISTS else 0))
    if open_end and fields[-1].end:
        fields.append(LineField("", b""))
    return LineFormat(tuple(fields), text[: found[0].start()].encode())


def read_nginx(fields: Fields) -> Read:
    """Fields named after NGINX's variables, or their usual JSON aliases, as columns."""
    columns: dict[str, pa.Array | None] = {}
    duration_s = first_numbers(fields, *_ALIASES["request_time"])
    end_us = _end_times(fields)
    start_us = end_us
    if duration_s is not None:
        known = np.isfinite(duration_s) & (duration_s >= 0) & (duration_s < 1e7)
        shift = np.where(known, duration_s, 0.0) * 1e6
        start_us = np.where(end_us == NO_TIME, NO_TIME, end_us - np.rint(shift).astype(np.int64))
        columns["duration_ms"] = floats(duration_s * 1000.0)
    upstream_s = first_numbers(fields, *_ALIASES["upstream_response_time"])
    if upstream_s is not None:
        columns["upstream_ms"] = floats(upstream_s * 1000.0)
    _read_request_line(fields, columns)
    columns["host"] = bare_host(first_text(fields, *_ALIASES["host"]))
    columns["user_agent"] = unescaped(first_text(fields, *_ALIASES["user_agent"]))
    columns["client_address"] = _first_of_list(first_text(fields, *_ALIASES["client"]))
    columns["consumer"] = unescaped(first_text(fields, *_ALIASES["user"]))
    for name in ("request_id", "trace_id", "span_id"):
        columns[name] = first_text(fields, *_ALIASES[name])
    for name in ("response_bytes", "request_bytes"):
        values = first_numbers(fields, *_ALIASES[name])
        columns[name] = None if values is None else whole(values, pa.int64())
    if fields.has("upstream_addr"):
        columns["upstream"] = last_of_list(fields.text("upstream_addr"))
    if fields.has("upstream_status"):
        columns["upstream_status"] = status_column(last_of_list(fields.text("upstream_status")))
    if fields.has("upstream_cache_status"):
        columns["cache_status"] = pc.utf8_lower(last_of_list(fields.text("upstream_cache_status")))
    if fields.has("proxy_upstream_name"):
        names = {GATEWAY_API_ID: fields.text("proxy_upstream_name")}
        columns["attributes"] = attributes_column(len(start_us), names)
    status = first_numbers(fields, *_ALIASES["status"])
    if status is None:
        status = np.full(len(start_us), np.nan)
    if fields.has("limit_req_status"):
        rejected = pc.fill_null(pc.equal(fields.text("limit_req_status"), "REJECTED"), False)
        columns["outcome"] = pc.if_else(rejected, "rate_limited", pa.scalar(None, pa.string()))
    return Read(start_us, status, columns)


def _end_times(fields: Fields) -> npt.NDArray[np.int64]:
    """When the line was written: the most exact of what is there."""
    found: npt.NDArray[np.int64] | None = None
    if fields.has("msec"):
        seconds = fields.numbers("msec")
        good = np.isfinite(seconds) & (seconds > 0) & (seconds < 1e11)
        found = np.where(good, np.rint(np.where(good, seconds, 0) * 1e6).astype(np.int64), NO_TIME)
    for name in (*_ALIASES["time_iso8601"], *_ALIASES["time_any"]):
        if not fields.has(name) or (found is not None and not (found == NO_TIME).any()):
            continue
        times = fields.clf_times(name) if name == "time_local" else fields.iso_times(name)
        if name == "time" and (times == NO_TIME).any():
            times = np.where(times == NO_TIME, fields.clf_times(name), times)
        found = times if found is None else np.where(found == NO_TIME, times, found)
    return found if found is not None else np.full(len(fields.text("status")), NO_TIME)


def _read_request_line(fields: Fields, columns: dict[str, pa.Array | None]) -> None:
    if fields.has("request"):
        parts = fields.request_lines("request")
        columns["method"], columns["path"], columns["protocol"] = (
            parts.method, parts.path, parts.protocol,
        )  # fmt: skip
    method = first_text(fields, *_ALIASES["method"])
    target = first_text(fields, *_ALIASES["target"])
    protocol = first_text(fields, *_ALIASES["protocol"])
    path = None if target is None else without_query(target)
    for name, values in (("method", method), ("path", path), ("protocol", protocol)):
        before = columns.get(name)
        if values is not None:
            columns[name] = values if before is None else pc.coalesce(before, values)
    found = columns.get("path")
    columns["path"] = None if found is None else unescaped(origin_form(found))


def _first_of_list(values: pa.Array | None) -> pa.Array | None:
    if values is None or not pc.any(pc.match_substring(values, ",")).as_py():
        return values
    return pc.replace_substring_regex(values, r"\s*,.*", "")


SNIPPET = """\
# nginx.conf, inside http {}. The default (combined) is read too; this one adds times, so that
# latency is known, and the request id:
log_format timed '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
                 '"$http_referer" "$http_user_agent" $request_length $request_time '
                 '[$proxy_host] [] $upstream_addr $upstream_response_length '
                 '$upstream_response_time $upstream_status $request_id';
access_log /var/log/nginx/access.log timed;
# then: gatelens import nginx /var/log/nginx/access.log --follow
"""


def nginx_format(log_format: str | None = None) -> LinesFormat:
    """The format, for the usual lines or for a log_format of the operator's own."""
    if log_format is None:
        shapes = tuple(
            LineShape(compile_log_format(text), read_nginx) for text in (UPSTREAMINFO, COMBINED)
        )
    else:
        shapes = (LineShape(compile_log_format(log_format), read_nginx),)
    return LinesFormat(
        name="nginx",
        gateway="nginx",
        shapes=shapes,
        json=read_nginx,
        description="NGINX access log: combined, upstreaminfo, JSON or any log_format.",
        snippet=SNIPPET,
    )


NGINX = nginx_format()
