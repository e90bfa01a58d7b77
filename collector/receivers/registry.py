"""The receivers by format name and by path. To add one: write its file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from collector.payload import Format
from collector.receivers.api import NativeApi
from collector.receivers.elasticsearch_api import ElasticsearchApi
from collector.receivers.envoy_als import ENVOY_ALS
from collector.receivers.exposition import SCRAPE
from collector.receivers.firehose import FirehoseApi
from collector.receivers.json_lines import JSON_LINES
from collector.receivers.loki import LokiApi
from collector.receivers.probe_results import PROBE
from collector.receivers.prometheus_write import PrometheusWriteApi
from collector.receivers.splunk_hec import SplunkHecApi
from collector.receivers.syslog import SYSLOG
from collector.receivers.zipkin import ZipkinApi

_APIS: tuple[NativeApi, ...] = (
    LokiApi(),
    SplunkHecApi(),
    ZipkinApi(),
    FirehoseApi(),
    PrometheusWriteApi(),
    ElasticsearchApi(),  # last: its index names take almost any path
)

RECEIVER_FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        f.name: f
        for f in (*(api.format for api in _APIS), SYSLOG, JSON_LINES, ENVOY_ALS, SCRAPE, PROBE)
    }
)


def find_api(method: str, path: str) -> NativeApi | None:
    """The endpoint that takes a request, None if there is none."""
    return next((api for api in _APIS if api.takes(method, path)), None)
