"""How alerts look: the short list of Home, tiles and history of the alerts page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dash import html

from alerting.matchers import Matcher
from alerting.store import ActiveAlert, HistoryEntry
from dashboards import format as fmt
from dashboards.components import (
    Head,
    Tone,
    attrs,
    badge,
    number,
    page_link,
    severity_tone,
    table,
    when,
)
from dashboards.view import View, api_path

Component = Any

SHOWN = 3

_STATE_TONE: Mapping[str, Tone] = {
    "firing": "bad",
    "pending": "warn",
    "resolved": "good",
    "no_data": "warn",
}


def moment(seconds: float | None) -> datetime | None:
    """Epoch seconds of the alert store -> a time."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def since(alert: ActiveAlert) -> datetime | None:
    """When it began: firing, else breaching, else unmeasured."""
    if alert.state.value == "firing" and alert.fired_at:
        return moment(alert.fired_at)
    return moment(alert.active_since or alert.unmeasured_since)


def tone_of(alert: ActiveAlert) -> str:
    if alert.silenced_by or alert.acknowledged_at:
        return "accent"
    return severity_tone(alert.severity) if alert.state.value == "firing" else "warn"


def alert_list(
    active: Sequence[ActiveAlert], recent: Sequence[HistoryEntry], view: View, now: datetime
) -> Component:
    """What is active, then what fired or was resolved lately. Several series of one rule that
    changed together are one line."""
    rows = [_active_row(a, view, now) for a in active[:SHOWN]]
    if len(active) > SHOWN:
        rows.append(html.Div(f"and {len(active) - SHOWN} more", className="gl-none"))
    shown = {a.fingerprint for a in active}
    for change in recent:
        if len(rows) >= SHOWN:
            break
        if change.to_state.value in ("firing", "resolved") and change.fingerprint not in shown:
            shown.add(change.fingerprint)
            rows.append(_change_row(change, view, now))
    if not rows:
        return html.Div("No alert is active, and none was lately.", className="gl-none")
    return html.Div(rows)


def _active_row(alert: ActiveAlert, view: View, now: datetime) -> Component:
    state = alert.state.value
    return _row(
        tone_of(alert),
        alert.rule,
        alert.summary,
        [
            badge(state.replace("_", " "), _STATE_TONE.get(state, "")),
            html.Div(when(since(alert), now)),
        ],
        subject(alert.labels, view),
    )


def _change_row(change: HistoryEntry, view: View, now: datetime) -> Component:
    resolved = change.to_state.value == "resolved"
    return _row(
        "good" if resolved else "",
        change.rule,
        change.summary or labels_text(change.labels),
        [
            badge("resolved" if resolved else "fired", "good" if resolved else ""),
            html.Div(when(moment(change.at), now)),
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
    return page_link(inside, href, f"gl-alert {tone}".strip())


def subject(labels: Mapping[str, str], view: View) -> str:
    """Where an alert leads: its API's page, its consumer's, or the alerts page."""
    if api := labels.get("api"):
        return api_path(api) + view.query()
    if consumer := labels.get("consumer"):
        return f"/consumers/{fmt.url_part(consumer)}{view.query()}"
    return "/alerts" + view.query()


def labels_text(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{k}={v}" for k, v in sorted(labels.items()))


def matchers_text(labels: Mapping[str, str]) -> str:
    """Labels as matchers of a silence: what identifies the alert, without its gravity."""
    kept = {k: v for k, v in labels.items() if k != "severity"}
    return ", ".join(f"{k}={v}" for k, v in sorted(kept.items()))


def matcher_words(matchers: Sequence[Matcher]) -> str:
    """As one types them: 'api=orders, severity=~warning|info'."""
    return ", ".join(f"{m.label}{m.operator}{m.value}" for m in matchers)


def alert_tiles(
    active: Sequence[ActiveAlert], view: View, now: datetime, *, may: bool
) -> Component:
    """One tile per active alert, worst first; `may`: with what one can do about it."""
    if not active:
        return html.Div(
            [html.I(className="gl-ok"), "Nothing is pending or firing."], className="gl-calm"
        )
    return html.Div([_tile(a, view, now, may=may) for a in active], className="gl-tiles")


def _tile(alert: ActiveAlert, view: View, now: datetime, *, may: bool) -> Component:
    state = alert.state.value
    marks = [badge(alert.severity, severity_tone(alert.severity))]
    if alert.silenced_by:
        marks.append(badge("silenced", "accent"))
    if alert.acknowledged_at:
        marks.append(badge(f"seen by {fmt.plain(alert.acknowledged_by, 24)}", "accent"))
    buttons = [
        html.Button(
            "Silence…",
            className="gl-link-button",
            type="button",
            id={"type": "alert-silence", "key": alert.fingerprint},
            **attrs({"data-matchers": matchers_text({"alertname": alert.rule, **alert.labels})}),
        )
    ]
    if state == "firing" and not alert.acknowledged_at:
        buttons.insert(
            0,
            html.Button(
                "Acknowledge",
                className="gl-link-button",
                type="button",
                id={"type": "alert-ack", "key": alert.fingerprint},
            ),
        )
    return html.Div(
        [
            html.Div(
                [
                    page_link(
                        html.B(fmt.plain(alert.rule, 60), title=alert.rule),
                        subject(alert.labels, view),
                        "gl-name",
                    ),
                    badge(state.replace("_", " "), _STATE_TONE.get(state, "")),
                ],
                className="gl-tile-head",
            ),
            html.Div(fmt.plain(alert.summary, 200), className="gl-alert-text"),
            html.Div([*marks, when(since(alert), now)], className="gl-tile-marks"),
            html.Div(buttons, className="gl-tile-foot") if may else None,
        ],
        className=f"gl-tile {tone_of(alert)}",
    )


def _against(value: float | None, threshold: float | None) -> str:
    if value is None:
        return "no value"
    return f"{value:.4g}" if threshold is None else f"{value:.4g} / {threshold:.4g}"


def history_table(changes: Sequence[HistoryEntry], view: View) -> Component:
    rows = [
        [
            html.Span(fmt.clock(moment(c.at)), className="gl-when"),
            badge(c.to_state.value.replace("_", " "), _STATE_TONE.get(c.to_state.value, "")),
            page_link(fmt.plain(c.rule, 60), subject(c.labels, view), "gl-name"),
            badge(c.severity, severity_tone(c.severity)),
            html.Span(fmt.plain(c.summary or labels_text(c.labels), 90)),
            number(_against(c.value, c.threshold), c.value),
            _evidence(c),
        ]
        for c in changes
    ]
    heads = (
        Head("Time", width="120px"),
        Head("State"),
        Head("Rule"),
        Head("Severity"),
        Head("What"),
        Head("Value / limit", True),
        Head("Evidence"),
    )
    return table(heads, rows, empty="No alert has changed its state yet.")


def _evidence(change: HistoryEntry) -> Component:
    """What the engine saw when it decided; the labels where it noted nothing more."""
    seen: Mapping[str, Any] = change.evidence or dict(change.labels)
    parts: list[Component] = []
    for name, value in list(seen.items())[:12]:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        parts += [html.Dt(fmt.plain(str(name), 40)), html.Dd(fmt.plain(text, 400))]
    return html.Details(
        [html.Summary("show"), html.Dl(parts, className="gl-kv")], className="gl-evidence"
    )
