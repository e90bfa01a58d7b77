"""Kong Gateway: the object of `kong.log.serialize()`, by http-log, tcp-log, udp-log or file-log.

`started_at` is the start, epoch ms; latencies are ms. `proxy` = waiting for the upstream's first
byte, -1 = no upstream was asked (then all of `kong` is the gateway's own time); `receive` = reading
its body. `upstream_status` lists the tries: the last one counts. Kong redacts only `authorization`:
headers are not stored, and the identity is kept as a keyed hash.

Source: Kong kong/pdk/log.lua; developer.konghq.com log-format.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.fields import Fields, JsonFields, first_numbers
from collector.gateways.headers import header_column, rate_limits
from collector.gateways.lines import LinesFormat, Read
from collector.gateways.mapped import FieldMap, read_mapped
from collector.gateways.rows import floats
from collector.gateways.upstreams import last_of_list, status_column
from collector.naming.naming import GATEWAY_API_ID
from collector.naming.unique import map_unique
from collector.privacy import hash_credential

_MAP = FieldMap(
    time={"started_at": "ms"},
    instant="start",
    status=("response.status",),
    durations={"duration_ms": (1.0, ("latencies.request",))},
    texts={
        "method": ("request.method",),
        "api": ("service.name", "service.id"),
        "consumer": ("consumer.username", "consumer.custom_id", "consumer.id"),
        "client_address": ("client_ip",),
        "request_id": ("request.id", "correlation_id"),
    },
    counts={"request_bytes": ("request.size",), "response_bytes": ("response.size",)},
    target=("request.uri", "request.url"),
    url=("request.url",),
    attributes={
        GATEWAY_API_ID: ("service.id",),
        "kong.route.name": ("route.name", "route.id"),
        "kong.workspace.name": ("workspace_name",),
        "kong.source": ("source",),
    },
)


def read_kong(fields: Fields) -> Read:
    """JSON records."""
    assert isinstance(fields, JsonFields)
    read = read_mapped(fields, _MAP)
    columns = read.columns
    proxy = _numbers(fields, "latencies.proxy")
    receive = np.nan_to_num(np.maximum(_numbers(fields, "latencies.receive"), 0.0))
    upstream = np.where(proxy >= 0, proxy + receive, np.nan)
    own = _numbers(fields, "latencies.kong")
    columns["upstream_ms"] = floats(upstream)
    columns["gateway_ms"] = floats(np.where(np.isnan(upstream), own, np.nan))
    tries = fields.values("tries")
    columns["upstream"] = pa.array([_last_try(t) for t in tries], pa.string())
    if fields.has("upstream_status"):
        columns["upstream_status"] = status_column(last_of_list(fields.text("upstream_status")))
    columns["route"] = pa.array([_first_path(r) for r in fields.values("route")], pa.string())
    columns["credential"] = map_unique(fields.text("authenticated_entity.id"), hash_credential)
    columns["user_agent"] = header_column(fields.values("request.headers"), "user-agent")
    answered = fields.values("response.headers")
    columns["quota_limit"], columns["quota_remaining"] = rate_limits(answered)
    columns["cache_status"] = pc.utf8_lower(header_column(answered, "x-cache-status"))
    columns["trace_id"] = pa.array([_trace_id(t) for t in fields.values("trace_id")], pa.string())
    return read


def _numbers(fields: Fields, name: str) -> Any:
    numbers = first_numbers(fields, name)
    return np.full(fields.rows, np.nan) if numbers is None else numbers


def _last_try(tries: Any) -> str | None:
    if not isinstance(tries, list) or not tries or not isinstance(tries[-1], dict):
        return None
    ip, port = tries[-1].get("ip"), tries[-1].get("port")
    return f"{ip}:{port}" if ip and port else ip


def _first_path(route: Any) -> str | None:
    """The path a route was configured with; a regular expression (`~/…`) is no template."""
    paths = route.get("paths") if isinstance(route, dict) else None
    first = paths[0] if isinstance(paths, list) and paths else None
    return first if isinstance(first, str) and first.startswith("/") and first != "/" else None


def _trace_id(value: Any) -> str | None:
    """The W3C id of `{"w3c": …, "datadog": …}`, or the one there is if it is as long."""
    if isinstance(value, dict):
        value = value.get("w3c") or next(iter(value.values()), None)
    if not isinstance(value, str) or len(value) not in (16, 32):
        return None
    return value.lower().rjust(32, "0")


SNIPPET = """\
# kong.yml
plugins:
  - name: http-log
    config:
      http_endpoint: http://127.0.0.1:4318/ingest/kong
      queue: {max_batch_size: 200}
"""

KONG = LinesFormat(
    name="kong",
    gateway="kong",
    json=read_kong,
    source="kong_http_log",
    description="Kong http-log, tcp-log, udp-log and file-log: single objects, arrays, lines.",
    snippet=SNIPPET,
    dedupe=True,
)
