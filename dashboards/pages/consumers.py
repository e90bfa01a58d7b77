"""Consumers: who uses the APIs, who is new, who fails, and who is near the end of a quota."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import polars as pl
from dash import Dash, Input, Output, html

from analytics.consumers import ConsumerChanges
from analytics.query import UNKNOWN, Overview
from analytics.quota import QuotaUsage
from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    Stat,
    error_tone,
    file_links,
    grid,
    number_column,
    panel,
    screen,
    stat_row,
    time_chart,
    waiting,
)
from dashboards.data import Data
from dashboards.figures import series
from dashboards.figures.base import TimeAxis
from dashboards.guard import guarded
from dashboards.limits import SERIES_MAX, TABLE_ROWS_MAX
from dashboards.measured import axis_of, rates_by
from dashboards.panels.consumer_panels import consumer_drawer, consumers_treemap
from dashboards.panels.quota_panels import quota_stat
from dashboards.view import View

COLUMNS: list[dict[str, object]] = [
    {
        "field": "consumer",
        "headerName": "Consumer",
        "cellRenderer": "NameLink",
        "flex": 2,
        "minWidth": 180,
        "pinned": "left",
    },
    {
        "field": "spark",
        "headerName": "Over time",
        "cellRenderer": "Spark",
        "cellDataType": False,
        "sortable": False,
        "flex": 1,
        "minWidth": 80,
    },
    number_column("requests", "Requests", sort="desc", width=104),
    number_column("growth", "Change", width=80),
    number_column("error_rate", "Errors", width=76),
    {"field": "group", "headerName": "Group", "width": 110},
    {"field": "plan", "headerName": "Plan", "width": 90},
    number_column("quota", "Quota used", width=96),
    number_column("last_seen", "Last seen", width=88),
    {
        "field": "look",
        "headerName": "",
        "cellRenderer": "Look",
        "width": 62,
        "pinned": "right",
        "sortable": False,
    },
]


def layout(_data: Data) -> Component:
    return screen(
        "consumers",
        "Consumers",
        time_chart(
            "Traffic by consumer",
            "consumers-traffic",
            note="requests per second, the largest",
            alert="requests_per_s",
            height=250,
            className="w7",
        ),
        waiting(
            "By group",
            "consumers-map",
            rows=6,
            note="area = requests",
            className="w5 gl-fill-panel",
        ),
        panel(
            "Every consumer",
            grid("consumers-grid", COLUMNS, fixed=560),
            note="a name leads to its own page, Look shows quota and errors beside the table",
            action=html.Div(id="consumers-files"),
            className="flush",
        ),
        html.Div(id="consumers-drawer", className="gl-drawer-place"),
        stats=6,
    )


def register(app: Dash, data: Data) -> None:
    @app.callback(
        Output("consumers-stats", "children"),
        Output("consumers-sub", "children"),
        Output(ids.time_graph("consumers-traffic"), "figure"),
        Output("consumers-grid", "rowData"),
        Output("consumers-map", "children"),
        Output("consumers-files", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=6, show_in=0)
    async def show(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        rows, usage, overview, changes, completeness, (_, quotas) = await asyncio.gather(
            data.breakdown(view, "consumer", TABLE_ROWS_MAX, latency=False),
            data.usage(view, "consumer", over_time=True),
            data.overview(view),
            data.consumer_changes(view),
            data.completeness(view),
            data.plans_soon(),
        )
        axis, seen = axis_of(view, completeness, usage), seen_rows(rows, changes, view)
        top = [n for n in rows["consumer"].to_list() if n][:SERIES_MAX]
        data.consumer_colours.learn(top)
        lines = series.rates(
            usage.filter(pl.col("consumer").is_not_null()),
            axis,
            by="consumer",
            names=top,
            colour=data.consumer_colours.colour,
        )
        return (
            stat_row(stats(rows, overview, changes, quotas, view), view.mode),
            view.label,
            series.stacked(lines, axis, fmt.rate, empty=ids.NO_DATA_IN_RANGE),
            consumer_rows(seen, usage, changes, fullest(quotas or ()), axis, view, data),
            consumers_treemap(rows, view, data),
            file_links(
                "breakdown",
                by="consumer",
                limit=TABLE_ROWS_MAX,
                start=view.start.isoformat(),
                end=view.end.isoformat(),
                **dict(view.analytics_filters.active()),
            ),
        )

    @app.callback(Output("consumers-drawer", "children"), Input(ids.VIEW, "data"))
    @guarded(show_in=0)
    async def look(stored: object) -> Component:
        view = data.view(stored)
        name = view.extra.get("open", "")
        if not name:
            return None
        mine = view.narrowed(consumer=name)
        quotas, failing = await asyncio.gather(
            data.quotas(), data.usage(mine, "api", "route", "status_code")
        )
        own = [u for u in quotas if u.consumer == name]
        return consumer_drawer(name, own, failing, view, data, data.clock())


def fullest(quotas: Sequence[QuotaUsage]) -> dict[str, float]:
    """Consumer -> share of the limit it is nearest to, of all its limits."""
    used: dict[str, float] = {}
    for usage in quotas:
        used[usage.consumer] = max(used.get(usage.consumer, 0.0), usage.percent / 100)
    return used


def stats(
    rows: pl.DataFrame,
    overview: Overview,
    changes: ConsumerChanges,
    quotas: Sequence[QuotaUsage] | None,
    view: View,
) -> list[Stat]:
    before, shown = overview.previous, view.extra.get("seen", "")
    anonymous = int(rows.filter(pl.col("consumer").is_null())["requests"].sum())
    total = int(rows["requests"].sum())
    share = anonymous / total if total else None
    counts = {
        "new": (changes.new, "never seen before"),
        "returning": (changes.returning, "not in the range before, but earlier"),
        "lost": (changes.lost, "in the range before, not in this one"),
    }
    return [
        Stat(
            "consumers-active",
            "Active",
            overview.consumers,
            fmt.whole(overview.consumers),
            previous=before.consumers if before else None,
            better="up",
            choose="seen=",
            chosen=shown == "",
        ),
        *(
            Stat(
                f"consumers-{key}",
                key.capitalize(),
                len(names),
                fmt.whole(len(names)),
                hint=fmt.plain(", ".join(names), 40) if names else told,
                choose=f"seen={key}",
                chosen=shown == key,
            )
            for key, (names, told) in counts.items()
        ),
        quota_stat(quotas, view.query(), id="consumers-quota"),
        Stat(
            "consumers-anonymous",
            "Anonymous traffic",
            share,
            fmt.percent(share),
            hint="requests without a known consumer",
            href="/requests" + view.narrowed(consumer=UNKNOWN).query(),
        ),
    ]


def seen_rows(rows: pl.DataFrame, changes: ConsumerChanges, view: View) -> pl.DataFrame:
    """Rows of the table for those a card of the state row was clicked for (`seen` of the URL): the
    new, the returning, or the lost, who have no call in the range; all for anything else."""
    seen = view.extra.get("seen", "")
    if seen in ("new", "returning"):
        return rows.filter(pl.col("consumer").is_in(list(getattr(changes, seen))))
    if seen == "lost":
        gone = pl.DataFrame({"consumer": list(changes.lost)}, schema={"consumer": pl.String})
        none = pl.lit(0, dtype=rows.schema["requests"]).alias("requests")
        return pl.concat([rows.clear(), gone.with_columns(none)], how="diagonal")
    return rows


def consumer_rows(
    rows: pl.DataFrame,
    usage: pl.DataFrame,
    changes: ConsumerChanges,
    used: dict[str, float],
    axis: TimeAxis,
    view: View,
    data: Data,
) -> list[dict[str, Any]]:
    sparks = rates_by(axis, usage, "consumer")
    now, new, back = data.clock(), set(changes.new), set(changes.returning)
    query = view.query()
    out = []
    for row in rows.iter_rows(named=True):
        name = row["consumer"]
        known = data.consumer(name)
        quota = used.get(name) if name else None
        seen = row["last_seen"]
        out.append(
            {
                "id": name or "(none)",
                "consumer": name or "(anonymous)",
                "href": f"/consumers/{fmt.url_part(name or '(none)')}{query}",
                "colour": data.consumer_colours.colour(name),
                "mark": "new" if name in new else "back" if name in back else "",
                "mark_why": "Not seen in the equal range before",
                "look": f"open={fmt.url_part(name)}" if name else "",
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
