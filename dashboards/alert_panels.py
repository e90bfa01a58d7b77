"""How alerts look: the short list of Home, tiles and history of the alerts page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dash import dcc, html

from dashboards import format as fmt
from dashboards.alert_state import ActiveAlert, AlertChange
from dashboards.components import Head, badge, number, page_link, severity_tone, table, when
from dashboards.view import View, api_path

Component = Any

SHOWN = 8

_STATE_TONE = {"firing": "bad", "pending": "warn", "resolved": "good", "no_data": "warn"}


def alert_list(
    active: Sequence[ActiveAlert], recent: Sequence[AlertChange], view: View, now: datetime
) -> Component:
    """What is active, then what fired or was resolved lately."""
    rows = [_active_row(a, view, now) for a in active[:SHOWN]]
    told = [c for c in recent if c.to_state in ("firing", "resolved")]
    rows += [_change_row(c, view, now) for c in told[: max(0, SHOWN - len(rows))]]
    if not rows:
        return html.Div("No alert is active, and none was lately.", className="gl-none")
    return html.Div(rows)


def _active_row(alert: ActiveAlert, view: View, now: datetime) -> Component:
    tone = severity_tone(alert.severity) if alert.state == "firing" else "warn"
    return _row(
        tone,
        alert.rule,
        alert.summary or labels_text(alert.labels),
        [
            badge(alert.state.replace("_", " "), _STATE_TONE.get(alert.state, "")),
            html.Div(when(alert.since, now)),
        ],
        subject(alert.labels, view),
    )


def _change_row(change: AlertChange, view: View, now: datetime) -> Component:
    return _row(
        "good" if change.to_state == "resolved" else "",
        change.rule,
        change.summary or labels_text(change.labels),
        [
            badge(
                change.to_state.replace("firing", "fired"),
                "good" if change.to_state == "resolved" else "",
            ),
            html.Div(when(change.at, now)),
        ],
        subject(change.labels, view),
    )


def _row(tone: str, title: str, text: str, side: Component, href: str) -> Component:
    inside = [
        html.I(),
        html.Div(
            [
                html.Div(fmt.plain(title, 90), className="gl-alert-title", title=title),
                html.Div(fmt.plain(text, 200), className="gl-alert-text"),
            ],
            style={"minWidth": 0},
        ),
        html.Div(side, className="gl-alert-side"),
    ]
    return dcc.Link(inside, href=href, className=f"gl-alert {tone}".strip())


def subject(labels: Mapping[str, str], view: View) -> str:
    """Where an alert leads: its API's page, or the alerts page."""
    api = labels.get("api")
    return (api_path(api) if api else "/alerts") + view.query()


def labels_text(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{k}={v}" for k, v in sorted(labels.items()))


def alert_tiles(active: Sequence[ActiveAlert], view: View, now: datetime) -> Component:
    """One tile per active alert, worst first."""
    tiles = [
        dcc.Link(
            [
                html.Div(
                    [
                        html.B(fmt.plain(a.rule, 60), title=a.rule),
                        badge(a.state.replace("_", " "), _STATE_TONE.get(a.state, "")),
                    ],
                    className="gl-tile-head",
                ),
                html.Div(
                    fmt.plain(a.summary or labels_text(a.labels), 200), className="gl-alert-text"
                ),
                html.Div(
                    [
                        badge(a.severity, severity_tone(a.severity)),
                        " ",
                        number(_against(a.value, a.threshold), a.value),
                        html.Span(" · "),
                        when(a.since, now),
                    ],
                    className="gl-sub",
                ),
            ],
            href=subject(a.labels, view),
            className=f"gl-tile {severity_tone(a.severity) if a.state == 'firing' else 'warn'}",
        )
        for a in active
    ]
    if not tiles:
        return html.Div("No alert is pending or firing.", className="gl-none")
    return html.Div(tiles, className="gl-tiles")


def _against(value: float | None, threshold: float | None) -> str:
    if value is None:
        return "no value"
    return f"{value:.4g}" if threshold is None else f"{value:.4g} against {threshold:.4g}"


def history_table(changes: Sequence[AlertChange], view: View) -> Component:
    rows = [
        [
            html.Span(fmt.clock(c.at), className="gl-when"),
            badge(c.to_state.replace("_", " "), _STATE_TONE.get(c.to_state, "")),
            page_link(fmt.plain(c.rule, 60), subject(c.labels, view), "gl-name"),
            badge(c.severity, severity_tone(c.severity)),
            html.Span(fmt.plain(labels_text(c.labels), 70), className="gl-mono"),
            number(_against(c.value, c.threshold), c.value),
        ]
        for c in changes
    ]
    heads = (
        Head("Time (UTC)", width="130px"),
        Head("State"),
        Head("Rule"),
        Head("Severity"),
        Head("Labels"),
        Head("Value", True),
    )
    return table(heads, rows, empty="No alert has changed its state yet.")
