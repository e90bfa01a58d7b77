"""Delivery: channels and a test for each, what was sent or given up, on call, maintenance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, html, no_update

from alerting.channels import Delivery
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
from dashboards.maintenance_panel import (
    FIELDS as MAINTENANCE_FIELDS,
)
from dashboards.maintenance_panel import (
    end_maintenance,
    maintenance_form,
    maintenance_table,
    plan_maintenance,
)
from dashboards.on_call_panel import FIELDS as STAND_IN_FIELDS
from dashboards.on_call_panel import (
    end_stand_in,
    let_stand_in,
    on_call_table,
    stand_in_form,
    stand_ins_table,
)

NOTICES_SHOWN = 100


def layout(data: Data) -> Component:
    may = data.manages_alerts

    def place(id: str) -> Component:
        return html.Div(skeleton_rows(4), id=id)

    return html.Div(
        [
            alert_head("delivery", "Who is told, and whether they took it"),
            html.Div(
                [
                    panel("Channels", place("delivery-channels"), className="w7 flush"),
                    panel(
                        "On call",
                        html.Div(
                            [
                                stand_in_form(data.desk.delivery if may else None),
                                place("delivery-on-call"),
                            ]
                        ),
                        className="w5 flush",
                    ),
                    panel(
                        "Notices",
                        place("delivery-notices"),
                        note="newest first; what was given up can be sent again",
                        className="flush",
                    ),
                    panel(
                        "Maintenance",
                        html.Div([maintenance_form(hidden=not may), place("delivery-maintenance")]),
                        className="flush",
                    ),
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
        Input("stand-in-said", "children"),
        Input("maintenance-said", "children"),
    )
    @guarded(outputs=4, show_in=2)
    async def show(stored: object, *_again: object) -> tuple[Component, ...]:
        data.view(stored)  # the reader's zone
        desk, now = data.desk, data.clock()
        notices, turns, stand_ins, windows = await asyncio.gather(
            asyncio.to_thread(desk.alerts.notifications, NOTICES_SHOWN),
            asyncio.to_thread(desk.alerts.on_call),
            asyncio.to_thread(desk.alerts.stand_ins),
            asyncio.to_thread(desk.alerts.maintenance),
        )
        may = data.manages_alerts
        return (
            channels_table(desk.delivery, notices, now, may=may),
            html.Div(
                [
                    on_call_table(desk.delivery, turns),
                    stand_ins_table(stand_ins, now, may=may) if desk.delivery.rotations else "",
                ]
            ),
            notices_table(notices, now, may=may),
            maintenance_table(windows, now, may=may),
        )

    _planner(app, data, "stand-in", STAND_IN_FIELDS, let_stand_in, end_stand_in)
    _planner(app, data, "maintenance", MAINTENANCE_FIELDS, plan_maintenance, end_maintenance)

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


def _planner(
    app: Dash,
    data: Data,
    kind: str,
    fields: tuple[str, ...],
    plan: Callable[[Data, dict[str, str], str], str],
    end: Callable[[Data, str], str],
) -> None:
    """The callback of a form that plans something, and of the buttons that end it."""

    @app.callback(
        Output(f"{kind}-said", "children"),
        Input(f"{kind}-create", "n_clicks"),
        Input({"type": f"{kind}-end", "key": ALL}, "n_clicks"),
        State(ids.VIEW, "data"),
        *[State(f"{kind}-{field}", "value") for field in fields],
        prevent_initial_call=True,
    )
    @guarded(show_in=0)
    async def act(_create: object, _ends: object, stored: object, *values: object) -> Any:
        # Buttons that have just been drawn also trigger, without a click.
        if not any(t["value"] for t in ctx.triggered):
            return no_update
        who = identity.require("alerts.manage")
        data.view(stored)  # times are typed in the reader's zone
        if isinstance(ctx.triggered_id, dict):
            return await asyncio.to_thread(end, data, str(ctx.triggered_id["key"]))
        asked = {f: str(v or "")[:500] for f, v in zip(fields, values, strict=True)}
        return await asyncio.to_thread(plan, data, asked, identity.author(who, asked["author"]))


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
