"""The small committed files: one of each kind the collector takes, always the same bytes.

They hold calls of five minutes at a low rate, with an incident inside. OTLP bodies are built
with the official protobuf classes, independent of the SDK and of the collector's decoder.
`python -m sample_data files` writes them anew; a test compares.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow.parquet as pq

from sample_data.call import calls_of
from sample_data.catalog_file import CATALOG_PATH, render_catalog
from sample_data.company import INCIDENT_API, Company, build_company
from sample_data.nginx_lines import combined_line
from sample_data.otlp_bodies import log_body, metric_body, trace_body
from sample_data.requests import Requests
from sample_data.rows import requests_table
from sample_data.scenario import SECOND_US, Burst, Incident, Scenario
from sample_data.traffic import generate

FILES_DIR = Path(__file__).with_name("files")
START = dt.datetime(2026, 11, 20, 14, 0, tzinfo=dt.UTC)
NGINX_LINES = 200
OTLP_CALLS = slice(100, 190)
"""Calls in the OTLP files: around the start of the incident and the scan."""

BROKEN_LINES = (
    "",
    "this is not an access log line",
    '198.18.0.1 - - [20/Nov/2026:14:02:11 +0000] "GET /v0/edi/orders/1 HTTP/1.1" 200',
    '198.18.0.1 - - [32/Nov/2026:14:02:11 +0000] "GET /v0/edi/orders HTTP/1.1" 200 12 "-" "curl/8"',
    '198.18.0.1 - - [20/Nov/2026:14:02:12 +0000] "GET /v0/edi/orders HTTP/1.1" abc 12 "-" "curl/8"',
)
"""Among the NGINX lines, one every forty: none of them is a request
(a blank line is no record at all)."""


def write_files(folder: Path = FILES_DIR) -> list[Path]:
    """Write all of them (and the catalog, when `folder` is the committed one). Their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    company = build_company()
    contents = file_contents(company)
    paths = []
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        paths.append(folder / name)
    parquet = folder / "requests.parquet"
    pq.write_table(requests_table(company, sample_requests(company)), parquet, compression="zstd")
    paths.append(parquet)
    if folder == FILES_DIR:
        CATALOG_PATH.write_text(render_catalog(company), encoding="utf-8")
        paths.append(CATALOG_PATH)
    return paths


def file_contents(company: Company) -> dict[str, bytes]:
    """File name -> bytes of the files that are not Parquet."""
    calls = calls_of(company, sample_requests(company))
    spans = [call for call in calls if call.operation.gateway != "nginx"][OTLP_CALLS]
    return {
        "otlp_traces.pb": trace_body(spans),
        "otlp_logs.pb": log_body(spans),
        "otlp_metrics.pb": metric_body(spans),
        "nginx_combined.log": "".join(f"{line}\n" for line in nginx_lines(company)).encode(),
    }


def sample_requests(company: Company) -> Requests:
    """Calls of five minutes at one a second, most kinds of outcome among them."""
    start_us = int(START.timestamp()) * SECOND_US
    minute = 60 * SECOND_US
    scenario = Scenario(
        rate_per_s=1.0,
        shape="flat",
        incidents=(Incident(INCIDENT_API, start_us + minute, start_us + 3 * minute),),
        scan=Burst(start_us + minute, 10 * minute, 10 * SECOND_US, 2.0),
    )
    return generate(company, scenario, start_us, start_us + 5 * minute)


def nginx_lines(company: Company) -> list[str]:
    """Lines of the legacy gateway in the order they were written, broken ones in between."""
    start_us = int(START.timestamp()) * SECOND_US
    scenario = Scenario(rate_per_s=12.0, shape="flat")
    requests = generate(company, scenario, start_us, start_us + 1_200 * SECOND_US)
    calls = [c for c in calls_of(company, requests) if c.operation.gateway == "nginx"]
    calls.sort(key=lambda call: call.end_ns)
    good = [combined_line(call) for call in calls[: NGINX_LINES - len(BROKEN_LINES)]]
    lines = []
    for i in range(0, len(good), 39):
        lines += good[i : i + 39]
        if i // 39 < len(BROKEN_LINES):
            lines.append(BROKEN_LINES[i // 39])
    return lines


if __name__ == "__main__":
    write_files()
