"""Metrics as OTLP writes them: number points, histograms with bounds, exponential histograms.

Field numbers of opentelemetry/proto/metrics/v1/metrics.proto; twin of `otlp_wire.py`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collector.receivers.otlp_wire import block, double, fixed64, hex_id, pairs, text, varint

NO_RECORDED_VALUE = 1
"""DataPointFlags: the series has ended (what Prometheus calls stale)."""

_CUMULATIVE = b"\x10\x02"
_MONOTONIC = b"\x18\x01"

Labels = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """An example observation. Labels trace_id and span_id become ids."""

    time_ns: int
    value: float
    labels: tuple[tuple[str, str], ...] = ()

    def encode(self, tag: bytes) -> bytes:
        known = dict(self.labels)
        trace, span = hex_id(known.get("trace_id"), 16), hex_id(known.get("span_id"), 8)
        rest = [
            (key, value)
            for key, value in self.labels
            if not (key == "trace_id" and trace) and not (key == "span_id" and span)
        ]
        data = fixed64(b"\x11", self.time_ns) + double(b"\x19", self.value)
        if span:
            data += block(b"\x22", span)
        if trace:
            data += block(b"\x2a", trace)
        return block(tag, data + pairs(b"\x3a", rest))


def number_point(
    attributes: bytes,
    *,
    time_ns: int,
    value: float | None,
    start_ns: int = 0,
    exemplars: Sequence[Exemplar] = (),
) -> bytes:
    """A NumberDataPoint as a field of Gauge or Sum. `attributes`: fields with tag POINT_LABELS.
    value None = no recorded value."""
    data = attributes + fixed64(b"\x11", start_ns) + fixed64(b"\x19", time_ns)
    data += b"\x40\x01" if value is None else double(b"\x21", value)
    return block(b"\x0a", data + b"".join(e.encode(b"\x2a") for e in exemplars))


POINT_LABELS = b"\x3a"
"""Tag of the attributes of a NumberDataPoint."""


def metric(
    name: str,
    points: Iterable[bytes],
    *,
    counter: bool,
    unit: str = "",
    description: str = "",
) -> bytes:
    """A gauge, or a cumulative monotonic sum, as a field of ScopeMetrics."""
    data = b"".join(points)
    body = block(b"\x3a", data + _CUMULATIVE + _MONOTONIC) if counter else block(b"\x2a", data)
    return block(b"\x12", _head(name, unit, description) + body)


def histogram_metric(
    name: str, point: bytes, *, exponential: bool, unit: str = "", description: str = ""
) -> bytes:
    """A cumulative histogram of one point, as a field of ScopeMetrics."""
    tag = b"\x52" if exponential else b"\x4a"
    data = _head(name, unit, description) + block(tag, point + _CUMULATIVE)
    return block(b"\x12", data)


def _head(name: str, unit: str, description: str) -> bytes:
    return text(b"\x0a", name) + text(b"\x12", description) + text(b"\x1a", unit)


@dataclass(frozen=True, slots=True)
class Distribution:
    """What both kinds of histogram points have."""

    labels: tuple[tuple[str, str], ...]
    time_ns: int
    start_ns: int
    count: int
    sum: float | None
    stale: bool = False
    exemplars: tuple[Exemplar, ...] = ()


def bounded_point(base: Distribution, bounds: Sequence[float], counts: Sequence[int]) -> bytes:
    """A HistogramDataPoint; one count more than bounds."""
    data = _times_and_count(base)
    if base.sum is not None:
        data += double(b"\x29", base.sum)
    data += block(b"\x32", struct.pack(f"<{len(counts)}Q", *counts))
    data += block(b"\x3a", struct.pack(f"<{len(bounds)}d", *bounds))
    data += b"".join(e.encode(b"\x42") for e in base.exemplars)
    data += b"\x50\x01" if base.stale else b""
    return block(b"\x0a", data + pairs(b"\x4a", base.labels))


@dataclass(frozen=True, slots=True)
class Buckets:
    """Counts of consecutive exponential buckets, the first at `offset`."""

    offset: int
    counts: Sequence[int]

    def encode(self, tag: bytes) -> bytes:
        if not self.counts:
            return b""
        packed = b"".join(map(varint, self.counts))
        return block(tag, b"\x08" + _zigzag(self.offset) + block(b"\x12", packed))


def exponential_point(
    base: Distribution,
    *,
    scale: int,
    zero_count: int,
    zero_threshold: float,
    positive: Buckets,
    negative: Buckets,
) -> bytes:
    """An ExponentialHistogramDataPoint."""
    data = pairs(b"\x0a", base.labels) + _times_and_count(base)
    if base.sum is not None:
        data += double(b"\x29", base.sum)
    data += b"\x30" + _zigzag(scale) + fixed64(b"\x39", zero_count)
    data += positive.encode(b"\x42") + negative.encode(b"\x4a")
    data += b"\x50\x01" if base.stale else b""
    data += b"".join(e.encode(b"\x5a") for e in base.exemplars)
    if zero_threshold:
        data += double(b"\x71", zero_threshold)
    return block(b"\x0a", data)


def _times_and_count(base: Distribution) -> bytes:
    return (
        fixed64(b"\x11", base.start_ns)
        + fixed64(b"\x19", base.time_ns)
        + fixed64(b"\x21", base.count)
    )


def _zigzag(number: int) -> bytes:
    return varint(number * 2 if number >= 0 else -number * 2 - 1)
