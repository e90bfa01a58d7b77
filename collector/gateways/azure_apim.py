"""Azure API Management: GatewayLogs entries, in `{"records": [...]}` envelopes or one by one.

`time` is the start; times are ms. The total includes the waiting for the client and the cache:
gateway = total - backend - client - cache. Event Hub writes camelCase with `properties`, Log
Analytics PascalCase and flat: names are read without regard to case.

Source: learn.microsoft.com azure/api-management/gateway-log-schema-reference.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from collector.gateways.fields import Fields, JsonFields, first_numbers
from collector.gateways.headers import header_column
from collector.gateways.lines import LinesFormat, Read
from collector.gateways.mapped import FieldMap, null_where, read_mapped
from collector.gateways.rows import floats
from collector.gateways.urls import without_query
from collector.naming.naming import GATEWAY_API_ID

_MAP = FieldMap(
    time={"time": "iso", "timegenerated": "iso"},
    instant="start",
    status=("responsecode",),
    durations={
        "duration_ms": (1.0, ("durationms", "totaltime")),
        "upstream_ms": (1.0, ("backendtime",)),
    },
    texts={
        "method": ("method",),
        "protocol": ("clientprotocol",),
        "api": ("apiid",),
        "api_version": ("apirevision",),
        "operation": ("operationid",),
        "product": ("productid",),
        "consumer": ("apimsubscriptionid", "userid"),
        "client_address": ("calleripaddress",),
        "request_id": ("correlationid",),
        "upstream": ("backendurl", "backendid"),
        "response_flags": ("lasterror.reason", "lasterrorreason"),
        "cache_status": ("cache",),
        "gateway_instance": ("location", "region"),
    },
    counts={
        "request_bytes": ("requestsize",),
        "response_bytes": ("responsesize",),
        "upstream_status": ("backendresponsecode",),
    },
    target=("url",),
    url=("url",),
    attributes={GATEWAY_API_ID: ("apiid",), "azure.user_id": ("userid",)},
)


def read_azure_apim(fields: Fields) -> Read:
    """Flattened entries, names in lower case."""
    assert isinstance(fields, JsonFields)
    read = read_mapped(fields, _MAP)
    columns = read.columns
    total = _numbers(fields, "durationms", "totaltime")
    elsewhere = [
        np.nan_to_num(_numbers(fields, name)) for name in ("backendtime", "clienttime", "cachetime")
    ]
    columns["gateway_ms"] = floats(
        np.maximum(total - elsewhere[0] - elsewhere[1] - elsewhere[2], 0)
    )
    columns["cache_status"] = null_where(columns["cache_status"], "none")
    columns["user_agent"] = header_column(fields.values("requestheaders"), "user-agent")
    if columns["upstream"] is not None:
        columns["upstream"] = without_query(columns["upstream"])
    return read


def _numbers(fields: Fields, *names: str) -> npt.NDArray[np.float64]:
    found = first_numbers(fields, *names)
    return np.full(fields.rows, np.nan) if found is None else found


def _records(value: Any) -> Iterable[Any]:
    """Entries of an envelope, flat and in lower case; those of other categories are left out."""
    if not isinstance(value, dict):
        return (value,)
    entries = value.get("records")
    entries = entries if isinstance(entries, list) else [value]
    return [flat for flat in map(_flat, entries) if _is_gateway_log(flat)]


def _is_gateway_log(entry: Any) -> bool:
    return not isinstance(entry, dict) or entry.get("category", "GatewayLogs") == "GatewayLogs"


def _flat(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    lower = {key.lower(): value for key, value in entry.items()}
    properties = lower.pop("properties", None)
    if isinstance(properties, dict):
        lower |= {key.lower(): value for key, value in properties.items()}
    return lower


SNIPPET = """\
# Diagnostic setting of the API Management service: category GatewayLogs to a storage account or an
# Event Hub; bring the files near, then: gatelens import azure_apim 'insights-logs-*/**/*.json'
az monitor diagnostic-settings create --name gatelens --resource APIM_ID \\
  --storage-account STORAGE_ID --logs '[{"category": "GatewayLogs", "enabled": true}]'
"""

AZURE_APIM = LinesFormat(
    name="azure_apim",
    gateway="azure_apim",
    json=read_azure_apim,
    unwrap=_records,
    description="Azure API Management GatewayLogs: Event Hub, storage or Log Analytics entries.",
    snippet=SNIPPET,
    dedupe=True,
)
