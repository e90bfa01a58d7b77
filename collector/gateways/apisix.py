"""Apache APISIX http-logger (and its twins: tcp, udp, kafka, file): objects, arrays, NDJSON.

`start_time` is the start, epoch ms (may have a fraction); latencies are ms. Sizes count headers.
`route_id` `no-matched` = no route.

Source: apisix utils/log-util.lua, plugins/http-logger.lua, plugins/limit-count/init.lua.
"""

from __future__ import annotations

import pyarrow.compute as pc

from collector.gateways.attributes import attributes_column
from collector.gateways.fields import Fields, JsonFields, first_text
from collector.gateways.headers import header_column, rate_limits
from collector.gateways.lines import LinesFormat, Read
from collector.gateways.mapped import FieldMap, null_where, read_mapped
from collector.naming.naming import GATEWAY_API_ID

_MAP = FieldMap(
    time={"start_time": "ms"},
    instant="start",
    status=("response.status",),
    durations={
        "duration_ms": (1.0, ("latency",)),
        "upstream_ms": (1.0, ("upstream_latency",)),
        "gateway_ms": (1.0, ("apisix_latency",)),
    },
    texts={
        "method": ("request.method",),
        "api": ("service_name", "service_id"),
        "consumer": ("consumer.username", "consumer_name"),
        "client_address": ("client_ip",),
        "upstream": ("upstream",),
        "gateway_instance": ("server.hostname",),
    },
    counts={"request_bytes": ("request.size",), "response_bytes": ("response.size",)},
    target=("request.uri", "request.url"),
    url=("request.url",),
)


def read_apisix(fields: Fields) -> Read:
    """JSON records of the default entry."""
    assert isinstance(fields, JsonFields)
    read = read_mapped(fields, _MAP)
    columns = read.columns
    asked, answered = fields.values("request.headers"), fields.values("response.headers")
    columns["user_agent"] = header_column(asked, "user-agent")
    columns["request_id"] = header_column(answered, "x-request-id")
    columns["cache_status"] = header_column(answered, "apisix-cache-status")
    columns["quota_limit"], columns["quota_remaining"] = rate_limits(answered)
    route = null_where(first_text(fields, "route_id"), "no-matched")
    api_id = first_text(fields, "service_id")
    columns["attributes"] = attributes_column(
        fields.rows,
        {
            GATEWAY_API_ID: route if api_id is None else pc.coalesce(api_id, route),
            "apisix.route_id": route,
        },
    )
    return read


SNIPPET = """\
# global rule, by the Admin API
{"plugins": {"http-logger": {
  "uri": "http://127.0.0.1:4318/ingest/apisix", "batch_max_size": 1000, "max_retry_count": 60}}}
"""

APISIX = LinesFormat(
    name="apisix",
    gateway="apisix",
    json=read_apisix,
    description="Apache APISIX http-logger and the loggers that send the same entry.",
    snippet=SNIPPET,
    dedupe=True,
)
