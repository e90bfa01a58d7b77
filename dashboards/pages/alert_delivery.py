"""Delivery: channels and a test for each, what was sent or given up, on call, maintenance."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from dash import ALL, Dash, Input, Output, ctx, html, no_update

from alerting.channels import Delivery
from alerting.maintenance import MaintenanceWindow
from alerting.store import OutboxEntry
from dashboards import format as fmt
from dashboards import identity, ids
from dashboards.alert_nav import alert_head
from dashboards.alert_panels import moment
from dashboards.components import (
    Component,
    Head,
    badge,
    number,
    panel,
    skeleton_rows,
    table,
    when,
)
from dashboards.data import Data
from dashboards.guard import guarded

NOTICES_SHOWN = 100


def layout(_data: Data) -> Component:
    def place(id: str) -> Component:
        return html.Div(skeleton_rows(4), id=id)

    return html.Div(
        [
            alert_head("delivery", "Who is told, and whether they took it"),
            html.Div(
                [
                    panel("Channels", place("delivery-channels"), className="w7 flush"),
                    panel("On call", place("delivery-on-call"), className="w5 flush"),
                    panel(
                        "Notices",
                        place("delivery-notices"),
                        note="newest first; what was given up can be sent again",
                        className="flush",
                    ),
                    panel("Maintenance", place("delivery-maintenance"), className="flush"),
                ],
                className="gl-grid",
            ),
        ]
    )


def register(app: Dash, data: Data) -> None:
    @app.callback(
        Output("delivery-channels", "children"),
        Output("delivery-on-call", "children"),
        Output("delivery-notices", "children"),
        Output("delivery-maintenance", "children"),
        Input(ids.VIEW, "data"),
        Input({"type": "notice-said", "key": ALL}, "children"),
    )
    @guarded(outputs=4, show_in=2)
    async def show(_stored: object, _again: object) -> tuple[Component, ...]:
        desk, now = data.desk, data.clock()
        notices, turns, windows = await asyncio.gather(
            asyncio.to_thread(desk.alerts.notifications, NOTICES_SHOWN),
            asyncio.to_thread(desk.alerts.on_call),
            asyncio.to_thread(desk.alerts.maintenance),
        )
        may = identity.allowed("alerts.manage")
        return (
            channels_table(desk.delivery, notices, now, may=may),
            on_call_table(desk.delivery, turns),
            notices_table(notices, now, may=may),
            maintenance_table(windows, now),
        )

    @app.callback(
        Output({"type": "channel-said", "key": ALL}, "children"),
        Input({"type": "channel-test", "key": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    @guarded()
    async def test(_clicks: object) -> Any:
        names = [output["id"]["key"] for output in ctx.outputs_list]
        if not any(t["value"] for t in ctx.triggered) or not isinstance(ctx.triggered_id, dict):
            return [no_update] * len(names)
        identity.require("alerts.manage")
        channel = str(ctx.triggered_id["key"])
        identity.audit(data.state, "channel.test", channel)
        said = await asyncio.to_thread(data.desk.send_test, channel)
        return [fmt.plain(said, 200) if name == channel else no_update for name in names]

    @app.callback(
        Output({"type": "notice-said", "key": ALL}, "children"),
        Input({"type": "notice-retry", "key": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    @guarded()
    async def retry(_clicks: object) -> Any:
        names = [output["id"]["key"] for output in ctx.outputs_list]
        if not any(t["value"] for t in ctx.triggered) or not isinstance(ctx.triggered_id, dict):
            return [no_update] * len(names)
        identity.require("alerts.manage")
        key = str(ctx.triggered_id["key"])
        identity.audit(data.state, "notice.retry", key)
        done = key.isdigit() and await asyncio.to_thread(data.desk.alerts.retry, int(key))
        said = "in line again" if done else "it is not given up any more"
        return [said if name == key else no_update for name in names]


def channels_table(
    delivery: Delivery, notices: list[OutboxEntry], now: datetime, *, may: bool
) -> Component:
    heads = (Head("Channel"), Head("Type"), Head("Last taken"), Head("Waiting", True), Head(""))
    rows = []
    for name, channel in delivery.channels.items():
        mine = [notice for notice in notices if notice.channel == name]
        taken = max((n.delivered_at for n in mine if n.delivered_at), default=None)
        waiting = [n for n in mine if n.delivered_at is None and n.dead_at is None]
        trouble = next((n.error for n in waiting if n.error), None)
        rows.append(
            [
                html.Span(fmt.plain(name, 40), className="gl-name"),
                channel.type,
                when(moment(taken), now) if taken else html.Span("never", className="gl-when"),
                number(fmt.whole(len(waiting)), len(waiting), tone="warn" if trouble else "muted"),
                _test_button(name) if may else "",
            ]
        )
    return table(
        heads,
        rows,
        empty="No channel: alerts are shown here and sent nowhere. Name a file with "
        "alerting.channels_path.",
    )


def _test_button(name: str) -> Component:
    return html.Span(
        [
            html.Button(
                "Send a test",
                className="gl-link-button",
                type="button",
                id={"type": "channel-test", "key": name},
            ),
            html.Span(id={"type": "channel-said", "key": name}, className="gl-said", role="status"),
        ]
    )


def on_call_table(delivery: Delivery, turns: dict[str, str]) -> Component:
    heads = (Head("Rotation"), Head("Now"), Head("Turns"))
    rows = [
        [
            html.Span(fmt.plain(rotation.name, 40), className="gl-name"),
            badge(fmt.plain(turns.get(rotation.name, ""), 40), "accent"),
            html.Span(fmt.plain(" → ".join(rotation.channels), 80), className="gl-when"),
        ]
        for rotation in delivery.rotations
    ]
    return table(heads, rows, empty="No rotation is written in the channels file.")


def notices_table(notices: list[OutboxEntry], now: datetime, *, may: bool) -> Component:
    heads = (
        Head("Made"),
        Head("Channel"),
        Head("State"),
        Head("Attempts", True),
        Head("Last error"),
        Head(""),
    )
    rows = [
        [
            when(moment(notice.created_at), now),
            fmt.plain(notice.channel, 40),
            notice_state(notice, now),
            number(fmt.whole(notice.attempts), notice.attempts),
            html.Span(fmt.plain(notice.error, 120), title=fmt.plain(notice.error, 400)),
            _retry_button(notice.id) if notice.dead_at and may else "",
        ]
        for notice in notices
    ]
    return table(heads, rows, empty="Nothing was sent yet.")


def notice_state(notice: OutboxEntry, now: datetime) -> Component:
    if notice.delivered_at:
        return badge("taken", "good")
    if notice.dead_at:
        return badge("given up", "bad")
    wait_s = notice.next_attempt_at - now.timestamp()
    return badge(f"again in {fmt.span(wait_s)}" if wait_s > 0 else "on its way", "warn")


def _retry_button(notice_id: int) -> Component:
    key = str(notice_id)
    return html.Span(
        [
            html.Button(
                "Send again",
                className="gl-link-button",
                type="button",
                id={"type": "notice-retry", "key": key},
            ),
            html.Span(id={"type": "notice-said", "key": key}, className="gl-said", role="status"),
        ]
    )


def maintenance_table(windows: list[MaintenanceWindow], now: datetime) -> Component:
    heads = (Head("Window"), Head("Matches"), Head("When"), Head("Reason"), Head("By"))
    rows = [
        [
            html.Span(
                [
                    html.Span(fmt.plain(window.name, 40), className="gl-name"),
                    badge("now", "accent") if window.runs_at(now.timestamp()) else "",
                ]
            ),
            html.Span(
                fmt.plain(
                    ", ".join(f"{m.label}{m.operator}{m.value}" for m in window.matchers)
                    or "everything",
                    80,
                ),
                className="gl-mono",
            ),
            window_times(window),
            html.Span(fmt.plain(window.reason, 80)),
            html.Span(fmt.plain(window.author or "channels file", 30), className="gl-when"),
        ]
        for window in windows
    ]
    return table(heads, rows, empty="No maintenance is planned.")


def window_times(window: MaintenanceWindow) -> str:
    """'5 Dec 08:00 to 5 Dec 12:00', 'every tuesdays'; times are UTC."""
    if window.recurs is not None:
        return f"every {window.recurs.name}"
    ends = [fmt.clock(moment(at)) if at else "…" for at in (window.starts_at, window.ends_at)]
    return f"{ends[0]} to {ends[1]}"
