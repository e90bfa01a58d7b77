"""One trace as rows of the waterfall, and two traces as a table of what differs."""

from __future__ import annotations

from typing import Any

import polars as pl
from dash import html

from analytics.critical_path import TimedSpan, critical_path
from dashboards import format as fmt
from dashboards.components import Component, Head, dot, number, table
from dashboards.data import Data
from dashboards.panels.waterfall import Span, place
from dashboards.view import View

OPERATIONS_SHOWN = 25
LEAST_DIFF_MS = 0.01


def timed(spans: pl.DataFrame) -> list[TimedSpan]:
    return [
        TimedSpan(
            s["span_id"] or "",
            s["parent_span_id"],
            s["start_time_unix_nano"] or 0,
            s["duration_ns"] or 0,
        )
        for s in spans.iter_rows(named=True)
    ]


def waterfall_rows(spans: pl.DataFrame, data: Data) -> list[dict[str, Any]]:
    """A row per span. `path` in percent of the trace: how much of it the critical path spends in
    the span itself; 0 = off the path."""
    found = list(spans.iter_rows(named=True))
    own = timed(spans)
    path = critical_path(own)
    whole = sum(path.values()) or 1
    placed = place([Span(s.span_id, s.parent_id, s.start_ns, s.duration_ns) for s in own])
    rows = []
    for spot in placed:
        span = found[spot.index]
        detail = " · ".join(
            part for part in (span["kind"], span["status_message"], span["attributes"]) if part
        )
        on_path = path.get(spot.index, 0) / whole
        rows.append(
            {
                "id": str(spot.index),
                "name": fmt.plain(span["name"], 120),
                "service": fmt.plain(span["service_name"], 60),
                "depth": spot.depth,
                "left": spot.left,
                "width": spot.width,
                "colour": data.service_colours.colour(span["service_name"]),
                "error": span["status"] == "ERROR",
                "critical": spot.index in path,
                "path": on_path,
                "path_text": fmt.percent(on_path) if spot.index in path else "",
                "path_tone": "" if on_path >= 0.1 else "muted",
                "duration": fmt.milliseconds((span["duration_ns"] or 0) / 1e6),
                "detail": fmt.plain(detail, 600),
                "open": f"span={fmt.url_part(span['span_id'] or '')}",
            }
        )
    return rows


def summary(spans: pl.DataFrame, view: View, shown_max: int) -> str:
    if spans.is_empty():
        return f"No span of this trace is stored within a day of: {view.label}."
    ends: list[int] = (spans["start_time_unix_nano"] + spans["duration_ns"]).to_list()
    took = fmt.milliseconds((max(ends) - min(spans["start_time_unix_nano"].to_list())) / 1e6)
    services = spans["service_name"].n_unique()
    failed = spans.filter(pl.col("status") == "ERROR").height
    text = f"{spans.height} spans · {services} services · {took}"
    if failed:
        text += f" · {failed} failed"
    if spans.height == shown_max:
        text += f" · the first {shown_max} are shown"
    return text


def comparison_table(rows: pl.DataFrame, data: Data) -> Component:
    """rows: as analytics.trace_compare gives them."""
    lines = [
        [
            html.Span(
                [
                    dot(data.service_colours.colour(row["service_name"])),
                    html.Span(fmt.plain(row["name"], 60), className="gl-name"),
                    html.Span(fmt.plain(row["service_name"], 40), className="gl-when"),
                ],
                className="gl-api",
            ),
            number(fmt.whole(row["spans"]), row["spans"]),
            number(fmt.whole(row["spans_there"]), row["spans_there"], tone="muted"),
            number(fmt.milliseconds(row["self_ms"]), row["self_ms"]),
            number(fmt.milliseconds(row["self_ms_there"]), row["self_ms_there"], tone="muted"),
            number(
                ("+" if row["diff_ms"] > 0 else "") + fmt.milliseconds(row["diff_ms"]),
                row["diff_ms"],
                tone="bad" if row["diff_ms"] > LEAST_DIFF_MS else "good",
            ),
            number(
                f"{row['errors']} / {row['errors_there']}",
                row["errors"],
                tone="bad" if row["errors"] > row["errors_there"] else "muted",
            ),
        ]
        for row in rows.head(OPERATIONS_SHOWN).iter_rows(named=True)
    ]
    heads = (
        Head("Operation"),
        Head("Spans here", True),
        Head("there", True),
        Head("Own time here", True),
        Head("there", True),
        Head("Difference", True),
        Head("Failed here / there", True),
    )
    return table(heads, lines, empty="The other trace has no span within a day of this range.")
