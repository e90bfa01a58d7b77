"""Alerts: what is pending or firing now, and what changed lately."""

from __future__ import annotations

import asyncio
from typing import Any

from dash import Dash, Input, Output, html

from dashboards import ids
from dashboards.alert_panels import alert_tiles, history_table
from dashboards.components import (
    Stat,
    Tone,
    page_head,
    panel,
    skeleton_rows,
    skeleton_stats,
    stat_row,
)
from dashboards.data import Data
from dashboards.guard import guarded

Component = Any

HISTORY_SHOWN = 100

_TILES: tuple[tuple[str, str, str, Tone], ...] = (
    ("firing", "Firing", "over the threshold for long enough", "bad"),
    ("pending", "Pending", "over the threshold, not yet long enough", "warn"),
    ("no_data", "Without data", "nothing measured: not known to be well", "warn"),
)


def layout(_data: Data) -> Component:
    return html.Div(
        [
            page_head("Alerts", "What is pending or firing now, and every change of state"),
            html.Div(skeleton_stats(3), id="alerts-stats"),
            html.Div(id="alerts-tiles"),
            panel("History", html.Div(skeleton_rows(8), id="alerts-history"), className="flush"),
        ]
    )


def register(app: Dash, data: Data) -> None:
    @app.callback(
        Output("alerts-stats", "children"),
        Output("alerts-tiles", "children"),
        Output("alerts-history", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=3, show_in=2)
    async def show(stored: object) -> tuple[Component, ...]:
        view = data.view(stored)
        active, changes = await asyncio.gather(
            data.active_alerts(), data.alert_changes(HISTORY_SHOWN)
        )
        counts = {
            state: sum(1 for a in active if a.state == state)
            for state in ("firing", "pending", "no_data")
        }
        stats = [
            Stat(
                f"alerts-{state}",
                label,
                counts[state],
                str(counts[state]),
                hint=hint,
                tone=tone if counts[state] else "",
            )
            for state, label, hint, tone in _TILES
        ]
        return (
            stat_row(stats, view.mode),
            alert_tiles(active, view, data.clock()),
            history_table(changes, view),
        )
