"""Facets and patterns of the logs screen."""

from __future__ import annotations

from datetime import datetime

import polars as pl
from dash import html

from analytics.log_patterns import Message, Pattern, find_patterns
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


def facet_list(rows: pl.DataFrame, typed: str | None, data: Data) -> Component:
    """rows: facet, value, logs; most records first within a facet. '' as facet = the service."""
    if rows.is_empty():
        return html.Div("No log record matches.", className="gl-none")
    parts: list[Component] = []
    for facet in rows["facet"].unique(maintain_order=True).to_list()[: FACETS_SHOWN + 1]:
        mine = rows.filter(pl.col("facet") == facet).head(
            VALUES_SHOWN if facet else 2 * VALUES_SHOWN
        )
        most = max(mine["logs"].to_list(), default=1) or 1
        parts.append(html.H3(fmt.plain(facet or "service", 40)))
        parts += [_value(row, most, typed, data) for row in mine.iter_rows(named=True)]
    return html.Div(parts, className="gl-facets")


def _value(row: dict[str, object], most: int, typed: str | None, data: Data) -> Component:
    facet, value, logs = str(row["facet"]), row["value"], int(str(row["logs"]))
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


def patterns(rows: pl.DataFrame) -> list[Pattern]:
    """rows: text (masked), service_name, severity_number, logs, last_seen."""
    return find_patterns(
        Message(
            row["text"], row["logs"], row["service_name"], row["severity_number"], row["last_seen"]
        )
        for row in rows.iter_rows(named=True)
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
