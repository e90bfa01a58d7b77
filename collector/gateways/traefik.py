"""Traefik access logs: JSON, or the common log format with Traefik's four fields at the end.

`StartUTC` is the start; `time` is when the line was written. Durations in JSON are nanoseconds, in
the common format milliseconds. Headers, the user agent among them, are dropped by Traefik unless
`accesslog.fields.headers` keeps them. `Overhead` is the gateway's own time.

Source: traefik pkg/middlewares/accesslog/{logdata,logger_formatters}.go.
"""

from __future__ import annotations

from collector.gateways.fields import Fields
from collector.gateways.lines import LinesFormat, LineShape, Read
from collector.gateways.mapped import FieldMap, read_mapped, without_port
from collector.gateways.nginx import compile_log_format
from collector.naming.naming import GATEWAY_API_ID

_JSON = FieldMap(
    time={"StartUTC": "iso", "StartLocal": "iso", "time": "iso"},
    instant="start",
    status=("DownstreamStatus", "OriginStatus"),
    durations={
        "duration_ms": (1e-6, ("Duration",)),
        "upstream_ms": (1e-6, ("OriginDuration",)),
        "gateway_ms": (1e-6, ("Overhead",)),
    },
    texts={
        "method": ("RequestMethod",),
        "host": ("RequestHost",),
        "protocol": ("RequestProtocol",),
        "consumer": ("ClientUsername",),
        "client_address": ("ClientHost",),
        "user_agent": ("request_User-Agent",),
        "request_id": ("request_X-Request-Id", "downstream_X-Request-Id"),
        "trace_id": ("trace_id", "TraceId"),
        "span_id": ("span_id", "SpanId"),
        "upstream": ("ServiceURL", "ServiceAddr"),
    },
    counts={
        "request_bytes": ("RequestContentSize",),
        "response_bytes": ("DownstreamContentSize",),
        "upstream_status": ("OriginStatus",),
    },
    target=("RequestPath",),
    attributes={GATEWAY_API_ID: ("ServiceName",), "traefik.router": ("RouterName",)},
)

_COMMON = FieldMap(
    time={"time_local": "clf"},
    instant="start",
    status=("status",),
    durations={"duration_ms": (1.0, ("duration_ms",))},
    texts={
        "client_address": ("client",),
        "consumer": ("user",),
        "user_agent": ("user_agent",),
        "upstream": ("service_url",),
    },
    counts={"response_bytes": ("bytes",)},
    request_line="request",
    attributes={"traefik.router": ("router",)},
)

_CLF = '$client - $user [$time_local] "$request" $status $bytes "$referer" "$user_agent"'
_COMMON_LINE = compile_log_format(
    _CLF + ' $request_count "$router" "$service_url" ${duration_ms}ms'
)
_GENERIC_LINE = compile_log_format(_CLF)


def read_traefik(fields: Fields) -> Read:
    """JSON records."""
    read = read_mapped(fields, _JSON)
    _clean(read)
    return read


def _read_common(fields: Fields) -> Read:
    read = read_mapped(fields, _COMMON)
    _clean(read)
    return read


def _clean(read: Read) -> None:
    read.columns["client_address"] = without_port(read.columns["client_address"])


SNIPPET = """\
# traefik.yml
accessLog:
  format: json
  filePath: /var/log/traefik/access.log
  fields:
    headers:
      names: {User-Agent: keep, X-Request-Id: keep}
# then: gatelens import traefik /var/log/traefik/access.log --follow
"""

TRAEFIK = LinesFormat(
    name="traefik",
    gateway="traefik",
    shapes=(LineShape(_COMMON_LINE, _read_common), LineShape(_GENERIC_LINE, _read_common)),
    json=read_traefik,
    description="Traefik access log: JSON, common or generic CLF.",
    snippet=SNIPPET,
)
