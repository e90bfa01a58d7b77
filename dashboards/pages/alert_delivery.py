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
from dashboards.clicks import clicked
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
from dashboards.panels.alert_nav import alert_head
from dashboards.panels.alert_panels import moment
from dashboards.panels.maintenance_panel import (
    FIELDS as MAINTENANCE_FIELDS,
)
from dashboards.panels.maintenance_panel import (
    end_maintenance,
    maintenance_form,
    maintenance_table,
    plan_maintenance,
)
from dashboards.panels.on_call_panel import FIELDS as STAND_IN_FIELDS
from dashboards.panels.on_call_panel import (
    end_stand_in,
    let_stand_in,
    on_call_table,
    stand_in_form,
    stand_ins_table,
)

NOTICES_SHOWN = 100


def layout(data: Data) -> Component:
    may = identity.manages_alerts()

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
        may = identity.manages_alerts()
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

    def send_test(channel: str) -> str:
        identity.audit(data.state, "channel.test", channel)
        return fmt.plain(data.desk.send_test(channel), 200)

    def retry(notice: str) -> str:
        identity.audit(data.state, "notice.retry", notice)
        done = notice.isdigit() and data.desk.alerts.retry(int(notice))
        return "in line again" if done else "it is not given up any more"

    _each_says(app, "channel", "test", send_test)
    _each_says(app, "notice", "retry", retry)


def _each_says(app: Dash, thing: str, do: str, work: Callable[[str], str]) -> None:
    """The callback of the buttons of `_said_button`. work: key of what was clicked -> what came of
    it, said beside its button."""

    @app.callback(
        Output({"type": f"{thing}-said", "key": ALL}, "children"),
        Input({"type": f"{thing}-{do}", "key": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    @guarded()
    async def each(_clicks: object) -> Any:
        keys = [output["id"]["key"] for output in ctx.outputs_list]
        click = clicked()
        if click is None:
            return [no_update] * len(keys)
        identity.require("alerts.manage")
        said = await asyncio.to_thread(work, click.key)
        return [said if key == click.key else no_update for key in keys]


def _said_button(text: str, thing: str, do: str, key: str) -> Component:
    """One of many buttons, each with room for what came of it."""
    return html.Span(
        [
            html.Button(
                text,
                className="gl-link-button",
                type="button",
                id={"type": f"{thing}-{do}", "key": key},
            ),
            html.Span(id={"type": f"{thing}-said", "key": key}, className="gl-said", role="status"),
        ]
    )


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
        click = clicked()
        if click is None:
            return no_update
        who = identity.require("alerts.manage")
        data.view(stored)  # times are typed in the reader's zone
        if click.kind == f"{kind}-end":
            return await asyncio.to_thread(end, data, click.key)
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
                _said_button("Send a test", "channel", "test", name) if may else "",
            ]
        )
    return table(
        heads,
        rows,
        empty="No channel: alerts are shown here and sent nowhere. Name a file with "
        "alerting.channels_path.",
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
            _said_button("Send again", "notice", "retry", str(notice.id))
            if notice.dead_at and may
            else "",
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
