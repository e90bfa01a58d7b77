from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.app import create_app
from dashboards.pages import trace_detail
from dashboards.panels.waterfall import Span, place
from tests.aio import run
from tests.dashboards.conftest import Running
from tests.dashboards.telemetry import TRACES, trace_id


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


def test_rows_of_a_trace_are_made_beside_the_event_loop(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten thousand spans they are half a second of work, for which nobody else may wait."""
    on_the_loop: list[bool] = []
    real = trace_detail.waterfall_rows

    def watched(*given: Any) -> Any:
        try:
            asyncio.get_running_loop()
            on_the_loop.append(True)
        except RuntimeError:
            on_the_loop.append(False)
        return real(*given)

    monkeypatch.setattr(trace_detail, "waterfall_rows", watched)
    panels = [p for p in create_app(server.data).panels if p.screen == "traces/"]
    for panel in panels:
        answer = run(panel.draw({"search": "?from=now-1h"}, trace_id(TRACES - 1)))
        if isinstance(answer, tuple):
            assert len(answer[0]) == 2
    assert on_the_loop == [False]
