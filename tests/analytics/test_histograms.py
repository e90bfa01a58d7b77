from __future__ import annotations

import math
import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.histograms import (
    HistogramPoint,
    add_up,
    deltas,
    explicit_counts,
    exponential_counts,
    histogram_quantile,
)
from tests.analytics.hostile import NOON
from tests.analytics.oracle import exact_quantile


@pytest.mark.parametrize("scale", [0, 3, 8])
@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
def test_exponential_quantile_is_within_its_bucket(scale: int, q: float) -> None:
    rng = random.Random(scale)
    values = [rng.lognormvariate(2, 2) for _ in range(2000)] + [0.0] * 20
    indices = [math.ceil(math.log2(v) * 2**scale) - 1 for v in values if v > 0]
    offset = min(indices)
    counts = [0] * (max(indices) - offset + 1)
    for index in indices:
        counts[index - offset] += 1
    found = histogram_quantile(exponential_counts(scale, 20, (offset, counts), (0, ())), q)
    exact = exact_quantile(values, q)
    base = 2 ** (2**-scale)
    assert found is not None
    assert exact / base <= found <= exact * base


def test_negative_values_come_before_zero_and_positive_ones() -> None:
    counts = exponential_counts(0, 1, (0, [1]), (1, [2]))
    assert sorted(counts) == [(-4.0, -2.0), (0.0, 0.0), (1.0, 2.0)]
    assert histogram_quantile(counts, 0.25) == pytest.approx(-math.sqrt(8))
    assert histogram_quantile(counts, 0.75) == 0.0


@given(
    st.lists(st.floats(0, 1000), min_size=1, max_size=60),
    st.lists(st.floats(0.1, 900), min_size=1, max_size=8, unique=True).map(sorted),
    st.floats(0.01, 1),
)
def test_explicit_quantile_lies_in_the_bucket_of_the_exact_one(
    values: list[float], bounds: list[float], q: float
) -> None:
    counts = [0] * (len(bounds) + 1)
    for value in values:
        counts[sum(value > b for b in bounds)] += 1
    found = histogram_quantile(explicit_counts(bounds, counts, min(values), max(values)), q)
    exact = exact_quantile(values, q)
    edges = [-math.inf, *bounds, math.inf]
    index = sum(exact > b for b in bounds)
    assert found is not None
    assert edges[index] - 1e-9 <= found <= edges[index + 1] + 1e-9


def test_odd_histograms_are_empty_rather_than_wrong() -> None:
    assert explicit_counts([1, 2], [1, 2], None, None) == {}
    assert explicit_counts([], [3], None, None) == {(0.0, 0.0): 3}
    assert histogram_quantile({}, 0.5) is None
    assert histogram_quantile(exponential_counts(-10, 0, (5, [1]), (0, ())), 0.5) is not None


def test_growth_of_cumulative_histograms_survives_restarts() -> None:
    def point(minute: int, count: int, started: int) -> HistogramPoint:
        return HistogramPoint(
            NOON + timedelta(minutes=minute), NOON + timedelta(minutes=started), True,
            {(0.0, 1.0): count},
        )  # fmt: skip

    points = [point(-1, 5, -60), point(1, 9, -60), point(2, 9, -60), point(3, 4, 2), point(4, 6, 2)]
    added = deltas(points, NOON)
    assert [sum(p.counts.values()) for p in added] == [4, 0, 4, 2]
    assert add_up(added) == {(0.0, 1.0): 10}
    # the counter fell without saying when it began
    fell = [
        point(1, 9, -60),
        HistogramPoint(NOON + timedelta(minutes=2), None, True, {(0.0, 1.0): 3}),
    ]
    assert [sum(p.counts.values()) for p in deltas(fell, NOON)] == [3]
    # a first point that began before the range says nothing of the range
    assert deltas([point(1, 9, -60)], NOON) == []
    assert add_up(deltas([point(1, 9, 0)], NOON)) == {(0.0, 1.0): 9}
