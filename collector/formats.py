"""Every format the collector takes, by name: OTLP's three, the gateways', the
receivers'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.gateways.registry import GATEWAY_FORMATS
from collector.otlp import OTLP_LOGS, OTLP_METRICS, OTLP_TRACES
from collector.otlp.limits import OtlpLimits
from collector.payload import Format, Payload
from collector.receivers.envoy_als import ENVOY_ALS, ENVOY_ALS_MESSAGE
from collector.receivers.loki import LOKI, LOKI_PUSH
from collector.receivers.registry import RECEIVER_FORMATS
from collector.settings import CollectorSettings

_ALL: tuple[Format, ...] = (
    OTLP_TRACES,
    OTLP_LOGS,
    OTLP_METRICS,
    *GATEWAY_FORMATS.values(),
    *RECEIVER_FORMATS.values(),
)

FORMATS: Mapping[str, Format] = MappingProxyType({f.name: f for f in _ALL})


def formats_of(settings: CollectorSettings) -> Mapping[str, Format]:
    """FORMATS with the limits that the settings give OTLP bodies."""
    limits = OtlpLimits(
        records_max=settings.otlp_records_max,
        attributes_per_record_max=settings.otlp_attributes_max,
    )
    limited = [replace(f, limits=limits) for f in (OTLP_TRACES, OTLP_LOGS, OTLP_METRICS)]
    return MappingProxyType({**FORMATS, **{f.name: f for f in limited}})


MESSAGES: Mapping[str, type[Message]] = MappingProxyType(
    {
        OTLP_TRACES.name: ExportTraceServiceRequest,
        OTLP_LOGS.name: ExportLogsServiceRequest,
        OTLP_METRICS.name: ExportMetricsServiceRequest,
        ENVOY_ALS.name: ENVOY_ALS_MESSAGE,
        LOKI.name: LOKI_PUSH,
    }
)
"""Protobuf messages of formats whose text may hold secrets."""


class Found(Protocol):
    """What a format that looks at single records says about a body."""

    @property
    def records(self) -> int: ...
    @property
    def rejected(self) -> int: ...
    @property
    def message(self) -> str: ...
    @property
    def decoded_bytes(self) -> int: ...


@runtime_checkable
class Admitting(Protocol):
    """A format whose protocol can tell the sender about refused records (partial success)."""

    def admit(self, payload: Payload) -> Found:
        """Like `Format.validate`, with the refused records counted."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """Outcome of the pass before the acknowledgement."""

    records: int
    rejected: int = 0
    message: str = ""
    decoded_bytes: int = 0
    """About what decoding will take in memory at most; 0 = not known, about the body's size."""


def inspect(format: Format, payload: Payload) -> Inspected:
    """Validate a body and, where the format can say so, count what will be refused of it."""
    if isinstance(format, Admitting):
        found = format.admit(payload)
        return Inspected(found.records, found.rejected, found.message, found.decoded_bytes)
    return Inspected(format.validate(payload))
