"""The state row: one number with its story per card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dash import html

from dashboards import format as fmt
from dashboards.components.base import Component, Tone, attrs
from dashboards.components.links import page_link
from dashboards.components.spark import sparkline
from dashboards.doorkeeper import opens
from dashboards.theme import Mode


@dataclass(frozen=True, slots=True)
class Stat:
    """One number with its story. `id` is stable: tests and people's scripts read `data-value`."""

    id: str
    label: str
    value: float | int | None
    text: str
    previous: float | None = None
    """The same in the preceding equal range; None = not known, nothing is compared."""
    better: Literal["up", "down", "neither"] = "neither"
    spark: Sequence[float | None] = ()
    colour: str = "#4a90f5"
    href: str = ""
    """Where the number comes from; '#id' = a panel of the same screen."""
    tone: Tone = ""
    hint: str = ""
    """Second line instead of the comparison."""
    choose: str = ""
    """A change of the URL the card makes, such as `show=errors`, instead of being a link."""
    chosen: bool = False
    """What `choose` would set is what is shown now."""


def stat_row(stats: Sequence[Stat], mode: Mode) -> Component:
    # Room for lines is kept where one card has one, or cards would jump when it comes.
    lines = any(stat.spark for stat in stats)
    cards = [stat_card(stat, mode) for stat in stats]
    return html.Div(cards, className="gl-stats" if lines else "gl-stats flat")


def stat_card(stat: Stat, mode: Mode) -> Component:
    second = html.Span(stat.hint, className="gl-stat-hint") if stat.hint else _comparison(stat)
    inside = [
        html.Div(stat.label, className="gl-stat-label"),
        html.Div(
            html.Span(
                stat.text,
                id=stat.id,
                **attrs({"data-value": fmt.exact(stat.value)}),
            ),
            className=f"gl-stat-value {stat.tone}".strip(),
        ),
        html.Div([second], className="gl-stat-foot"),
        sparkline(stat.spark, stat.colour) if any(v is not None for v in stat.spark) else None,
    ]
    if stat.choose:
        return html.Button(
            inside,
            className="gl-stat on" if stat.chosen else "gl-stat",
            type="button",
            **attrs({"data-gl-set": stat.choose, "aria-pressed": str(stat.chosen).lower()}),
        )
    if stat.href.startswith("#"):
        return html.A(inside, className="gl-stat", href=stat.href, id=f"{stat.id}-link")
    if stat.href and opens(stat.href):
        return page_link(inside, stat.href, "gl-stat", id=f"{stat.id}-link")
    return html.Div(inside, className="gl-stat")


def _comparison(stat: Stat) -> Component:
    if stat.previous is None or stat.value is None:
        return html.Span("no earlier data" if stat.value is not None else "", className="gl-delta")
    if stat.previous == 0:
        growth = 0.0 if stat.value == 0 else float("inf")
    else:
        growth = (stat.value - stat.previous) / abs(stat.previous)
    tone = ""
    if abs(growth) >= 0.05 and stat.better != "neither":
        tone = "good" if (growth > 0) == (stat.better == "up") else "bad"
    return html.Span(
        [html.B(fmt.change(growth)), " vs before"],
        className=f"gl-delta {tone}".strip(),
        title="Compared with the equal time range just before",
    )
