"""Panels that are charts: over time, and heat-maps. Pure: answer in, figure out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl

from analytics.measures import MEASURES
from dashboards import format as fmt
from dashboards.custom.answer import Answer, formatter, label
from dashboards.custom.definition import Panel
from dashboards.custom.limits import GROUPS_MAX
from dashboards.custom.look import Look, empty_text, group_name
from dashboards.figures.base import Figure, TimeAxis, message
from dashboards.figures.heatmap import latency_heatmap
from dashboards.figures.matrix import matrix
from dashboards.figures.points import Points, point_chart
from dashboards.figures.series import OTHERS_NAME, Line, overlaid, stacked
from dashboards.theme import OTHERS, QUANTILES, SERIES, tokens

_ADDS_UP = ("requests", "requests/s", "By", "By/s")
"""Units of measures whose groups may be summed up as 'others'."""


def time_series(panel: Panel, answer: Answer, look: Look) -> Figure:
    empty = empty_text(panel, look.view)
    if answer.time is None:
        return message("A chart over time needs a column of times.", look.mode)
    if not answer.values:
        return message("There is no column of numbers to draw.", look.mode)
    form = formatter(panel, answer.values[0])
    if answer.interval_s is None:
        fig = point_chart(_points(answer, look), look.axis, panel.style, form, empty=empty)
    else:
        lines = [line for name in answer.values for line in group_lines(panel, answer, name, look)]
        if panel.style == "lines":
            fig = overlaid(lines, look.axis, form, empty=empty, legend=len(lines) > 1)
        elif panel.style == "areas":
            fig = stacked(lines, look.axis, form, empty=empty)
        else:
            times = look.axis.times()
            bars = [Points(line.name, times, line.values, line.colour) for line in lines]
            fig = point_chart(bars, look.axis, "bars", form, empty=empty)
    return with_thresholds(fig, panel, look)


def with_thresholds(fig: Figure, panel: Panel, look: Look) -> Figure:
    """A dotted line at each threshold; one far above what is measured is not drawn."""
    shown = fig.layout.get("yaxis", {}).get("range")
    if not panel.thresholds or not shown or "annotations" in fig.layout:
        return fig
    colours = tokens(look.mode)
    near = [step for step in panel.thresholds if step.at <= shown[1] * 2]
    top = max([shown[1], *(step.at * 1.08 for step in near)])
    fig.layout["shapes"] = [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": step.at,
            "y1": step.at,
            "layer": "above",
            "line": {"width": 1, "dash": "dot", "color": getattr(colours, step.tone)},
        }
        for step in near
    ]
    fig.update_axis("yaxis", range=[shown[0], top])
    return fig


def heatmap(panel: Panel, answer: Answer, look: Look) -> Figure:
    empty = empty_text(panel, look.view)
    if answer.spread:
        return latency_heatmap(answer.frame, look.axis, empty=empty)
    if not answer.values:
        return message("There is no column of numbers to draw.", look.mode)
    value = answer.values[0]
    form = formatter(panel, value)
    if answer.interval_s is not None and answer.names:
        rows = top_groups(answer, panel.source.limit)
        cells: dict[tuple[str, str | datetime], float | None] = {
            (line.name, time): v
            for line in group_lines(panel, answer, value, look)
            if line.name in rows
            for time, v in zip(look.axis.times(), line.values, strict=True)
        }
        return matrix(cells, rows, look.axis, form, look.mode, empty=empty)
    if len(answer.names) < 2 and not (answer.names and answer.time):
        return message("A heat-map needs two columns of names, or names and times.", look.mode)
    row, column = (*answer.names[:1], answer.time or answer.names[1])
    found: dict[tuple[str, str | datetime], float | None] = {}
    totals: dict[int, dict[str, float]] = {0: {}, 1: {}}
    for r, c, v in answer.frame.select(row, column, value).iter_rows():
        key = (_text(r), _text(c))
        found[key] = None if v is None else float(v) + (found.get(key) or 0.0)
        for side, name in enumerate(key):
            totals[side][name] = totals[side].get(name, 0.0) + float(v or 0.0)
    limit = panel.source.limit
    order = [_largest_first(t) for t in totals.values()]
    columns = sorted(totals[1]) if answer.time else order[1][:limit]
    return matrix(found, order[0][:limit], columns[:GROUPS_MAX], form, look.mode, empty=empty)


def top_groups(answer: Answer, limit: int) -> list[str]:
    """Names of the groups with most requests (or, of SQL, the largest first value)."""
    if answer.frame.is_empty():
        return []
    by = "#" if "#" in answer.frame.columns else answer.values[0]
    ranked = (
        answer.frame.group_by(list(answer.names))
        .agg(pl.col(by).sum())
        .sort([by, *answer.names], descending=[True, *(False for _ in answer.names)])
    )
    return [group_name(row, answer.names) for row in ranked.head(limit).iter_rows(named=True)]


def group_lines(panel: Panel, answer: Answer, value: str, look: Look) -> list[Line]:
    """One line per group of one measure on the axis's grid; the rest as 'others' where it adds
    up."""
    measure, axis = MEASURES[value], look.axis
    if not answer.names:
        cells = {("", t): v for t, v in answer.frame.select("time", value).iter_rows()}
        colour = QUANTILES.get(value) or SERIES[answer.values.index(value) % len(SERIES)]
        return [Line(label(value), _on_axis(cells, "", value, axis), colour)]
    shown = top_groups(answer, panel.source.limit)
    look.learn(answer.names, shown)
    wanted, adds_up = set(shown), measure.unit in _ADDS_UP
    cells = {}
    rest = False
    for row in answer.frame.iter_rows(named=True):
        name = group_name(row, answer.names)
        if name not in wanted:
            if not adds_up:
                continue
            name, rest = "", True
        if row[value] is not None:
            key = (name, row["time"])
            cells[key] = cells.get(key, 0.0) + row[value]
    colour_of = look.colour(answer.names)
    several = len(answer.values) > 1
    lines = [
        Line(
            f"{name} {label(value)}" if several else name,
            _on_axis(cells, name, value, axis),
            colour_of(name),
        )
        for name in shown
    ]
    if rest:
        lines.append(Line(OTHERS_NAME, _on_axis(cells, "", value, axis), OTHERS))
    return lines


def _on_axis(
    cells: dict[tuple[str, datetime], float], name: str, value: str, axis: TimeAxis
) -> list[float | None]:
    """No request is 0 for what counts, and a gap for a rate or a time. Per second counts by the
    seconds that were measured, so that the ends of a line do not dip."""
    measure = MEASURES[value]
    out: list[float | None] = []
    for time in axis.times():
        if not axis.measured(time):
            out.append(None)
            continue
        found = cells.get((name, time))
        if found is None and measure.zero_when_idle:
            found = 0.0
        if found is not None and measure.unit.endswith("/s"):
            found = found * axis.interval_s / axis.covered_s(time)
        out.append(found)
    return out


def _points(answer: Answer, look: Look) -> list[Points]:
    """Series of a SQL answer: a column of numbers each, or one per name."""
    assert answer.time is not None
    rows = answer.frame.drop_nulls(answer.time).sort(answer.time)
    if not answer.names:
        return [
            Points(
                fmt.plain(name, 60),
                rows[answer.time].to_list(),
                _floats(rows[name]),
                QUANTILES.get(name) or SERIES[i % len(SERIES)],
            )
            for i, name in enumerate(answer.values[: len(SERIES)])
        ]
    shown = top_groups(answer, GROUPS_MAX)[:20]
    look.learn(answer.names, shown)
    colour = look.colour(answer.names)
    out = []
    for _, part in rows.group_by(list(answer.names), maintain_order=True):
        name = group_name(part.row(0, named=True), answer.names)
        if name in shown:
            out.append(
                Points(
                    name,
                    part[answer.time].to_list(),
                    _floats(part[answer.values[0]]),
                    colour(name),
                )
            )
    return sorted(out, key=lambda p: shown.index(p.name))


def _largest_first(totals: dict[str, float]) -> list[str]:
    return sorted(totals, key=lambda name: (-totals[name], name))


def _floats(column: pl.Series) -> list[float | None]:
    values: Sequence[Any] = column.cast(pl.Float64, strict=False).to_list()
    return [None if v is None or v != v or abs(v) == float("inf") else v for v in values]


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%d %b %H:%M}"
    return "(none)" if value is None else str(value)
