"""Latency of entry spans over time, and what is different about a box drawn on it.

The box is kept in the URL as `box=<from>,<to>,<row>,<row>`: times as the chart names them, rows of
the heat-map (figures/heatmap.py). What is in it is compared with everything else in the view.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl
from dash import html

from dashboards import format as fmt
from dashboards.components import Component, Head, number, share_bar, table
from dashboards.figures.base import Figure, TimeAxis
from dashboards.figures.heatmap import row_ms
from dashboards.theme import OTHERS, SERIES

SAMPLED_SPANS_MAX = 60_000
"""Entry spans compared; the newest of the view. Beyond, older ones are left out."""

ENTRY = """
time >= $start
  AND time < $end
  AND duration_ns IS NOT NULL
  AND ($environment IS NULL OR environment = $environment)
  AND CASE
      WHEN $service IS NULL AND $whole THEN parent_span_id IS NULL
      ELSE ($service IS NULL OR service_name = $service) AND kind IN ('SERVER', 'CONSUMER')
  END
"""
"""Spans that begin work: roots of traces; of one service, and where roots may belong to services
the asker does not see (`$whole` is false), what services were asked."""

HEAT = f"""
SELECT
    epoch_us(time) // 3600000000 AS stored_hour,
    time_bucket(to_seconds($step), time) AS time,
    latency_bucket(duration_ns / 1e6) AS bucket,
    count(*) AS requests,
    count(*) FILTER (WHERE status = 'ERROR') AS errors
FROM spans
WHERE {ENTRY}
GROUP BY ALL
"""  # noqa: S608 - constants of ours

DIFFERENT = f"""
WITH entry AS (
    SELECT
        time >= $box_start AND time < $box_end
            AND duration_ns >= $low_ns AND duration_ns < $high_ns AS inside,
        map_concat(
            attributes,
            MAP {{
                'span name': name,
                'service': service_name,
                'version': service_version,
                'status': status
            }}
        ) AS facts
    FROM spans
    WHERE {ENTRY}
    ORDER BY time DESC
    LIMIT {SAMPLED_SPANS_MAX}
),
total AS (
    SELECT
        count(*) FILTER (WHERE inside) AS inside,
        count(*) FILTER (WHERE NOT inside) AS outside
    FROM entry
),
fact AS (
    SELECT inside, unnest(map_entries(facts)) AS pair
    FROM entry
)
SELECT
    pair.key AS attribute,
    pair.value AS value,
    count(*) FILTER (WHERE fact.inside) AS spans,
    count(*) FILTER (WHERE fact.inside) / greatest(any_value(total.inside), 1) AS share_inside,
    count(*) FILTER (WHERE NOT fact.inside) / greatest(any_value(total.outside), 1) AS share_outside
FROM fact, total
WHERE pair.value IS NOT NULL
GROUP BY pair.key, pair.value
HAVING count(*) FILTER (WHERE fact.inside) >= greatest(2, 0.02 * any_value(total.inside))
ORDER BY share_inside - share_outside DESC, spans DESC
LIMIT 14
"""  # noqa: S608 - constants of ours


@dataclass(frozen=True, slots=True)
class Box:
    """What was drawn: `start` <= time < `end`, and from `low` to `high` rows of the heat-map."""

    start: datetime
    end: datetime
    low: float
    high: float

    @property
    def low_ns(self) -> int:
        return int(row_ms(self.low + 0.5) * 1e6)

    @property
    def high_ns(self) -> int:
        return int(row_ms(self.high + 0.5) * 1e6)

    def text(self) -> str:
        low, high = fmt.milliseconds(self.low_ns / 1e6), fmt.milliseconds(self.high_ns / 1e6)
        start, end = fmt.local(self.start), fmt.local(self.end)
        return f"{low} – {high}, {start:%H:%M:%S} – {end:%H:%M:%S} {fmt.zone_name()}"


def parse_box(text: str | None) -> Box | None:
    """Hostile input: anything that is no box gives None."""
    parts = (text or "").split(",")
    try:
        start, end = (datetime.fromisoformat(p[:19]).replace(tzinfo=UTC) for p in parts[:2])
        low, high = (float(p) for p in parts[2:4])
    except ValueError:
        return None
    if not (start < end and -400 < low < high < 400):
        return None
    return Box(start, end, low, high)


def draw_box(fig: Figure, box: Box | None, axis: TimeAxis, colour: str) -> None:
    """Outline the box, and let dragging draw a new one in both directions."""
    fig.update_axis("yaxis", fixedrange=False)
    fig.layout["uirevision"] = str(box)
    if box is not None:
        fig.layout["shapes"] = [
            {
                "type": "rect",
                "x0": axis.shown(box.start),
                "x1": axis.shown(box.end),
                "y0": box.low,
                "y1": box.high,
                "line": {"color": colour, "width": 1.5, "dash": "dot"},
            }
        ]


def different_table(rows: pl.DataFrame) -> Component:
    lines = [[_fact(row), *_shares(row)] for row in rows.iter_rows(named=True)]
    heads = (
        Head("Attribute"),
        Head("In the box", width="19%"),
        Head("", True, width="17%"),
        Head("Elsewhere", True, width="20%"),
    )
    return table(heads, lines, empty="No span lies in the box.")


def _fact(row: dict[str, Any]) -> Component:
    return html.Span(
        [
            html.Span(f"{fmt.plain(row['attribute'], 40)} ", className="gl-when"),
            html.Span(fmt.plain(row["value"], 46), title=fmt.plain(row["value"], 300)),
        ],
        className="gl-mono gl-fact",
    )


def _shares(row: dict[str, Any]) -> list[Component]:
    grown = row["share_inside"] - row["share_outside"]
    colour = SERIES[1] if grown > 0.1 else OTHERS
    return [
        share_bar(row["share_inside"], colour),
        number(fmt.percent(row["share_inside"]), row["share_inside"]),
        number(fmt.percent(row["share_outside"]), row["share_outside"], tone="muted"),
    ]
