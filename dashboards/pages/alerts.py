"""Alerts: what fires now and who looks after it, silences, objectives worst first, history."""

from __future__ import annotations

import asyncio
from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html

from alerting.store import ActiveAlert, AlertCounts
from dashboards import format as fmt
from dashboards import identity, ids
from dashboards.clicks import clicked
from dashboards.components import (
    Component,
    Stat,
    file_links,
    panel,
    skeleton_rows,
    skeleton_stats,
    stat_row,
)
from dashboards.data import Data
from dashboards.guard import guarded
from dashboards.panels.alert_nav import alert_head
from dashboards.panels.alert_panels import alert_tiles, history_table
from dashboards.panels.silence_panel import (
    FIELDS,
    end_silence,
    make_silence,
    silence_form,
    silences_table,
)
from dashboards.panels.slo_panels import slo_table

HISTORY_SHOWN = 100


def layout(data: Data) -> Component:
    return html.Div(
        [
            dcc.Store(id="alerts-changed", data=0),
            alert_head("", "What fires, who looks after it, and what it costs the objectives"),
            html.Div(skeleton_stats(5), id="alerts-stats"),
            html.Div(id="alerts-tiles"),
            html.Div(
                [
                    panel(
                        "Objectives",
                        html.Div(skeleton_rows(6), id="alerts-slos", className="gl-scroll"),
                        note="budget left of the rolling window, worst first",
                        action=file_links("slos"),
                        className="w7 flush",
                    ),
                    panel(
                        "Silences",
                        [
                            silence_form(hidden=not identity.manages_alerts()),
                            html.Div(skeleton_rows(2), id="alerts-silences"),
                        ],
                        className="w5 flush",
                        id="silences",
                    ),
                    panel(
                        "History",
                        html.Div(skeleton_rows(8), id="alerts-history"),
                        className="flush",
                    ),
                ],
                className="gl-grid",
            ),
        ]
    )


def register(app: Dash, data: Data) -> None:
    clientside: Any = app.clientside_callback
    clientside(
        ClientsideFunction("gatelens", "silenceThis"),
        Output("silence-matchers", "value"),
        Input({"type": "alert-silence", "key": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    clientside(
        ClientsideFunction("gatelens", "silenceAsked"),
        Output("silence-matchers", "value", allow_duplicate=True),
        Input(ids.URL, "search"),
        prevent_initial_call="initial_duplicate",
    )

    @app.callback(
        Output("alerts-stats", "children"),
        Output("alerts-tiles", "children"),
        Output("alerts-history", "children"),
        Output("alerts-silences", "children"),
        Input(ids.VIEW, "data"),
        Input("alerts-changed", "data"),
    )
    @guarded(outputs=4, show_in=2)
    async def show(stored: object, _changed: object) -> tuple[Component, ...]:
        view = data.view(stored)
        active, counts, changes, silences = await asyncio.gather(
            data.active_alerts(),
            data.alert_counts(),
            data.alert_changes(HISTORY_SHOWN),
            data.silences(),
        )
        now = data.clock()
        return (
            stat_row(state_stats(active, counts, view.query()), view.mode),
            alert_tiles(active, view, now, may=identity.manages_alerts()),
            history_table(changes, view),
            silences_table(silences, now, may=identity.manages_alerts()),
        )

    @app.callback(Output("alerts-slos", "children"), Input(ids.VIEW, "data"))
    @guarded(show_in=0)
    async def objectives(stored: object) -> Component:
        known, _ = await data.plans_soon()
        if known is None:
            return html.Div("Being counted; here with the next refresh.", className="gl-none")
        return slo_table(known, data.view(stored))

    @app.callback(
        Output("alerts-changed", "data"),
        Output("silence-said", "children"),
        Input("silence-create", "n_clicks"),
        Input({"type": "alert-ack", "key": ALL}, "n_clicks"),
        Input({"type": "silence-end", "key": ALL}, "n_clicks"),
        State(ids.VIEW, "data"),
        State("alerts-changed", "data"),
        *[State(f"silence-{field}", "value") for field in FIELDS],
        prevent_initial_call=True,
    )
    @guarded(outputs=2, show_in=1)
    async def act(
        _create: object,
        _acks: object,
        _ends: object,
        stored: object,
        changed: object,
        *form: object,
    ) -> tuple[Any, ...]:
        done = int(changed) if isinstance(changed, int) else 0
        click = clicked()
        if click is None:
            return done, ""
        who = identity.require("alerts.manage")
        asked = {f: str(v or "")[:500] for f, v in zip(FIELDS, form, strict=True)}
        name = identity.author(who, asked["author"])
        if click.kind == "alert-ack":
            said = await asyncio.to_thread(acknowledge, data, click.key, name)
        elif click.kind == "silence-end":
            said = await asyncio.to_thread(end_silence, data, click.key)
        else:
            data.view(stored)  # the reader's zone, in which times are typed
            said = await asyncio.to_thread(make_silence, data, asked, name)
        for kept in ("alerts", "alert-counts", "changes", "silences"):
            data.cache.forget(kept)
        return done + 1, said


def acknowledge(data: Data, fingerprint: str, name: str) -> str:
    if data.alerts.acknowledge(
        fingerprint,
        by=name or "someone on the screen",
        audit=identity.audit_entry("alert.acknowledge", fingerprint),
    ):
        return "Acknowledged: it is not repeated while it fires."
    return "It does not fire any more."


def state_stats(active: list[ActiveAlert], counts: AlertCounts, query: str) -> list[Stat]:
    quiet = sum(1 for a in active if a.silenced_by)
    return [
        Stat(
            "alerts-firing",
            "Firing",
            counts.firing,
            str(counts.firing),
            hint=", ".join(f"{n} {s}" for s, n in sorted(counts.firing_by_severity.items()))
            or "all quiet",
            tone="bad" if counts.firing else "good",
            href="#alerts-tiles",
        ),
        Stat(
            "alerts-pending",
            "Pending",
            counts.pending,
            str(counts.pending),
            hint="over the limit, not yet long enough",
            tone="warn" if counts.pending else "",
            href="#alerts-tiles",
        ),
        Stat(
            "alerts-no_data",
            "Without data",
            counts.no_data,
            str(counts.no_data),
            hint="unmeasured is not healthy",
            tone="warn" if counts.no_data else "",
            href="#alerts-tiles",
        ),
        Stat(
            "alerts-silenced",
            "Silenced",
            quiet,
            str(quiet),
            hint="shown, told to nobody",
            href="#silences",
        ),
        _undelivered(counts, query),
    ]


def _undelivered(counts: AlertCounts, query: str) -> Stat:
    """Notices are about all alerts together: to those who see only some, none is not zero."""
    id, title = "alerts-undelivered", "Notices undelivered"
    if not identity.sees_all_alerts():
        return Stat(id, title, None, fmt.MISSING, hint="told to those who see every API")
    waiting = counts.undelivered + counts.dead_letters
    return Stat(
        id,
        title,
        waiting,
        str(waiting),
        hint=f"{counts.dead_letters} given up" if counts.dead_letters else "none given up",
        tone="bad" if counts.dead_letters else "",
        href="/alerts/delivery" + query,
    )
