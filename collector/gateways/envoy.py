"""Envoy and Istio access logs: default text of both, JSON with Istio's keys, strings or numbers.

`%START_TIME%` is the start; times are ms; sizes are bodies only. `X-ENVOY-UPSTREAM-SERVICE-TIME` is
the upstream's time. Response code 0 = the client left before an answer. `x_forwarded_for`: the
first address is the client, else the downstream address.

An Istio call is logged by the client's proxy (`outbound|…`) and by the server's (`inbound|…`): the
direction is kept in the attribute `istio.direction`.

Source: envoy docs/root/configuration/observability/access_log/usage.rst; istio
pilot/pkg/model/telemetry_logging.go.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.attributes import attributes_column
from collector.gateways.fields import Fields, first_text
from collector.gateways.lines import LinesFormat, LineShape, Read
from collector.gateways.mapped import FieldMap, null_where, read_mapped, without_port
from collector.gateways.nginx import compile_log_format
from collector.naming.naming import GATEWAY_API_ID

_MAP = FieldMap(
    time={"start_time": "iso"},
    instant="start",
    status=("response_code",),
    durations={
        "duration_ms": (1.0, ("duration",)),
        "upstream_ms": (1.0, ("upstream_service_time",)),
    },
    texts={
        "method": ("method",),
        "host": ("authority",),
        "protocol": ("protocol",),
        "user_agent": ("user_agent",),
        "request_id": ("request_id",),
        "upstream": ("upstream_host",),
        "response_flags": ("response_flags",),
        "route": ("route_name",),
        "trace_id": ("trace_id",),
    },
    counts={"request_bytes": ("bytes_received",), "response_bytes": ("bytes_sent",)},
    request_line="request",
    target=("path",),
)

_ENVOY_LINE = (
    '[$start_time] "$request" $response_code $response_flags $bytes_received $bytes_sent $duration '
    '$upstream_service_time "$x_forwarded_for" "$user_agent" "$request_id" "$authority" '
    '"$upstream_host"'
)
_ISTIO_LINE = (
    '[$start_time] "$request" $response_code $response_flags $response_code_details '
    '$connection_termination_details "$upstream_transport_failure_reason" $bytes_received '
    '$bytes_sent $duration $upstream_service_time "$x_forwarded_for" "$user_agent" "$request_id" '
    '"$authority" "$upstream_host" $upstream_cluster $upstream_local_address '
    "$downstream_local_address $downstream_remote_address $requested_server_name $route_name"
)


def read_envoy(fields: Fields) -> Read:
    """Fields named as in Istio's JSON."""
    read = read_mapped(fields, _MAP)
    columns = read.columns
    cluster = first_text(fields, "upstream_cluster")
    columns["route"] = null_where(columns["route"], "default", "-")
    columns["attributes"] = attributes_column(
        fields.rows,
        {
            GATEWAY_API_ID: _service(cluster),
            "istio.direction": _direction(cluster),
            "envoy.upstream_cluster": cluster,
            "envoy.response_code_details": first_text(fields, "response_code_details"),
        },
    )
    forwarded = first_text(fields, "x_forwarded_for")
    peer = without_port(first_text(fields, "downstream_remote_address"))
    if forwarded is not None:
        client = pc.replace_substring_regex(forwarded, r"\s*,.*", "")
        columns["client_address"] = client if peer is None else pc.coalesce(client, peer)
    else:
        columns["client_address"] = peer
    return read


def _service(cluster: pa.Array | None) -> pa.Array | None:
    """`outbound|8000||httpbin.foo.svc.cluster.local` -> `httpbin.foo`; others as they are."""
    if cluster is None:
        return None
    host = pc.replace_substring_regex(cluster, r"^(?:out|in)bound\|[^|]*\|[^|]*\|", "")
    name = pc.replace_substring_regex(host, r"\.svc\.[a-z0-9.-]+$", "")
    return pc.if_else(pc.equal(name, ""), pa.scalar(None, pa.string()), name)


def _direction(cluster: pa.Array | None) -> pa.Array | None:
    if cluster is None:
        return None
    return pc.struct_field(pc.extract_regex(cluster, r"^(?P<way>outbound|inbound)\|"), "way")


ENVOY_SNIPPET = """\
# envoy.yaml, in the HTTP connection manager: the default format is enough.
access_log:
  - name: envoy.access_loggers.file
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
      path: /var/log/envoy/access.log
# then: gatelens import envoy /var/log/envoy/access.log --follow
"""

ISTIO_SNIPPET = """\
# IstioOperator / values
meshConfig:
  accessLogFile: /dev/stdout
  accessLogEncoding: JSON
# then: kubectl logs -n istio-system deploy/istio-ingressgateway | gatelens import istio -
"""

_SHAPES = (
    LineShape(compile_log_format(_ISTIO_LINE), read_envoy),
    LineShape(compile_log_format(_ENVOY_LINE), read_envoy),
)

ENVOY = LinesFormat(
    name="envoy",
    gateway="envoy",
    shapes=_SHAPES,
    json=read_envoy,
    description="Envoy access log: default text, or JSON with the usual keys.",
    snippet=ENVOY_SNIPPET,
)

ISTIO = LinesFormat(
    name="istio",
    gateway="istio",
    shapes=_SHAPES,
    json=read_envoy,
    description="Istio sidecar and gateway access log: default text or JSON.",
    snippet=ISTIO_SNIPPET,
)
