from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from analytics.critical_path import TimedSpan, critical_path


def span(name: str, parent: str | None, start: int, end: int) -> TimedSpan:
    return TimedSpan(name, parent, start, end - start)


def test_the_path_follows_what_was_waited_for() -> None:
    spans = [
        span("root", None, 0, 100),
        span("auth", "root", 5, 20),
        span("fast", "root", 20, 50),
        span("slow", "root", 20, 90),
        span("query", "slow", 30, 80),
    ]
    path = critical_path(spans)
    assert {spans[i].span_id: ns for i, ns in path.items()} == {
        "root": 5 + 10,
        "auth": 15,
        "slow": 10 + 10,
        "query": 50,
    }


def test_a_child_that_outlives_its_parent_counts_only_within_it() -> None:
    path = critical_path([span("root", None, 0, 10), span("async", "root", 5, 50)])
    assert path == {0: 5, 1: 5}


def test_no_spans_and_only_a_cycle_have_no_path() -> None:
    assert critical_path([]) == {}
    assert critical_path([span("a", "b", 0, 9), span("b", "a", 0, 9)]) == {}


def test_ten_thousand_levels_do_not_recurse() -> None:
    deep = [span(f"s{n}", f"s{n - 1}" if n else None, n, 20_000 - n) for n in range(10_000)]
    assert sum(critical_path(deep).values()) == 20_000


@given(
    st.lists(
        st.tuples(
            st.integers(0, 12), st.one_of(st.none(), st.integers(0, 12)),
            st.integers(0, 50), st.integers(-5, 50),
        ),
        max_size=14,
    )
)  # fmt: skip
def test_whatever_the_spans_the_path_adds_up_to_its_root(
    raw: list[tuple[int, int | None, int, int]],
) -> None:
    spans = [TimedSpan(str(a), None if b is None else str(b), c, d) for a, b, c, d in raw]
    path = critical_path(spans)
    assert all(ns >= 0 for ns in path.values())
    if path:
        root = next(iter(path))
        assert sum(path.values()) == max(0, spans[root].duration_ns)
