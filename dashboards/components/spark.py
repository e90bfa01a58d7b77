"""Small lines in cards and tables, as inline images."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from dash import html

from dashboards.components.base import Component
from dashboards.theme import rgba


def sparkline(
    values: Sequence[float | None], colour: str, *, height: int = 30, className: str = "gl-spark"
) -> Component:
    """A small line as an inline image; gaps stay gaps. Decoration: hidden from screen readers."""
    return html.Img(
        src="data:image/svg+xml," + quote(spark_svg(values, colour, height=height)),
        className=className,
        alt="",
    )


def spark_svg(
    values: Sequence[float | None], colour: str, *, width: int = 240, height: int = 30
) -> str:
    top = max((v for v in values if v is not None), default=0.0) or 1.0
    step = width / max(1, len(values) - 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((index * step, height - 2 - (height - 5) * max(0.0, value) / top))
    shapes = []
    for run in filter(None, runs):
        if len(run) == 1:  # measured between two gaps: a dash
            ((x, y),) = run
            run = [(x - 1, y), (x + 1, y)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in run)
        area = f"{run[0][0]:.1f},{height} {line} {run[-1][0]:.1f},{height}"
        shapes.append(
            f'<polygon points="{area}" fill="{rgba(colour, 0.13)}"/>'
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.4" '
            'vector-effect="non-scaling-stroke" stroke-linejoin="round"/>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'preserveAspectRatio="none">{"".join(shapes)}</svg>'
    )
