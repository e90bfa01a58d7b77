"""Who calls whom: services in columns from callers to called, lines as wide as there are calls.

Dragging moves the map, Ctrl and the wheel zoom, a double click shows all of it again; a click on a
service leads to its traces. A chart of the library that is there already, not dash-cytoscape: that
one weighs 496 kB (155 kB zipped; 1.4 MB more for layouts in columns), builds code from text, which
the Content-Security-Policy forbids, and brings no more than dragging single nodes."""

from __future__ import annotations

import math

import polars as pl

from dashboards import format as fmt
from dashboards.figures.base import Figure, figure, message
from dashboards.theme import SERIES, Mode, rgba, tokens

NODES_MAX = 40
"""Services drawn; the ones with the most calls. More would be a knot."""

RATE_WIDE, RATE_TALL = 0.05, 0.05
"""Room a rate needs, as shares of the map. Where another one is written, hovering tells it."""


NAME_CHARS = 28
LETTER_PX = 6.3
"""Width of a letter of a name, at the most of what names are made of."""


def _room(names: list[str]) -> int:
    """Pixels that the longest of some names needs beside its circle."""
    return 34 + round(LETTER_PX * max(map(len, names), default=0))


def columns_of(edges: list[tuple[str, str]]) -> dict[str, int]:
    """Column of every service: one right of its furthest caller. Circles are cut."""
    callers: dict[str, set[str]] = {}
    for source, target in edges:
        callers.setdefault(source, set())
        callers.setdefault(target, set()).add(source)
    placed: dict[str, int] = {}
    left = set(callers)
    while left:
        free = sorted(n for n in left if not callers[n] & left)
        if not free:
            # Only circles are left: begin with whom the fewest of them call.
            free = [min(left, key=lambda n: (len(callers[n] & left), n))]
        for name in free:
            placed[name] = 1 + max((placed[c] for c in callers[name] if c in placed), default=-1)
        left -= set(free)
    return placed


def places_of(
    edges: list[tuple[str, str]], column: dict[str, int], calls: dict[str, int]
) -> dict[str, tuple[float, float]]:
    """Where each service is drawn: x is its column, y from the middle up. In a column it lies
    beside its callers, so that lines cross little; then the busiest above."""
    callers: dict[str, list[str]] = {}
    for source, target in edges:
        callers.setdefault(target, []).append(source)
    places: dict[str, tuple[float, float]] = {}
    for number in sorted(set(column.values())):
        height = {}
        for name in (n for n, c in column.items() if c == number):
            above = [places[c][1] for c in callers.get(name, ()) if c in places]
            height[name] = sum(above) / len(above) if above else 0.0
        names = sorted(height, key=lambda n: (-height[n], -calls[n], n))
        for index, name in enumerate(names):
            places[name] = (float(number), (len(names) - 1) / 2 - index)
    return places


def service_map(edges: pl.DataFrame, mode: Mode, *, seconds: float, empty: str) -> Figure:
    """edges: source, target, calls, errors, p95_ms, as analytics.traces gives them, over `seconds`.
    Nodes carry the service's name as `customdata`."""
    if edges.is_empty():
        return message(empty, mode)
    t = tokens(mode)
    calls: dict[str, int] = {}
    for row in edges.iter_rows(named=True):
        for name in (row["source"], row["target"]):
            calls[name] = calls.get(name, 0) + row["calls"]
    kept = set(sorted(calls, key=lambda n: (-calls[n], n))[:NODES_MAX])
    shown = [r for r in edges.iter_rows(named=True) if r["source"] in kept and r["target"] in kept]
    column = columns_of([(r["source"], r["target"]) for r in shown])
    places = places_of([(r["source"], r["target"]) for r in shown], column, calls)
    wide = max(column.values())
    tall = max(abs(y) for _, y in places.values())
    written: list[tuple[float, float]] = []

    def has_room(x: float, y: float) -> bool:
        near_x, near_y = RATE_WIDE * (wide + 0.1), RATE_TALL * (2 * tall + 1.5)
        if any(abs(x - at[0]) < near_x and abs(y - at[1]) < near_y for at in written):
            return False
        written.append((x, y))
        return True

    # Names stand beside the first and the last column, in pixels: a phone has room for them, too.
    beside = {
        side: _room([fmt.for_plotly(n, NAME_CHARS) for n, c in column.items() if (c == 0) == first])
        for side, first in (("l", True), ("r", False))
    }
    margin = {"t": 8, "b": 8, **beside}
    fig = figure(mode, hovermode="closest", showlegend=False, dragmode="pan", margin=margin)
    most = max(r["calls"] for r in shown)
    for row in sorted(shown, key=lambda r: -r["calls"]):
        (x0, y0), (x1, y1) = places[row["source"]], places[row["target"]]
        x, y = x0 * 0.2 + x1 * 0.8, y0 * 0.2 + y1 * 0.8  # lines lie apart there
        failing = (row["errors"] or 0) / row["calls"]
        colour = t.bad if failing >= 0.05 else t.warn if failing >= 0.01 else rgba(SERIES[0], 0.45)
        fig.add(
            "scatter",
            x=[x0, x1],
            y=[y0, y1],
            mode="lines",
            hoverinfo="skip",
            line={"width": 1 + 4 * math.sqrt(row["calls"] / most), "color": colour},
        )
        fig.add(
            "scatter",
            x=[x],
            y=[y],
            mode="markers+text" if has_room(x, y) else "markers",
            text=[fmt.rate(row["calls"] / seconds)],
            textposition="top center",
            textfont={"size": 10.5, "color": t.muted},
            marker={"size": 9, "color": colour},
            hovertemplate=(
                f"{fmt.for_plotly(row['source'], 40)} → {fmt.for_plotly(row['target'], 40)}<br>"
                f"{fmt.count(row['calls'])} calls, {fmt.percent(failing)} failed, "
                f"p95 {fmt.milliseconds(row['p95_ms'])}<extra></extra>"
            ),
        )
    names = list(places)
    top = max(calls[n] for n in names)
    fig.add(
        "scatter",
        x=[places[n][0] for n in names],
        y=[places[n][1] for n in names],
        mode="markers+text",
        text=[f"  {fmt.for_plotly(n, NAME_CHARS)}  " for n in names],
        textposition=["middle left" if column[n] == 0 else "middle right" for n in names],
        textfont={"size": 11.5, "color": t.text},
        marker={
            "size": [14 + 16 * math.sqrt(calls[n] / top) for n in names],
            "color": t.surface,
            "opacity": 1,  # many sizes are see-through otherwise
            "line": {"width": 2, "color": t.accent},
        },
        customdata=names,
        hovertemplate="%{text}<br>a click shows its traces<extra></extra>",
        cliponaxis=False,
    )
    fig.update_axis("xaxis", visible=False, range=[-0.05, wide + 0.05])
    fig.update_axis("yaxis", visible=False, range=[-tall - 0.8, tall + 0.7])
    return fig
