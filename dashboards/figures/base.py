"""What charts over time share: grid, rates of unfinished intervals, axes, empty state."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dashboards.format import Formatter, for_plotly
from dashboards.theme import Mode, template, tokens

Span = tuple[datetime, datetime]

LEAST_COVERED = 0.34
"""An interval of which less than this share was measured yet is not drawn: too few to mean much."""


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """The span a chart covers. `measured_until`: later is unknown, not zero; None = up to `end`."""

    start: datetime
    end: datetime
    interval_s: int
    mode: Mode = "dark"
    measured_until: datetime | None = None
    zone: ZoneInfo = ZoneInfo("UTC")
    """Of the reader: Plotly knows no zones, so it is given wall times."""
    gaps: tuple[Span, ...] = ()
    """Spans whose requests are not counted yet: unknown, not zero."""
    measured_from: datetime | None = None
    """Where the installation's data begins: what was earlier is unknown, not zero. None = before
    `start`."""
    outages: tuple[Span, ...] = ()
    """Spans in which no collector took data, in order, without overlap. An interval that lies
    within one is unknown, not zero, unless something came of it all the same: see `with_data`."""

    def shown(self, time: datetime) -> datetime:
        """What Plotly is given for a moment: the wall time of the zone."""
        if self.zone.key == "UTC":
            return time
        return time.astimezone(self.zone).replace(tzinfo=None)

    def times(self) -> list[datetime]:
        """Starts of the intervals, aligned to the epoch, the first may begin before `start`."""
        first = int(self.start.timestamp() // self.interval_s) * self.interval_s
        last = math.ceil(self.end.timestamp())
        return [datetime.fromtimestamp(t, UTC) for t in range(first, last, self.interval_s)]

    def covered_s(self, time: datetime) -> float:
        """Seconds of the interval starting at `time` that lie in the range and were measured."""
        until = min(self.end, self.measured_until or self.end)
        begin = max(time, self.start, self.measured_from or self.start)
        finish = min(time + timedelta(seconds=self.interval_s), until)
        return max(0.0, (finish - begin).total_seconds())

    def with_data(self, times: Iterable[datetime]) -> TimeAxis:
        """The same axis, when something came of the intervals that start at `times`, imported or
        sent later: they are cut out of the outages."""
        if not self.outages:
            return self
        step, known = timedelta(seconds=self.interval_s), sorted(times)
        left: list[Span] = []
        for start, end in self.outages:
            at = start
            for time in known[bisect_right(known, start - step) : bisect_left(known, end)]:
                if time > at:
                    left.append((at, time))
                at = max(at, time + step)
            if at < end:
                left.append((at, end))
        return replace(self, outages=tuple(left))

    def seconds(self) -> list[tuple[datetime, float | None]]:
        """`times()`, each with what `covered_s` says of it; None = not measured."""
        return [(t, self.covered_s(t) if self.measured(t) else None) for t in self.times()]

    def measured(self, time: datetime) -> bool:
        if self.covered_s(time) < self.interval_s * LEAST_COVERED:
            return False
        end = time + timedelta(seconds=self.interval_s)
        if any(start < end and time < until for start, until in self.gaps):
            return False
        begin, end = max(time, self.start), min(end, self.end)
        place = bisect_right(self.outages, begin, key=lambda outage: outage[0])
        return not (place and end <= self.outages[place - 1][1])


@dataclass(slots=True)
class Figure:
    """A plotly figure as plain data: `data` (traces) and `layout`, as plotly.js takes them.

    Plotly's own Figure validates every property: measured, 60 ms for the charts of one screen
    against 3 ms, on the event loop. The tests put every builder's result through it instead.
    """

    layout: dict[str, Any]
    data: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, **properties: Any) -> None:
        """Add a trace of a plotly.js type: scatter, bar, heatmap, treemap."""
        self.data.append({"type": kind, **properties})

    def to_plotly_json(self) -> dict[str, Any]:
        """Read by Dash when it answers."""
        return {"data": [_light(trace) for trace in self.data], "layout": self.layout}

    def update_axis(self, name: str, **properties: Any) -> None:
        self.layout[name] = {**self.layout.get(name, {}), **properties}


def _light(trace: dict[str, Any]) -> dict[str, Any]:
    """Moments as milliseconds: half the bytes, and the browser need not read dates (0.3 s of a
    screen with seven charts)."""
    x = trace.get("x")
    if not x or not isinstance(x[0], datetime):
        return trace
    return {**trace, "x": [wall_ms(at) if isinstance(at, datetime) else at for at in x]}


def wall_ms(at: datetime) -> int:
    """Milliseconds of a wall time since 1970, as Plotly counts them: it knows no zones."""
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def figure(mode: Mode, **layout: Any) -> Figure:
    """An empty figure in our look. `uirevision` keeps zoom and hidden series over refreshes."""
    return Figure({"template": template(mode), "uirevision": "keep", **layout})


def message(text: str, mode: Mode) -> Figure:
    """A sentence in place of a chart; never an empty frame."""
    return figure(
        mode,
        xaxis={"visible": False, "fixedrange": True},
        yaxis={"visible": False, "fixedrange": True},
        annotations=[
            {
                "text": for_plotly(text, 200),
                "showarrow": False,
                "xref": "paper",
                "yref": "paper",
                "x": 0.5,
                "y": 0.5,
                "font": {"size": 12.5, "color": tokens(mode).faint},
            }
        ],
    )


def nice_ticks(top: float, wanted: int = 4) -> list[float]:
    """Round tick values from 0 to at least `top`. A top of 0 gives [0, 1]."""
    if top <= 0 or not math.isfinite(top):
        return [0.0, 1.0]
    raw = top / wanted
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw * 0.999)
    return [round(step * i, 12) for i in range(math.ceil(top / step - 1e-9) + 1)]


def value_axis(fig: Figure, top: float, formatter: Formatter) -> None:
    """Label the y axis with our own number formats, and end it at a tick."""
    ticks = nice_ticks(top)
    fig.update_axis(
        "yaxis",
        tickmode="array",
        tickvals=ticks,
        ticktext=[formatter(t) for t in ticks],
        range=[0, ticks[-1]],
        fixedrange=True,
    )


def time_axis(fig: Figure, axis: TimeAxis) -> None:
    """The whole asked range, data or not, so that charts under each other line up. What is not
    counted yet, and when no collector took data, is covered and says so."""
    look = tokens(axis.mode)
    _cover(fig, axis, axis.gaps, look.surface, "being counted")
    _cover(fig, axis, axis.outages, look.hover, "no collector took data")
    if axis.zone.key != "UTC":
        for trace in fig.data:
            trace["x"] = [axis.shown(x) if isinstance(x, datetime) else x for x in trace["x"]]
    within_a_day = (axis.end - axis.start).total_seconds() <= 86_400
    hours = "%H:%M" if within_a_day else "%H:%M\n%d %b"
    fig.update_axis(
        "xaxis",
        type="date",
        range=[axis.shown(axis.start), axis.shown(axis.end)],
        hoverformat="%d %b %H:%M:%S" if axis.interval_s < 60 else "%d %b %H:%M",
        nticks=7,
        tickformatstops=[
            {"dtickrange": [None, 60_000], "value": "%H:%M:%S"},
            {"dtickrange": [60_000, 86_400_000], "value": hours},
            {"dtickrange": [86_400_000, None], "value": "%d %b"},
        ],
    )


def _cover(fig: Figure, axis: TimeAxis, spans: Sequence[Span], colour: str, text: str) -> None:
    """Areas are drawn on across what is not known: it is covered."""
    shapes, texts = [], []
    inside = [(max(s, axis.start), min(e, axis.end)) for s, e in spans]
    for start, end in ((s, e) for s, e in inside if s < e):
        shapes.append(
            {
                "type": "rect",
                "x0": axis.shown(start),
                "x1": axis.shown(end),
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "layer": "above",
                "line": {"width": 0},
                "fillcolor": colour,
            }
        )
        if (end - start) * 5 > axis.end - axis.start:
            texts.append(
                {
                    "x": axis.shown(start + (end - start) / 2),
                    "y": 0.5,
                    "yref": "paper",
                    "showarrow": False,
                    "text": text,
                    "font": {"size": 11, "color": tokens(axis.mode).faint},
                }
            )
    if shapes:
        fig.layout["shapes"] = [*fig.layout.get("shapes", []), *shapes]
        fig.layout["annotations"] = [*fig.layout.get("annotations", []), *texts]


def finite_max(*series: Sequence[float | None]) -> float:
    """Largest number in all series; 0 when there is none."""
    return max((v for values in series for v in values if v is not None), default=0.0)
