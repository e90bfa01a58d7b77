from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dashboards.waterfall import Span, place


def test_children_follow_their_parent_by_start() -> None:
    spans = [
        Span("root", None, 0, 100),
        Span("late", "root", 60, 10),
        Span("early", "root", 10, 40),
        Span("inner", "early", 20, 10),
    ]
    rows = place(spans)
    assert [(spans[r.index].span_id, r.depth) for r in rows] == [
        ("root", 0), ("early", 1), ("inner", 2), ("late", 1),
    ]  # fmt: skip
    assert (rows[0].left, rows[0].width) == (0.0, 100.0)
    assert (rows[2].left, rows[2].width) == (20.0, 10.0)


def test_ten_thousand_levels_need_no_recursion() -> None:
    chain = [Span(str(n), str(n - 1) if n else None, n, 1) for n in range(10_000)]
    assert place(chain)[-1].depth == 9_999


_spans = st.lists(
    st.builds(
        Span,
        st.sampled_from("abcdef"),
        st.none() | st.sampled_from("abcdefz"),
        st.integers(0, 100),
        st.integers(-50, 100),
    ),
    max_size=30,
)


@given(_spans)
def test_every_span_shows_exactly_once_whatever_its_parents_say(spans: list[Span]) -> None:
    rows = place(spans)
    assert sorted(r.index for r in rows) == list(range(len(spans)))
    assert all(0 <= r.left <= 100 and 0 < r.width <= 100 for r in rows)
