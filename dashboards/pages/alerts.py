"""Alerts: what fires now and who looks after it, silences, objectives worst first, history."""

from __future__ import annotations

import asyncio
from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html

from alerting.errors import AlertingError
from alerting.store import ActiveAlert, AlertCounts
from dashboards import format as fmt
from dashboards import identity, ids
from dashboards.alert_nav import alert_head
from dashboards.alert_panels import alert_tiles, history_table, moment, silences_table
from dashboards.components import (
    Component,
    Stat,
    file_links,
    form_foot,
    panel,
    skeleton_rows,
    skeleton_stats,
    stat_row,
    text_field,
)
from dashboards.data import Data
from dashboards.guard import guarded
from dashboards.planned_times import read_moment
from dashboards.slo_panels import slo_table

HISTORY_SHOWN = 100

DURATIONS = {
    "30m": ("30 min", 1800),
    "2h": ("2 h", 7200),
    "8h": ("8 h", 28_800),
    "1d": ("1 day", 86_400),
    "1w": ("1 week", 604_800),
}
"""How long a silence made here may last."""


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
                        _silence_form(hidden=not data.manages_alerts),
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


def _silence_form(*, hidden: bool) -> Component:
    return html.Div(
        [
            html.Div(
                [
                    text_field("silence-matchers", "Matches", "api=payments, severity=warning"),
                    text_field("silence-reason", "Reason", "planned maintenance"),
                    text_field("silence-author", "Your name", "who asks", persistence="author"),
                    text_field("silence-from", "Begins", "now, 4h, 18:30, a date"),
                    html.Label(
                        [
                            "For",
                            html.Div(
                                dcc.RadioItems(
                                    id="silence-for",
                                    options={k: v[0] for k, v in DURATIONS.items()},
                                    value="2h",
                                    inline=True,
                                    className="gl-radio",
                                )
                            ),
                        ],
                        className="gl-whole",
                    ),
                    form_foot("Silence", "silence-create", "silence-said"),
                ],
                className="gl-form",
                hidden=hidden,
            ),
            html.Div(skeleton_rows(2), id="alerts-silences"),
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
            alert_tiles(active, view, now, may=data.manages_alerts),
            history_table(changes, view),
            silences_table(silences, now, may=data.manages_alerts),
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
        State("silence-matchers", "value"),
        State("silence-reason", "value"),
        State("silence-author", "value"),
        State("silence-for", "value"),
        State("silence-from", "value"),
        State(ids.VIEW, "data"),
        State("alerts-changed", "data"),
        prevent_initial_call=True,
    )
    @guarded(outputs=2, show_in=1)
    async def act(
        _create: object,
        _acks: object,
        _ends: object,
        matchers: object,
        reason: object,
        author: object,
        length: object,
        begins: object,
        stored: object,
        changed: object,
    ) -> tuple[Any, ...]:
        done = int(changed) if isinstance(changed, int) else 0
        # Buttons that have just been drawn also trigger, without a click.
        if not any(t["value"] for t in ctx.triggered):
            return done, ""
        who = identity.require("alerts.manage")
        what: Any = ctx.triggered_id
        name = identity.author(who, author)
        if isinstance(what, dict) and what.get("type") == "alert-ack":
            said = await asyncio.to_thread(acknowledge, data, str(what.get("key")), name)
        elif isinstance(what, dict) and what.get("type") == "silence-end":
            said = await asyncio.to_thread(end_silence, data, str(what.get("key")))
        else:
            data.view(stored)  # the reader's zone, in which times are typed
            said = await asyncio.to_thread(
                make_silence,
                data,
                str(matchers or ""),
                str(reason or ""),
                name,
                str(length),
                str(begins or ""),
            )
        for kept in ("alerts", "alert-counts", "changes", "silences"):
            data.cache.forget(kept)
        return done + 1, said


def acknowledge(data: Data, fingerprint: str, name: str) -> str:
    if data.alerts.acknowledge(
        fingerprint[:200],
        by=name or "someone on the screen",
        audit=identity.audit_entry("alert.acknowledge", fingerprint[:200]),
    ):
        return "Acknowledged: it is not repeated while it fires."
    return "It does not fire any more."


def end_silence(data: Data, key: str) -> str:
    audit = identity.audit_entry("silence.end", key[:16])
    ended = key.isdigit() and len(key) < 16 and data.alerts.end_silence(int(key), audit=audit)
    return "The silence has ended." if ended else "That silence had ended already."


def make_silence(
    data: Data, matchers: str, reason: str, name: str, length: str, begins: str = ""
) -> str:
    """A sentence that says what happened, or what to change."""
    _, seconds = DURATIONS.get(length, DURATIONS["2h"])
    parts = [part.strip() for part in matchers[:500].split(",") if part.strip()]
    now = data.clock().timestamp()
    try:
        starts_at = read_moment(begins[:60], after=now)
        data.alerts.silence(
            parts,
            author=name,
            reason=reason[:500],
            duration_s=seconds,
            starts_at=starts_at,
            audit=identity.audit_entry("silence.create", ", ".join(parts), seconds=seconds),
        )
    except AlertingError as err:
        return str(err)
    if starts_at is not None and starts_at > now:
        return f"It will be silent from {fmt.clock(moment(starts_at))} on."
    return "Silenced. Alerts that match are shown, and told to nobody."


def state_stats(active: list[ActiveAlert], counts: AlertCounts, query: str) -> list[Stat]:
    quiet = sum(1 for a in active if a.silenced_by)
    waiting = counts.undelivered + counts.dead_letters
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
        Stat(
            "alerts-undelivered",
            "Notices undelivered",
            waiting,
            str(waiting),
            hint=f"{counts.dead_letters} given up" if counts.dead_letters else "none given up",
            tone="bad" if counts.dead_letters else "",
            href="/alerts/delivery" + query,
        ),
    ]
