"""Where the rectangles of a treemap go: squarified, so that none is a sliver when it need not be.

Drawn as plain HTML (dashboards/custom/draw_areas.py): the vendored chart library has no treemap.
Source: Bruls, Huizing and van Wijk, Squarified Treemaps (2000), section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A part of the whole, in shares of its width and height from the top left; `index` of the
    value it stands for."""

    index: int
    x: float
    y: float
    w: float
    h: float


def squarify(values: Sequence[float], aspect: float = 2.0) -> list[Rectangle]:
    """Rectangles with areas in proportion to the values, largest first.

    aspect: width / height of the whole. Values of 0 and less get none.
    """
    order = sorted((i for i, v in enumerate(values) if v > 0), key=lambda i: -values[i])
    total = sum(values[i] for i in order)
    if not order or aspect <= 0:
        return []
    # In units where the height is 1, so that shapes are judged as they are seen.
    scale = aspect / total
    x, y, width, height = 0.0, 0.0, aspect, 1.0
    out: list[Rectangle] = []
    at = 0
    while at < len(order):
        side = min(width, height)
        row = [order[at]]
        while at + len(row) < len(order):
            wider = [*row, order[at + len(row)]]
            areas, more = [values[i] * scale for i in row], [values[i] * scale for i in wider]
            if _worst(more, side) > _worst(areas, side):
                break
            row = wider
        thickness = sum(values[i] * scale for i in row) / side
        along = 0.0
        for index in row:
            length = values[index] * scale / thickness
            if width >= height:
                rect = (x, y + along, thickness, length)
            else:
                rect = (x + along, y, length, thickness)
            out.append(Rectangle(index, rect[0] / aspect, rect[1], rect[2] / aspect, rect[3]))
            along += length
        if width >= height:
            x, width = x + thickness, width - thickness
        else:
            y, height = y + thickness, height - thickness
        at += len(row)
    return out


def _worst(areas: Sequence[float], side: float) -> float:
    """The most stretched rectangle of a row along `side`: 1 = a square."""
    total = sum(areas)
    return max(
        side * side * max(areas) / (total * total), total * total / (side * side * min(areas))
    )
