from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.buckets import ZERO_BUCKET, bucket_ms, bucket_of, quantile_name, quantiles_by
from tests.analytics.oracle import exact_quantile

TIMES = st.one_of(st.just(0.0), st.floats(1e-6, 1e12))


@settings(deadline=None)  # a crowded machine is no failure
@given(ms=st.floats(1e-250, 1e250))
def test_middle_of_a_bucket_is_within_one_percent(ms: float) -> None:
    assert bucket_ms(bucket_of(ms)) == pytest.approx(ms, rel=0.01)


def test_zero_and_less_have_their_own_bucket() -> None:
    assert {bucket_of(0.0), bucket_of(-5.0), bucket_of(-math.inf)} == {ZERO_BUCKET}
    assert bucket_ms(ZERO_BUCKET) == 0.0


def test_ends_of_the_range_are_clamped() -> None:
    assert bucket_of(5e-324) == -32767
    assert bucket_of(1.7e308) == 32767


@settings(deadline=None)  # a crowded machine is no failure
@given(values=st.lists(TIMES, min_size=1, max_size=60), q=st.sampled_from([0.01, 0.5, 0.95, 1.0]))
def test_quantile_is_within_one_percent_of_the_same_rank(values: list[float], q: float) -> None:
    counts = pl.DataFrame(
        {"bucket": [bucket_of(v) for v in values], "requests": [1] * len(values)},
        schema={"bucket": pl.Int16, "requests": pl.Int64},
    )
    found = quantiles_by(counts, (), (q,)).row(0)
    assert found[0] == pytest.approx(exact_quantile(values, q), rel=0.01)
    assert found[1] == len(values)


@settings(deadline=None)  # a crowded machine is no failure
@given(
    parts=st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 9)), min_size=1, max_size=20),
    data=st.data(),
)
def test_order_and_split_of_partial_counts_do_not_matter(
    parts: list[tuple[int, int]], data: st.DataObject
) -> None:
    schema = {"bucket": pl.Int16, "requests": pl.Int64}
    singles = [(bucket, 1) for bucket, n in parts for _ in range(n)]
    shuffled = data.draw(st.permutations(singles))
    whole = quantiles_by(pl.DataFrame(parts, schema=schema, orient="row"), (), (0.5, 0.99))
    split = quantiles_by(pl.DataFrame(shuffled, schema=schema, orient="row"), (), (0.5, 0.99))
    assert whole.equals(split)


@pytest.mark.parametrize(
    ("q", "name"), [(0.5, "p50_ms"), (0.95, "p95_ms"), (0.999, "p999_ms"), (0.1, "p10_ms")]
)
def test_quantiles_are_named_as_people_say_them(q: float, name: str) -> None:
    assert quantile_name(q) == name
