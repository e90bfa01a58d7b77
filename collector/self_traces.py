"""The collector's own spans, sent to another collector. Off unless `self_traces_url` is set.

Each sampled request becomes one span. Nothing feeds back:

    the address may not be this collector's own               refused at the start
    requests that carry own spans have a header of their own,  no span is made of them, whichever
        x-gatelens-own-spans                                   collector sent them: two collectors
                                                               may watch each other
    the exporter's own HTTP calls                              are not instrumented (the SDK
                                                               suppresses that in its thread)

Should a relay between two collectors drop the header, one export of many spans makes one more
span: it dies out rather than grow.
"""

from __future__ import annotations

import ipaddress
import threading
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode

from collector.errors import CollectorStartError
from collector.http_app import OWN_SPANS_HEADER
from collector.settings import CollectorSettings

SERVICE = "gatelens-collector"

_EXPORT_TIMEOUT_S = 2
_CLOSE_WITHIN_S = 1.0
"""Part of the stop given to the last export; spans are worth less than a quick stop."""


class SelfTraces:
    """Makes and exports the spans. Thread-safe."""

    def __init__(self, settings: CollectorSettings, *, own_ports: tuple[int, ...]) -> None:
        """Raises CollectorStartError for an address that is ours."""
        url = settings.self_traces_url
        _refuse_own(url, settings.host, own_ports)
        exporter = OTLPSpanExporter(url, headers={OWN_SPANS_HEADER: "1"}, timeout=_EXPORT_TIMEOUT_S)
        self._provider = TracerProvider(
            sampler=TraceIdRatioBased(settings.self_traces_ratio),
            resource=Resource({"service.name": SERVICE}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("gatelens.collector")

    def record(
        self,
        *,
        format: str,
        transport: str,
        start_unix_nano: int,
        body_bytes: int,
        body_read_unix_nano: int,
        end_unix_nano: int,
        failure: str = "",
    ) -> None:
        """One request that has been answered. `failure`: why it was refused, '' = accepted."""
        span = self._tracer.start_span(
            f"collect {format or 'unknown'}",
            # Not SERVER: a Gatelens that receives it would count it as a call of an API.
            kind=SpanKind.INTERNAL,
            start_time=start_unix_nano,
            attributes={
                "gatelens.format": format,
                "gatelens.transport": transport,
                "gatelens.body.bytes": body_bytes,
            },
        )
        if body_read_unix_nano:
            span.add_event("body_read", timestamp=body_read_unix_nano)
        if failure:
            span.set_status(Status(StatusCode.ERROR, failure))
        span.end(end_unix_nano)

    def flush(self) -> None:
        """Send what is waiting, now."""
        self._provider.force_flush()

    def close(self) -> None:
        """Send what is left, for a moment; takes _CLOSE_WITHIN_S at most."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSE_WITHIN_S)


def _refuse_own(url: str, host: str, own_ports: tuple[int, ...]) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as err:
        raise CollectorStartError(f"self_traces_url {url!r} is no address: {err}.") from err
    if port in own_ports and (_is_here(parts.hostname or "") or parts.hostname == host):
        raise CollectorStartError(
            "self_traces_url is this collector's own address; name another collector, "
            "or leave it empty."
        )


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
