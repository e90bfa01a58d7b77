"""Charts of a report, drawn as vectors on a PDF page: columns, lines, ranking bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import Flowable, Paragraph

from analytics.report_content import Chart

COLOURS = ("#2463d6", "#d92d20", "#0e9384", "#b54708")
GRID, TEXT = "#e4e7ec", "#667085"

_HEIGHT = 118.0
_BAR_STEP = 16.0
_LEFT = 44.0
"""Room for the numbers of the axis, points."""
_SIZE = 7.5


class ChartFlowable(Flowable):
    """One chart, as wide as told. `draw_text` turns a name into paragraph markup."""

    def __init__(
        self, chart: Chart, width: float, font: str, *, draw_text: Callable[[str], str]
    ) -> None:
        super().__init__()
        self.chart = chart
        self.width = width
        self.font = font
        self.draw_text = draw_text
        bars = chart.kind == "bars"
        self.height = _BAR_STEP * len(chart.labels) if bars else _HEIGHT

    def wrap(self, _width: float, _height: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        if self.chart.kind == "bars":
            self._draw_bars()
        else:
            self._draw_over_time()

    def _draw_bars(self) -> None:
        values = [value or 0.0 for value in self.chart.series[0][1]]
        left, right = self.width * 0.3, 60.0
        room = self.width - left - right
        longest = max([*values, 1.0])
        for index, (label, value) in enumerate(zip(self.chart.labels, values, strict=True)):
            y = self.height - (index + 1) * _BAR_STEP
            self._text(label, 0, y + 3, left - 8)
            self.canv.setFillColor(HexColor(COLOURS[0]))
            self.canv.rect(left, y + 3, max(1.0, room * value / longest), 9, stroke=0, fill=1)
            self._number(left + room * value / longest + 5, y + 4.5, f"{value:,.0f}")

    def _text(self, text: str, x: float, y: float, width: float) -> None:
        """One line, cut to its width with an ellipsis."""
        style = ParagraphStyle("bar", fontName=self.font, fontSize=8, leading=10)
        shown = text
        while True:
            paragraph = Paragraph(self.draw_text(shown), style)
            _, height = paragraph.wrap(width, 100)
            if height <= 10 or len(shown) <= 2:
                break
            shown = shown[: max(1, int(len(shown) * 0.85) - 1)] + "…"
        paragraph.drawOn(self.canv, x, y)

    def _number(self, x: float, y: float, text: str) -> None:
        self.canv.setFillColor(HexColor(TEXT))
        self.canv.setFont(self.font, _SIZE)
        self.canv.drawString(x, y, text)

    def _draw_over_time(self) -> None:
        top, bottom = self.height - 16, 14.0
        highest = self._highest()
        step = nice_step(highest / 4)
        ceiling = max(step, math.ceil(highest / step) * step)

        def y_of(value: float) -> float:
            return bottom + (top - bottom) * value / ceiling

        self._grid(step, ceiling, y_of)
        self._labels(bottom)
        self._legend()
        if self.chart.kind == "columns":
            self._columns(y_of)
        else:
            self._lines(y_of)

    def _highest(self) -> float:
        columns = zip(*(values for _, values in self.chart.series), strict=True)
        if self.chart.kind == "columns":
            return max((sum(v or 0.0 for v in column) for column in columns), default=0.0)
        return max((v or 0.0 for column in columns for v in column), default=0.0)

    def _grid(self, step: float, ceiling: float, y_of: Callable[[float], float]) -> None:
        self.canv.setFont(self.font, _SIZE)
        self.canv.setLineWidth(0.4)
        for index in range(round(ceiling / step) + 1):
            y = y_of(index * step)
            self.canv.setStrokeColor(HexColor(GRID))
            self.canv.line(_LEFT, y, self.width, y)
            self.canv.setFillColor(HexColor(TEXT))
            self.canv.drawRightString(_LEFT - 5, y - 2.5, axis_text(index * step))

    def _labels(self, bottom: float) -> None:
        labels = self.chart.labels
        every = max(1, math.ceil(len(labels) / 12))
        self.canv.setFillColor(HexColor(TEXT))
        for index, label in enumerate(labels):
            if index % every == 0:
                self.canv.drawCentredString(self._x(index), bottom - 10, label)

    def _legend(self) -> None:
        x = _LEFT
        for (name, _), colour in zip(self.chart.series, COLOURS, strict=False):
            self.canv.setFillColor(HexColor(colour))
            self.canv.rect(x, self.height - 7, 7, 7, stroke=0, fill=1)
            self._number(x + 10, self.height - 6.5, name)
            x += 22 + self.canv.stringWidth(name, self.font, _SIZE)
        self._number(x, self.height - 6.5, f"({self.chart.unit})")

    def _x(self, index: int) -> float:
        """Middle of a label's slot."""
        slot = (self.width - _LEFT) / len(self.chart.labels)
        return _LEFT + (index + 0.5) * slot

    def _columns(self, y_of: Callable[[float], float]) -> None:
        slot = (self.width - _LEFT) / len(self.chart.labels)
        wide = min(slot * 0.72, 22.0)
        for index in range(len(self.chart.labels)):
            below = 0.0
            for (_, values), colour in zip(self.chart.series, COLOURS, strict=False):
                value = values[index] or 0.0
                if value > 0:
                    x, y = self._x(index) - wide / 2, y_of(below)
                    self.canv.setFillColor(HexColor(colour))
                    self.canv.rect(x, y, wide, y_of(below + value) - y, stroke=0, fill=1)
                below += value

    def _lines(self, y_of: Callable[[float], float]) -> None:
        self.canv.setLineWidth(1.3)
        self.canv.setLineJoin(1)
        for (_, values), colour in zip(self.chart.series, COLOURS, strict=False):
            self.canv.setStrokeColor(HexColor(colour))
            self.canv.setFillColor(HexColor(colour))
            for run in runs_of(values):
                points = [(self._x(i), y_of(values[i] or 0.0)) for i in run]
                if len(points) == 1:
                    self.canv.circle(*points[0], 1.4, stroke=0, fill=1)
                    continue
                path = self.canv.beginPath()
                path.moveTo(*points[0])
                for point in points[1:]:
                    path.lineTo(*point)
                self.canv.drawPath(path)


def runs_of(values: Sequence[float | None]) -> list[range]:
    """Stretches of indexes without a gap: a line is not drawn over what was not measured."""
    runs: list[range] = []
    for index, value in enumerate(values):
        if value is None:
            continue
        if runs and runs[-1].stop == index:
            runs[-1] = range(runs[-1].start, index + 1)
        else:
            runs.append(range(index, index + 1))
    return runs


def nice_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, not below `rough`; 1 for zero."""
    if rough <= 0 or not math.isfinite(rough):
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))


def axis_text(value: float) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"
