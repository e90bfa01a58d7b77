"""Generated calls as rows of `requests` that came as access logs, some of them traced.

How most gateways in production tell of their calls: the access log has every one of them, in whole
milliseconds and with a request id; a trace is kept of one call in many, and only those carry its
id. Kong's http-log writes 32 hex digits, Envoy's JSON a UUID, a combined NGINX line no id at all.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sample_data.columns import hex_text, null_where, pick, timestamps
from sample_data.company import Company
from sample_data.requests import Requests
from sample_data.rows import requests_table
from storage.schemas import REQUESTS

SOURCES = {"kong": "kong_http_log", "envoy": "envoy", "nginx": "nginx"}


def access_log_table(company: Company, requests: Requests, traced: NDArray[np.bool_]) -> pa.Table:
    """Rows with the columns of REQUESTS. `traced`: calls whose trace was kept."""
    gateways = np.array([o.gateway for o in company.operations])[requests.operation]
    lines, envoy = gateways == "nginx", gateways == "envoy"
    n = len(requests)
    upstream_ms = np.rint(requests.upstream_ms)
    own_ms = np.rint(requests.gateway_ms)
    unasked = np.isnan(upstream_ms) | lines
    whole = {
        "time": timestamps(requests.time_us // 1_000 * 1_000),
        "duration_ms": null_where(_doubles(own_ms + np.nan_to_num(upstream_ms)), lines),
        "upstream_ms": null_where(_doubles(upstream_ms), unasked),
        "gateway_ms": null_where(_doubles(own_ms), lines),
        "environment": pa.nulls(n, pa.string()),
        "gateway_instance": pa.nulls(n, pa.string()),
        "trace_id": null_where(hex_text(requests.ids[:, :2]), ~traced | lines),
        "span_id": pa.nulls(n, pa.string()),
        "request_id": null_where(_request_ids(requests, envoy), lines),
        "source": pick([SOURCES[o.gateway] for o in company.operations], requests.operation),
    }
    rows = requests_table(company, requests)
    columns = [whole.get(c.name, rows.column(c.name)) for c in REQUESTS.columns]
    return pa.table(columns, schema=REQUESTS.arrow_schema)


def _doubles(values: NDArray[np.float32]) -> pa.Array:
    return pa.array(values.astype(np.float64))


def _request_ids(requests: Requests, uuids: NDArray[np.bool_]) -> pa.Array:
    """32 random hex digits, as a UUID (version 4) where asked for."""
    ids = hex_text(requests.ids[:, 3:5])
    if not uuids.any():
        return ids
    chosen = ids.filter(pa.array(uuids))
    cut = [
        pc.utf8_slice_codeunits(chosen, a, b)
        for a, b in ((0, 8), (8, 12), (13, 16), (17, 20), (20, 32))
    ]
    cut[2] = pc.binary_join_element_wise("4", cut[2], "")
    cut[3] = pc.binary_join_element_wise("a", cut[3], "")
    return pc.replace_with_mask(ids, pa.array(uuids), pc.binary_join_element_wise(*cut, "-"))
