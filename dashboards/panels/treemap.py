"""Areas by size, squarified (Bruls, Huizing, van Wijk 2000), as links in plain HTML.

The vendored Plotly bundle has no treemap, and a link per area is worth more than a drawing: it can
be reached by keyboard, opened in a new tab and read aloud.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dash import html

from dashboards import format as fmt
from dashboards.components import Component, page_link
from dashboards.theme import rgba

LEAST = 1e-9
"""Share of all sizes from which an area is drawn."""


@dataclass(frozen=True, slots=True)
class Rect:
    """In percent of the whole; `index` into the input."""

    index: int
    left: float
    top: float
    width: float
    height: float


def squarify(sizes: Sequence[float], *, width: float = 100.0, height: float = 100.0) -> list[Rect]:
    """A rectangle per positive size, areas in proportion, as square as the order (largest first)
    allows. Sizes under a billionth of all, and below 0, have none: nobody could see them."""
    total = sum(s for s in sizes if s > 0)
    if total <= 0:
        return []
    scale = width * height / total
    seen = [i for i, s in enumerate(sizes) if s > LEAST * total]
    left = sorted(seen, key=lambda i: (-sizes[i], i))
    found: list[Rect] = []
    x, y, w, h = 0.0, 0.0, width, height
    while left:
        side = min(w, h)
        row: list[int] = []
        area = 0.0
        while left:
            size = sizes[left[0]] * scale
            if row and _worst([*row, left[0]], sizes, scale, area + size, side) > _worst(
                row, sizes, scale, area, side
            ):
                break
            row.append(left.pop(0))
            area += size
        depth = area / side if side > 0 else 0.0
        along = 0.0
        for index in row:
            part = sizes[index] * scale / depth if depth > 0 else 0.0
            if w >= h:
                found.append(Rect(index, x, y + along, depth, part))
            else:
                found.append(Rect(index, x + along, y, part, depth))
            along += part
        if w >= h:
            x, w = x + depth, w - depth
        else:
            y, h = y + depth, h - depth
    return found


def _worst(
    row: Sequence[int], sizes: Sequence[float], scale: float, area: float, side: float
) -> float:
    """The least square ratio of a row laid along a side."""
    if area <= 0 or side <= 0:
        return float("inf")
    largest, smallest = sizes[row[0]] * scale, sizes[row[-1]] * scale
    return max(side * side * largest / area**2, area**2 / (side * side * smallest))


@dataclass(frozen=True, slots=True)
class Area:
    """One area. `group` names what it belongs to; areas of one group stand together."""

    name: str
    group: str
    size: float
    text: str
    href: str
    colour: str


NAMED_FROM = 2.5
"""Percent of the whole from which an area carries its name; smaller ones tell it on hover."""


def treemap(areas: Sequence[Area], *, aspect: float = 4.0, empty: str) -> Component:
    """Groups side by side, their areas within. aspect: width by height of the place it gets."""
    groups: dict[str, list[Area]] = {}
    for area in areas:
        groups.setdefault(area.group, []).append(area)
    sizes = [sum(a.size for a in members) for members in groups.values()]
    total = sum(sizes)
    if total <= 0:
        return html.Div(empty, className="gl-none")
    boxes: list[Component] = []
    names = list(groups)
    for outer in squarify(sizes, width=100 * aspect):
        members = groups[names[outer.index]]
        boxes.append(
            html.Div(
                [
                    html.Span(fmt.plain(names[outer.index], 30), className="gl-tm-group"),
                    html.Div(_inner(members, outer, total), className="gl-tm-inner"),
                ],
                className="gl-tm-box",
                style=_style(outer, aspect),
            )
        )
    return html.Div(boxes, className="gl-treemap")


def _inner(members: Sequence[Area], outer: Rect, total: float) -> list[Component]:
    return [
        html.Div(
            page_link(
                [
                    html.Span(fmt.plain(members[r.index].name, 40)),
                    html.Span(members[r.index].text, className="gl-num"),
                ]
                if 100 * members[r.index].size / total >= NAMED_FROM
                else "",
                members[r.index].href,
                "gl-tm-area",
                name=f"{fmt.plain(members[r.index].name, 80)}: {members[r.index].text}",
            ),
            style={
                **_style(r, outer.width / outer.height),
                "background": rgba(members[r.index].colour, 0.34),
            },
            title=f"{fmt.plain(members[r.index].name, 80)}: {members[r.index].text}",
        )
        for r in squarify([m.size for m in members], width=100 * outer.width / outer.height)
    ]


def _style(rect: Rect, aspect: float) -> dict[str, str]:
    return {
        "position": "absolute",
        "left": f"{rect.left / aspect:.3f}%",
        "top": f"{rect.top:.3f}%",
        "width": f"{rect.width / aspect:.3f}%",
        "height": f"{rect.height:.3f}%",
    }
