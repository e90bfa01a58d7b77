"""Colours that stand for something keep apart for everybody, and on both grounds."""

from __future__ import annotations

from itertools import combinations

import pytest

from dashboards.branding import contrast
from dashboards.figures.severity import COLOURS as SEVERITY_COLOURS
from dashboards.theme import (
    DARK,
    LIGHT,
    OTHERS,
    PARTS,
    QUANTILES,
    SERIES,
    STATUS_CLASS,
    ColourBook,
)
from tests.dashboards.colour_vision import VISIONS, apart, seen

SHARMA = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]
"""Of the published test data: pairs, and how far they are apart."""


@pytest.mark.parametrize(("one", "other", "expected"), SHARMA)
def test_the_distance_is_that_of_the_publication(
    one: tuple[float, float, float], other: tuple[float, float, float], expected: float
) -> None:
    assert apart(one, other) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(
    ("colours", "least", "usual"),
    [
        ((*SERIES, OTHERS), 7.5, 14),
        (tuple(STATUS_CLASS.values()), 9, 15),
        (tuple(SEVERITY_COLOURS.values()), 13, 13),
        (tuple(PARTS.values()), 15, 25),
        (tuple(QUANTILES.values()), 15, 25),
    ],
    ids=["names", "status", "severity", "parts", "quantiles"],
)
def test_data_colours_keep_apart_for_everybody(
    colours: tuple[str, ...], least: float, usual: float, vision: str
) -> None:
    distances = {
        (one, other): apart(seen(one, vision), seen(other, vision))
        for one, other in combinations(colours, 2)
    }
    wanted = usual if vision == "usual" else least
    assert {pair: d for pair, d in distances.items() if d < wanted} == {}


@pytest.mark.parametrize("colour", [*SERIES, OTHERS, *STATUS_CLASS.values()])
def test_data_colours_stand_out_from_both_grounds(colour: str) -> None:
    assert contrast(colour, LIGHT.surface) >= 2
    assert contrast(colour, DARK.surface) >= 2.5


def test_a_name_keeps_the_colour_it_was_first_shown_in() -> None:
    names = [f"api-{n}" for n in range(20)]
    book = ColourBook()
    first = [book.colour(name) for name in names]
    assert len(set(first[: len(SERIES)])) == len(SERIES)
    book.learn(reversed(names))
    assert [book.colour(name) for name in names] == first
