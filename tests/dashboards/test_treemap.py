from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.panels.treemap import LEAST, Area, squarify, treemap


@given(st.lists(st.floats(0, 1e9).filter(lambda s: s == 0 or s > 1e-3), max_size=40))
def test_areas_are_in_proportion_and_inside(sizes: list[float]) -> None:
    rects = squarify(sizes)
    total = sum(sizes)
    assert len(rects) == sum(s > LEAST * total for s in sizes)
    for r in rects:
        assert r.width * r.height == pytest.approx(1e4 * sizes[r.index] / total, abs=1e-3, rel=1e-3)
        assert -0.001 <= r.left <= r.left + r.width <= 100.001
        assert -0.001 <= r.top <= r.top + r.height <= 100.001


def test_the_example_of_the_paper_is_laid_out_in_squares() -> None:
    rects = squarify([6, 6, 4, 3, 2, 2, 1], width=6, height=4)
    assert max(max(r.width / r.height, r.height / r.width) for r in rects) < 3


def test_no_areas_are_a_sentence_and_hostile_names_stay_text() -> None:
    assert treemap([], empty="Nobody called.").children == "Nobody called."
    made = treemap([Area("<b>x", "<i>g", 1.0, "1", "/x", "#4a90f5")], empty="")
    assert "<i>g" in str(made) and "dangerously" not in str(made)
