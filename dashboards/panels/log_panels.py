"""Facets and patterns of the logs screen."""

from __future__ import annotations

from datetime import datetime

import polars as pl
from dash import html

from analytics.log_patterns import Pattern
from dashboards import format as fmt
from dashboards.components import (
    Component,
    Head,
    attrs,
    badge,
    dot,
    number,
    share_bar,
    table,
    when,
)
from dashboards.data import Data
from dashboards.figures.severity import COLOURS, level
from dashboards.search_terms import with_term
from dashboards.theme import OTHERS

PATTERNS_SHOWN = 15
FACETS_SHOWN = 5
"""Attributes beside the services, those that tell records apart best."""

VALUES_SHOWN = 5
RARE = 3
"""A pattern that came no more often is marked: rare lines are where trouble hides."""


def by_service(counts: pl.DataFrame) -> pl.DataFrame:
    """Records per service, most first: value, logs. counts: as log_queries.COUNTS gives them."""
    told = counts.filter(pl.col("time").is_null()).group_by(pl.col("service_name").alias("value"))
    return told.agg(pl.col("logs").sum()).sort("logs", "value", descending=[True, False])


def facet_list(
    services: pl.DataFrame, rows: pl.DataFrame, typed: str | None, data: Data
) -> Component:
    """services: value, logs, of every record; rows: facet, value, logs, of the attributes of the
    newest FACET_ROWS_MAX. Most records first."""
    if services.is_empty():
        return html.Div("No log record matches.", className="gl-none")
    data.service_colours.learn(services["value"].to_list())
    parts = _facet("", services.head(2 * VALUES_SHOWN), typed, data)
    for facet in rows["facet"].unique(maintain_order=True).to_list()[:FACETS_SHOWN]:
        mine = rows.filter(pl.col("facet") == facet).head(VALUES_SHOWN)
        parts += _facet(str(facet), mine, typed, data)
    return html.Div(parts, className="gl-facets")


def _facet(facet: str, values: pl.DataFrame, typed: str | None, data: Data) -> list[Component]:
    """One attribute with its values; '' = the service."""
    most = max(values["logs"].to_list(), default=1) or 1
    head = html.H3(fmt.plain(facet or "service", 40), title=fmt.plain(facet, 200))
    lines = values.iter_rows(named=True)
    return [head, *(_value(facet, row, most, typed, data) for row in lines)]


def _value(
    facet: str, row: dict[str, object], most: int, typed: str | None, data: Data
) -> Component:
    value, logs = row["value"], int(str(row["logs"]))
    text = "(none)" if value is None else str(value)
    if facet:
        setting = f"q={fmt.url_part(with_term(typed, facet, text[:200]))}"
        colour = OTHERS
    else:
        setting = f"service={fmt.url_part('' if value is None else text)}"
        colour = data.service_colours.colour(text)
    return html.Button(
        [
            html.Span(fmt.plain(text, 40), className="gl-ellipsis"),
            share_bar(logs / most, colour),
            number(fmt.count(logs), logs),
        ],
        className="gl-line gl-cell-filter",
        type="button",
        title=fmt.plain(text, 300),
        **attrs({"data-gl-set": setting}),
    )


def patterns_table(found: list[Pattern], now: datetime) -> Component:
    total = sum(p.records for p in found) or 1
    lines = [
        [
            html.Span(
                [
                    dot(COLOURS[level(p.severity_number)]),
                    html.Span(fmt.plain(p.text, 140), className="gl-mono", title=p.text[:400]),
                    badge("rare", "accent") if p.records <= RARE else None,
                ],
                className="gl-api gl-wrap",
            ),
            share_bar(p.records / total, COLOURS[level(p.severity_number)]),
            number(fmt.count(p.records), p.records),
            number(fmt.whole(len(p.services)), len(p.services), tone="muted"),
            when(p.last_seen, now),
        ]
        for p in found[:PATTERNS_SHOWN]
    ]
    heads = (
        Head("Pattern"),
        Head("", width="12%"),
        Head("Records", True),
        Head("Services", True),
        Head("Last"),
    )
    return table(heads, lines, empty="No log record matches.")
