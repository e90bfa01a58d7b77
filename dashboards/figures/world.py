"""Countries by value: which colour each gets. The shapes are in the browser (assets/gl_map.js)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dashboards import format as fmt
from dashboards.theme import Mode

STEPS: dict[Mode, tuple[str, ...]] = {
    "dark": ("#1d4570", "#1f6399", "#2f8fb3", "#52b3ad", "#8fcf94", "#f2e38c"),
    "light": ("#cfe2f3", "#a6cbe8", "#73aed8", "#4390c8", "#2768ac", "#123f7d"),
}
"""Colours from little to much: sequential, even in lightness, told apart by colour-blind people."""


@dataclass(frozen=True, slots=True)
class Country:
    """One coloured country; `code` is ISO 3166-1 alpha-2."""

    code: str
    value: float
    text: str
    colour: str


@dataclass(frozen=True, slots=True)
class WorldMap:
    """What the browser paints: countries, and the values the colours begin at."""

    countries: tuple[Country, ...]
    legend: tuple[tuple[str, str], ...]
    """(colour, text of the value it begins at), from little to much."""
    elsewhere: float
    """Sum of what has no known country: absent, private addresses, codes that are none."""

    def plain(self) -> dict[str, object]:
        """As JSON for assets/gl_map.js."""
        return {
            "countries": {c.code: [c.colour, c.text] for c in self.countries},
            "legend": [list(step) for step in self.legend],
        }


def world_map(
    values: Mapping[str | None, float | None], formatter: fmt.Formatter, mode: Mode
) -> WorldMap:
    """values: code -> value. Where the largest is over 20 times the smallest, colours go by powers:
    traffic of countries differs by thousands, and one colour for all but one says nothing."""
    known = {
        code.upper(): float(value)
        for code, value in values.items()
        if value is not None and value > 0 and code and len(code) == 2 and code.isalpha()
    }
    elsewhere = sum(
        value
        for code, value in values.items()
        if value is not None and not (code and len(code) == 2 and code.isalpha())
    )
    colours = STEPS[mode]
    if not known:
        return WorldMap((), (), elsewhere)
    low, high = min(known.values()), max(known.values())
    logarithmic = high / low > 20

    def step(value: float) -> int:
        if high == low:
            return len(colours) - 1
        share = (
            math.log(value / low) / math.log(high / low)
            if logarithmic
            else (value - low) / (high - low)
        )
        return min(len(colours) - 1, int(share * len(colours)))

    def begins(index: int) -> float:
        share = index / len(colours)
        return low * (high / low) ** share if logarithmic else low + (high - low) * share

    return WorldMap(
        tuple(
            Country(code, value, formatter(value), colours[step(value)])
            for code, value in sorted(known.items(), key=lambda pair: -pair[1])
        ),
        tuple((colour, formatter(begins(i))) for i, colour in enumerate(colours))
        if high > low
        else ((colours[-1], formatter(high)),),
        elsewhere,
    )
