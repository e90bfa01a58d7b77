"""Consumers: who uses the APIs, who is new, who fails, and who is near the end of a quota."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from dash import Dash, Input, Output, html

from analytics.query import TimeRange
from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    Stat,
    grid,
    number_column,
    page_head,
    panel,
    skeleton_stats,
    stat_row,
    time_chart,
)
from dashboards.data import Data
from dashboards.figures import series
from dashboards.figures.base import TimeAxis
from dashboards.guard import guarded
from dashboards.limits import SERIES_MAX, TABLE_ROWS_MAX
from dashboards.measured import axis_of, error_tone, rate_on
from dashboards.view import View
from storage.catalog import Plan

COLUMNS: list[dict[str, object]] = [
    {
        "field": "consumer",
        "headerName": "Consumer",
        "cellRenderer": "NameLink",
        "flex": 2,
        "minWidth": 220,
        "pinned": "left",
    },
    {
        "field": "spark",
        "headerName": "Requests over time",
        "cellRenderer": "Spark",
        "cellDataType": False,
        "sortable": False,
        "flex": 1,
        "minWidth": 140,
    },
    number_column("requests", "Requests", sort="desc"),
    number_column("growth", "Change", width=96),
    number_column("error_rate", "Errors", width=92),
    {"field": "group", "headerName": "Group", "width": 130},
    {"field": "plan", "headerName": "Plan", "width": 130},
    number_column("quota", "Quota used", width=120),
    number_column("last_seen", "Last seen", width=120),
]


def layout(_data: Data) -> Component:
    return html.Div(
        [
            page_head("Consumers", html.Span(id="consumers-sub")),
            html.Div(skeleton_stats(4), id="consumers-stats"),
            html.Div(
                [
                    time_chart(
                        "Traffic by consumer",
                        "consumers-traffic",
                        note="requests per second, the largest",
                        alert="requests_per_s",
                        height=250,
                    ),
                    panel(
                        "Every consumer",
                        grid("consumers-grid", COLUMNS, fixed=560),
                        note="a name leads to how it is doing",
                        className="flush",
                    ),
                ],
                className="gl-grid",
            ),
        ]
    )


def register(app: Dash, data: Data) -> None:
    @app.callback(
        Output("consumers-stats", "children"),
        Output("consumers-sub", "children"),
        Output(ids.time_graph("consumers-traffic"), "figure"),
        Output("consumers-grid", "rowData"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=4, show_in=0)
    async def show(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        rows, usage, overview, completeness, used = await asyncio.gather(
            data.breakdown(view, "consumer", TABLE_ROWS_MAX),
            data.usage(view, "consumer", over_time=True),
            data.overview(view),
            data.completeness(view),
            data.cache.get("quota", lambda: quota_shares(data), ttl_s=60.0),
        )
        axis = axis_of(view, completeness.data_until)
        top = [n for n in rows["consumer"].to_list() if n][:SERIES_MAX]
        data.consumer_colours.learn(top)
        lines = series.rates(
            usage.filter(pl.col("consumer").is_not_null()),
            axis,
            by="consumer",
            names=top,
            colour=data.consumer_colours.colour,
        )
        before = overview.previous
        return (
            stat_row(
                stats(rows, overview.consumers, before.consumers if before else None, used),
                view.mode,
            ),
            view.label,
            series.stacked(lines, axis, fmt.rate, empty=ids.NO_DATA_IN_RANGE),
            consumer_rows(rows, usage, used, axis, view, data),
        )


def stats(
    rows: pl.DataFrame, active: int, before: int | None, used: dict[str, float]
) -> list[Stat]:
    named = rows.filter(pl.col("consumer").is_not_null())
    new = named.filter(pl.col("requests_previous") == 0).height
    anonymous = int(rows.filter(pl.col("consumer").is_null())["requests"].sum())
    total = int(rows["requests"].sum())
    share = anonymous / total if total else None
    near = sum(1 for value in used.values() if value >= 0.8)
    return [
        Stat(
            "consumers-active",
            "Active",
            active,
            fmt.whole(active),
            previous=before,
            better="up",
        ),
        Stat("consumers-new", "New", new, fmt.whole(new), hint="none in the range before"),
        Stat(
            "consumers-quota",
            "Quota at risk",
            near,
            fmt.whole(near),
            hint="80 % or more used",
            tone="warn" if near else "",
        ),
        Stat(
            "consumers-anonymous",
            "Anonymous traffic",
            share,
            fmt.percent(share),
            hint="requests without a known consumer",
        ),
    ]


def consumer_rows(
    rows: pl.DataFrame,
    usage: pl.DataFrame,
    used: dict[str, float],
    axis: TimeAxis,
    view: View,
    data: Data,
) -> list[dict[str, Any]]:
    sparks = {part["consumer"][0]: rate_on(axis, part) for part in usage.partition_by("consumer")}
    now = data.clock()
    out = []
    for row in rows.iter_rows(named=True):
        name = row["consumer"]
        known = data.catalog.consumer(name=name) if name else None
        quota = used.get(name) if name else None
        seen = row["last_seen"]
        out.append(
            {
                "id": name or "(none)",
                "consumer": name or "(anonymous)",
                "href": f"/consumers/{fmt.url_part(name or '(none)')}{view.query()}",
                "colour": data.consumer_colours.colour(name),
                "mark": "new" if name and not row["requests_previous"] else "",
                "mark_why": "No request in the equal range before",
                "spark": sparks.get(name, []),
                "group": (known.group or "") if known else "",
                "plan": (known.plan or "") if known else "",
                "quota": quota,
                "quota_text": fmt.percent(quota) if quota is not None else "",
                "quota_tone": "bad" if (quota or 0) >= 1 else "warn" if (quota or 0) >= 0.8 else "",
                "requests": row["requests"],
                "requests_text": fmt.count(row["requests"]),
                "growth": row["growth"],
                "growth_text": fmt.change(row["growth"]),
                "error_rate": row["error_rate"],
                "error_rate_text": fmt.percent(row["error_rate"]),
                "error_rate_tone": error_tone(row["error_rate"]),
                "last_seen": seen.timestamp() if seen else None,
                "last_seen_text": fmt.ago(seen, now),
            }
        )
    return out


def quota_shares(data: Data) -> dict[str, float]:
    """Share of its quota every consumer with a plan has used in the running period (UTC)."""
    now = data.clock()
    limits: dict[str, tuple[datetime, int]] = {}
    for consumer in data.catalog.consumers:
        plan = data.catalog.plan(consumer.plan)
        found = period(plan, now) if plan else None
        if found and found[1]:
            limits[consumer.name] = found
    used: dict[str, float] = {}
    for start in {start for start, _ in limits.values() if start < now}:
        frame = data.analytics.usage(TimeRange(start, now), by=("consumer",))
        counts = dict(frame.select("consumer", "requests").iter_rows())
        for name, (begin, limit) in limits.items():
            if begin == start:
                used[name] = (counts.get(name) or 0) / limit
    return used


def period(plan: Plan, now: datetime) -> tuple[datetime, int] | None:
    """Start of the plan's running quota period, and its limit; None without a quota."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if plan.quota_per_month is not None:
        return midnight.replace(day=1), plan.quota_per_month
    if plan.quota_per_week is not None:
        return midnight - timedelta(days=midnight.weekday()), plan.quota_per_week
    if plan.quota_per_day is not None:
        return midnight, plan.quota_per_day
    return None
