"""Prometheus' native histograms as OTLP's: spans and deltas become offset and counts.

Schema -4 to 8 is OTLP's scale; bucket i of Prometheus ends where bucket i of OTLP begins, so
indices move by one. Schema -53 has bounds of its own. Gaps between spans become zeros, up to a
limit. Source: prometheus prompb types.proto; OpenTelemetry "Prometheus and OpenMetrics
Compatibility, Exponential Histograms".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from collector.receivers.limits import HISTOGRAM_BUCKETS_MAX
from collector.receivers.metric_wire import (
    Buckets,
    Distribution,
    Exemplar,
    bounded_point,
    exponential_point,
)
from collector.receivers.prometheus_naming import STALE_BITS, Labels

_CUSTOM = -53


class BadHistogram(ValueError):
    """One sentence on what is wrong."""


def histogram_point(
    histogram: Any, labels: Labels, start_ms: int, exemplars: tuple[Exemplar, ...]
) -> tuple[bytes, bool]:
    """(a data point, whether it is an exponential one). Raises BadHistogram."""
    stale = struct.unpack("<Q", struct.pack("<d", histogram.sum))[0] == STALE_BITS
    base = Distribution(
        labels,
        time_ns=max(histogram.timestamp, 0) * 1_000_000,
        start_ns=max(start_ms, 0) * 1_000_000,
        count=histogram.count_int or _whole(histogram.count_float),
        sum=None if stale else histogram.sum,
        stale=stale,
        exemplars=exemplars,
    )
    first, positive = _dense(
        histogram.positive_spans, histogram.positive_deltas, histogram.positive_counts
    )
    if histogram.schema == _CUSTOM:
        bounds = list(histogram.custom_values)
        if first < 0 or first + len(positive) > len(bounds) + 1:
            raise BadHistogram("A span of a histogram points beyond its custom bounds.")
        counts = [0] * first + positive
        return bounded_point(base, bounds, counts + [0] * (len(bounds) + 1 - len(counts))), False
    if not -4 <= histogram.schema <= 8:
        raise BadHistogram(f"Schema {histogram.schema} of a histogram is unknown.")
    lowest, negative = _dense(
        histogram.negative_spans, histogram.negative_deltas, histogram.negative_counts
    )
    return (
        exponential_point(
            base,
            scale=histogram.schema,
            zero_count=histogram.zero_count_int or _whole(histogram.zero_count_float),
            zero_threshold=histogram.zero_threshold,
            positive=Buckets(first - 1, positive),
            negative=Buckets(lowest - 1, negative),
        ),
        True,
    )


def _dense(
    spans: Sequence[Any], deltas: Sequence[int], counts: Sequence[float]
) -> tuple[int, list[int]]:
    """(index of the first bucket, counts without gaps)."""
    buckets = sum(span.length for span in spans)
    if buckets != len(deltas or counts):
        raise BadHistogram("Spans and buckets of a histogram do not agree.")
    gaps = sum(span.offset for span in spans[1:])
    if buckets + gaps > HISTOGRAM_BUCKETS_MAX or any(span.offset < 0 for span in spans[1:]):
        raise BadHistogram(f"A histogram has more than {HISTOGRAM_BUCKETS_MAX} buckets.")
    values = _absolute(deltas) if deltas else [_whole(count) for count in counts]
    out: list[int] = []
    at = 0
    for number, span in enumerate(spans):
        if number:
            out += [0] * span.offset
        out += values[at : at + span.length]
        at += span.length
    return (spans[0].offset if spans else 0), out


def _absolute(deltas: Sequence[int]) -> list[int]:
    total, out = 0, []
    for delta in deltas:
        total += delta
        if not 0 <= total < 2**63:
            raise BadHistogram("A bucket of a histogram is negative or too large.")
        out.append(total)
    return out


def _whole(count: float) -> int:
    """Counts of float histograms, which may have been scaled, to the nearest whole number."""
    if not 0 <= count < 2**63:
        raise BadHistogram("A bucket of a histogram is negative or no number.")
    return round(count)
