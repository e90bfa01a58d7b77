"""Spring Cloud Gateway: Reactor Netty's access log, bare or behind a log prefix ending in ` : `.

The time is when the request was received = start; the last field is the duration in ms. The user is
always `-`.

Source: reactor-netty http/server/logging/BaseAccessLogHandler.java, AccessLogArgProvider.java.
"""

from __future__ import annotations

from collector.gateways.fields import Fields
from collector.gateways.line_scanner import LineField, LineFormat
from collector.gateways.lines import LinesFormat, LineShape, Read
from collector.gateways.mapped import FieldMap, read_mapped, without_port
from collector.gateways.nginx import compile_log_format

_MAP = FieldMap(
    time={"time_local": "clf"},
    instant="start",
    status=("status",),
    durations={"duration_ms": (1.0, ("duration",))},
    texts={"client_address": ("client",), "consumer": ("user",)},
    counts={"response_bytes": ("bytes",)},
    request_line="request",
)

_LINE = compile_log_format('$client - $user [$time_local] "$request" $status $bytes $duration')
_LOGGED = LineFormat((LineField("prefix", b" : "), *_LINE.fields))


def read_spring(fields: Fields) -> Read:
    """Fields of Reactor Netty's line."""
    read = read_mapped(fields, _MAP)
    read.columns["client_address"] = without_port(read.columns["client_address"])
    return read


SNIPPET = """\
# Start the gateway with
java -Dreactor.netty.http.server.accessLogEnabled=true -jar gateway.jar >> gateway.log
# then: gatelens import spring gateway.log --follow
# Better still, with consumers and upstream times: OpenTelemetry spans, OTLP to port 4317.
"""

SPRING = LinesFormat(
    name="spring",
    gateway="spring",
    shapes=(LineShape(_LOGGED, read_spring), LineShape(_LINE, read_spring)),
    description="Spring Cloud Gateway: Reactor Netty access log.",
    snippet=SNIPPET,
)
