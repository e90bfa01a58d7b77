"""Panels about consumers: the treemap by group, the drawer with quota and errors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl
from dash import html

from analytics.quota import QuotaUsage
from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    Head,
    api_link,
    badge,
    change_cell,
    count_cell,
    dot,
    drawer,
    errors_cell,
    latency_cell,
    number,
    page_link,
    table,
)
from dashboards.data import Data
from dashboards.panels.api_panels import narrowing
from dashboards.panels.quota_panels import quota_cards
from dashboards.panels.treemap import Area, treemap
from dashboards.view import View, api_path

ROWS_SHOWN = 12
TREEMAP_AREAS_MAX = 120
NO_GROUP = "no group"


def consumer_path(name: str, query: str) -> str:
    return f"/consumers/{fmt.url_part(name)}{query}"


def consumers_treemap(rows: pl.DataFrame, view: View, data: Data) -> Component:
    """rows: consumer, requests. Anonymous traffic is left out: it is nobody's."""
    areas, query = [], view.query()
    for row in rows.head(TREEMAP_AREAS_MAX).iter_rows(named=True):
        name = row["consumer"]
        if not name:
            continue
        known = data.consumer(name)
        areas.append(
            Area(
                name=name,
                group=(known.group if known else None) or NO_GROUP,
                size=float(row["requests"]),
                text=fmt.count(row["requests"]),
                href=consumer_path(name, query),
                colour=data.consumer_colours.colour(name),
            )
        )
    return treemap(areas, empty="No named consumer called in this time range.")


def failing_calls(rows: pl.DataFrame) -> Component:
    """What was answered with 400 and above, most frequent first. rows: api, route, status_code."""
    failing = rows.filter((pl.col("status_code") >= 400) & (pl.col("requests") > 0))
    lines = [
        [
            html.Span(
                narrowing("status", str(row["status_code"]), str(row["status_code"])),
                className=f"gl-badge {'bad' if row['status_code'] >= 500 else 'warn'}",
            ),
            html.Span(fmt.plain(row["api"], 30), className="gl-when"),
            narrowing(
                "route", row["route"], fmt.plain(row["route"] or "(no route)", 60), "gl-mono"
            ),
            number(fmt.count(row["requests"]), row["requests"]),
        ]
        for row in failing.sort("requests", descending=True).head(ROWS_SHOWN).iter_rows(named=True)
    ]
    heads = (Head("Status"), Head("API"), Head("Route"), Head("Requests", True))
    return table(heads, lines, empty="No call failed in this time range.")


def calls_table(rows: pl.DataFrame, view: View, data: Data) -> Component:
    """The APIs a consumer calls. rows: api, requests, growth, error_rate, p95_ms."""
    lines = [
        [
            api_link(
                row["api"] or "(no name)",
                api_path(row["api"] or "(none)") + view.query(),
                data.colours.colour(row["api"]),
            ),
            count_cell(row["requests"]),
            change_cell(row["growth"]),
            errors_cell(row["error_rate"]),
            latency_cell(row["p95_ms"]),
        ]
        for row in rows.iter_rows(named=True)
    ]
    heads = (
        Head("API"),
        Head("Requests", True),
        Head("Change", True),
        Head("Errors", True),
        Head("p95", True),
    )
    return table(heads, lines, empty=ids.NO_DATA_IN_RANGE)


def consumer_drawer(
    name: str,
    quotas: Sequence[QuotaUsage],
    failing: pl.DataFrame,
    view: View,
    data: Data,
    now: datetime,
) -> Component:
    """One consumer at a glance, beside the table it was chosen in."""
    known = data.catalog.consumer(name=name)
    marks = [badge(f"plan {known.plan}")] if known and known.plan else []
    return drawer(
        [dot(data.consumer_colours.colour(name)), fmt.plain(name, 60), *marks],
        html.H3("Quota"),
        quota_cards(list(quotas), now),
        html.H3("Why calls fail"),
        failing_calls(failing),
        page_link("Open its page", consumer_path(name, view.query()), "gl-button primary"),
        label=f"Consumer {fmt.plain(name, 60)}",
        parameter="open",
    )
