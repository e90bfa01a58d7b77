"""Caddy access logs: zap JSON lines of loggers `http.log.access…`.

`ts` is the END of the request, epoch seconds; `duration` seconds. Both may be written otherwise
(`time_format`, `duration_format`): times as RFC 3339, durations as `1.5ms`-like text are read too.
Caddy redacts credentials itself. Status 0 = nothing was written.

Source: caddy modules/caddyhttp/{server,marshalers}.go, modules/logging/encoders.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from collector.gateways.durations import duration_ms
from collector.gateways.fields import Fields
from collector.gateways.lines import LinesFormat, Read
from collector.gateways.mapped import FieldMap, read_mapped, without_port

_MAP = FieldMap(
    time={"ts": "s"},
    instant="end",
    status=("status",),
    durations={"duration_ms": (1.0, ("duration",))},
    texts={
        "method": ("request.method",),
        "host": ("request.host",),
        "protocol": ("request.proto",),
        "consumer": ("user_id",),
        "client_address": ("request.client_ip", "request.remote_ip"),
        "user_agent": ("request.headers.User-Agent",),
        "request_id": ("request.headers.X-Request-Id", "resp_headers.X-Request-Id"),
        "trace_id": ("traceID",),
        "span_id": ("spanID",),
    },
    counts={"request_bytes": ("bytes_read",), "response_bytes": ("size",)},
    target=("request.uri",),
)


_MS_FROM, _NS_FROM = 1e11, 1e15
"""Values of `ts` that cannot be seconds are of time_format unix_milli_float or unix_nano."""


def _records(record: Any) -> Iterable[Any]:
    """Access records of a log that may hold Caddy's other lines too, units made the usual ones."""
    if not isinstance(record, dict):
        return (record,)
    logger = record.get("logger")
    if isinstance(logger, str) and not logger.startswith("http.log.access"):
        return ()
    ts = record.get("ts")
    if isinstance(ts, int | float) and ts > _MS_FROM:
        record["ts"] = ts / (1e3 if ts < _NS_FROM else 1e9)
    duration = record.get("duration")
    if isinstance(duration, str):
        record["duration"] = duration_ms(duration)
    elif isinstance(duration, int | float):
        record["duration"] = duration * 1000.0
    return (record,)


def read_caddy(fields: Fields) -> Read:
    """JSON records with `duration` in ms."""
    by = _MAP
    if fields.has("ts") and not _numeric(fields):
        by = FieldMap(
            {"ts": "iso"}, "end", by.status, by.durations, by.texts, by.counts, target=by.target
        )
    read = read_mapped(fields, by)
    read.columns["client_address"] = without_port(read.columns["client_address"])
    return read


def _numeric(fields: Fields) -> bool:
    first = fields.text("ts").drop_null()
    return len(first) == 0 or str(first[0]).replace(".", "", 1).isdigit()


SNIPPET = """\
# Caddyfile, in each site
log {
  output file /var/log/caddy/access.log
  format json
}
# then: gatelens import caddy /var/log/caddy/access.log --follow
"""

CADDY = LinesFormat(
    name="caddy",
    gateway="caddy",
    json=read_caddy,
    unwrap=_records,
    description="Caddy access log: JSON lines.",
    snippet=SNIPPET,
)
