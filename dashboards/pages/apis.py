"""APIs: every API that was called, with its numbers side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import polars as pl
from dash import ClientsideFunction, Dash, Input, Output, html

from analytics.apdex import Apdex
from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    error_tone,
    grid,
    number_column,
    page_head,
    panel,
    skeleton_stats,
    stat_row,
)
from dashboards.data import Data
from dashboards.figures.base import TimeAxis
from dashboards.guard import guarded
from dashboards.limits import TABLE_ROWS_MAX
from dashboards.measured import axis_of, rates_by
from dashboards.panels.api_glance import apdex_text, apdex_tone
from dashboards.panels.state_row import QUANTILES_MS, ask_traffic, traffic_stats
from dashboards.view import View, api_path

COLUMNS: list[dict[str, object]] = [
    {
        "field": "api",
        "headerName": "API",
        "cellRenderer": "NameLink",
        "flex": 2,
        "minWidth": 154,
        "pinned": "left",
    },
    {
        "field": "spark",
        "headerName": "Over time",
        "cellRenderer": "Spark",
        "cellDataType": False,
        "sortable": False,
        "flex": 1,
        "minWidth": 70,
    },
    number_column("requests", "Requests", sort="desc", width=104),
    number_column("growth", "Change", width=76),
    number_column("error_rate", "Errors", width=70),
    number_column("apdex", "Apdex", width=66),
    number_column("p50_ms", "p50", width=72),
    number_column("p95_ms", "p95", width=72),
    number_column("p99_ms", "p99", width=72),
    number_column("consumers", "Consumers", width=90),
    {"field": "owner", "headerName": "Owner", "width": 96},
    number_column("last_seen", "Last seen", width=88),
]

UNCATALOGUED = "uncatalogued"


def layout(_data: Data) -> Component:
    return html.Div(
        [
            page_head("APIs", html.Span(id="apis-sub")),
            html.Div(skeleton_stats(5), id="apis-stats"),
            panel(
                "Every API",
                grid("apis-grid", COLUMNS),
                note="click a name for its own page",
                className="flush",
            ),
        ]
    )


def register(app: Dash, data: Data) -> None:
    clientside: Any = app.clientside_callback
    clientside(
        # `sort` of the URL, which numbers elsewhere lead here with, orders the grid.
        ClientsideFunction("gatelens", "gridSort"),
        Output("apis-grid", "columnState"),
        Input(ids.URL, "search"),
        Input("apis-grid", "id"),
    )

    @app.callback(Output("apis-stats", "children"), Input(ids.VIEW, "data"))
    @guarded(show_in=0)
    async def state(stored: object) -> Component:
        view = data.view(stored)
        traffic = await ask_traffic(data, view)
        return stat_row(
            traffic_stats("apis", traffic, view, quantiles=QUANTILES_MS, path="/apis"), view.mode
        )

    @app.callback(
        Output("apis-grid", "rowData"), Output("apis-sub", "children"), Input(ids.VIEW, "data")
    )
    @guarded(outputs=2, show_in=1)
    async def rows(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        table, usage, consumers, apdexes, completeness = await asyncio.gather(
            data.breakdown(view, "api", TABLE_ROWS_MAX),
            data.usage(view, "api", over_time=True),
            data.usage(view, "api", "consumer"),
            data.apdexes(view),
            data.completeness(view),
        )
        axis = axis_of(view, completeness, usage)
        shown = api_rows(table, usage, consumers, apdexes, axis, view, data)
        unknown = sum(1 for row in shown if row["mark"] == UNCATALOGUED)
        sub = f"{view.label} · {fmt.counted(len(shown), 'API')}"
        return shown, sub + (f" · {unknown} uncatalogued" if unknown else "")


def mark(name: str | None, known: bool) -> dict[str, str]:
    """The badge beside an API's name and what it means; '' = no badge."""
    if name == fmt.OVERFLOW:
        return {"mark": "many names", "mark_why": fmt.OVERFLOW_WHY}
    why = "Not in catalog.yaml; add it to give it an owner, a product and SLOs."
    return {"mark": "" if known else UNCATALOGUED, "mark_why": why}


def api_rows(
    table: pl.DataFrame,
    usage: pl.DataFrame,
    consumers: pl.DataFrame,
    apdexes: Mapping[str | None, Apdex],
    axis: TimeAxis,
    view: View,
    data: Data,
) -> list[dict[str, Any]]:
    """Rows of the grid: exact numbers, and people's text beside each in `<field>_text`."""
    now = data.clock()
    sparks = rates_by(axis, usage, "api")
    named = consumers.filter(pl.col("consumer").is_not_null())
    distinct = dict(named.group_by("api").agg(pl.col("consumer").n_unique()).iter_rows())
    data.colours.learn(n for n in table["api"].to_list() if n)
    rows = []
    for row in table.iter_rows(named=True):
        name = row["api"]
        known = data.catalog.api(name) if name else None
        seen = row["last_seen"]
        score = apdexes[name].score if name in apdexes else None
        rows.append(
            {
                "id": name or "(none)",
                "api": fmt.plain(name or "(no name)", 200),
                "href": api_path(name or "(none)") + view.query(),
                "colour": data.colours.colour(name),
                **mark(name, known is not None),
                "spark": sparks.get(name, []),
                "owner": known.owner if known else "",
                "consumers": distinct.get(name, 0),
                "consumers_text": fmt.count(distinct.get(name, 0)),
                "requests": row["requests"],
                "requests_text": fmt.count(row["requests"]),
                "growth": _finite(row["growth"]),
                "growth_text": fmt.change(row["growth"]),
                "apdex": score,
                "apdex_text": apdex_text(score),
                "apdex_tone": apdex_tone(score),
                "error_rate": row["error_rate"],
                "error_rate_text": fmt.percent(row["error_rate"]),
                "error_rate_tone": error_tone(row["error_rate"]),
                **{
                    key: value
                    for q in ("p50_ms", "p95_ms", "p99_ms")
                    for key, value in ((q, row[q]), (f"{q}_text", fmt.milliseconds(row[q])))
                },
                "last_seen": seen.timestamp() if seen else None,
                "last_seen_text": fmt.ago(seen, now),
            }
        )
    return rows


def _finite(value: float | None) -> float | None:
    return None if value is None or value in (float("inf"), float("-inf")) else value
