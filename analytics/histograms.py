"""OTLP histograms, explicit and exponential, to counts per value range and quantiles. Pure.

Every histogram becomes counts of half-open value ranges (low, high]; those of several points add up
when their edges are the same, and stand side by side when they are not. A quantile is found in the
range that holds its rank and interpolated there: linearly for explicit bounds, geometrically for
exponential ones (OTLP data model, "ExponentialHistogram": bucket i holds (base^i, base^(i+1)] with
base = 2^(2^-scale)), so its relative error is at most half a bucket: base^0.5 - 1.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

Edges = tuple[float, float]
"""A value range (low, high]."""

Counts = dict[Edges, int]


@dataclass(frozen=True, slots=True)
class HistogramPoint:
    """One data point, already as counts per range."""

    time: datetime
    start_time: datetime | None
    cumulative: bool
    counts: Mapping[Edges, int]


def explicit_counts(
    bounds: Sequence[float], counts: Sequence[int], low: float | None, high: float | None
) -> Counts:
    """Ranges of an explicit histogram; min and max close the open ends where they are known.

    Lists that do not fit together (one more count than bounds) give nothing.
    """
    if len(counts) != len(bounds) + 1:
        return {}
    edges = [-math.inf, *bounds, math.inf]
    found: Counts = {}
    for index, count in enumerate(counts):
        if count:
            first, last = edges[index], edges[index + 1]
            if first == -math.inf:
                first = min(low, last) if low is not None else min(0.0, last)
            if last == math.inf:
                last = max(high, first) if high is not None else first
            found[(first, last)] = found.get((first, last), 0) + int(count)
    return found


def exponential_counts(
    scale: int,
    zero_count: int,
    positive: tuple[int, Sequence[int]],
    negative: tuple[int, Sequence[int]],
) -> Counts:
    """Ranges of an exponential histogram; `positive`, `negative`: (offset, counts)."""
    found: Counts = {}
    if zero_count:
        found[(0.0, 0.0)] = int(zero_count)
    for sign, (offset, counts) in ((1, positive), (-1, negative)):
        for index, count in enumerate(counts):
            if count:
                low, high = _power(offset + index, scale), _power(offset + index + 1, scale)
                edges = (low, high) if sign > 0 else (-high, -low)
                found[edges] = found.get(edges, 0) + int(count)
    return found


def _power(index: int, scale: int) -> float:
    try:
        return float(2.0 ** (index * 2.0**-scale))
    except OverflowError:
        return math.inf


def deltas(points: Iterable[HistogramPoint], start: datetime) -> list[HistogramPoint]:
    """What each point of one series added, in order of time; points before `start` are left out.

    A cumulative series whose count of any range fell, or whose start moved past the point before,
    began anew: the whole point is new. Its first point counts only if it began in the range, or
    says nothing of its start.
    """
    found, before = [], None
    for point in points:
        added: Mapping[Edges, int] | None = point.counts
        if point.cumulative:
            added = _growth(before, point, start)
            before = point
        if added is not None and point.time >= start:
            found.append(HistogramPoint(point.time, point.start_time, False, added))
    return found


def _growth(
    before: HistogramPoint | None, point: HistogramPoint, start: datetime
) -> Mapping[Edges, int] | None:
    if before is None:
        began_inside = point.start_time is not None and point.start_time >= start
        return point.counts if began_inside else None
    restarted = point.start_time is not None and point.start_time > before.time
    total, total_before = sum(point.counts.values()), sum(before.counts.values())
    if restarted or total < total_before:
        return point.counts
    changed: Counts = {}
    for edges in {*point.counts, *before.counts}:
        count = point.counts.get(edges, 0) - before.counts.get(edges, 0)
        if count > 0:
            changed[edges] = count
    return changed


def add_up(points: Iterable[HistogramPoint]) -> Counts:
    """Counts of all points together."""
    total: dict[Edges, int] = defaultdict(int)
    for point in points:
        for edges, count in point.counts.items():
            total[edges] += count
    return dict(total)


def histogram_quantile(counts: Mapping[Edges, int], q: float) -> float | None:
    """Value at the share q (0..1) of all observations; None without any."""
    total = sum(counts.values())
    if not total:
        return None
    rank, seen = q * total, 0
    for (low, high), count in sorted(counts.items()):
        if seen + count >= rank:
            return _inside(low, high, (rank - seen) / count)
        seen += count
    return max(high for _, high in counts)


def _inside(low: float, high: float, share: float) -> float:
    if math.isinf(high) or math.isinf(low):
        return low if math.isinf(high) else high
    if low > 0:
        between = math.exp(math.log(low) + (math.log(high) - math.log(low)) * share)
        return min(max(between, low), high)
    if high < 0:
        return -_inside(-high, -low, 1 - share)
    return low + (high - low) * share
