"""All alert rules: what each watches, whether it fires, where it comes from."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from dash import Dash, Input, Output, dcc, html

from alerting.rule_words import say_rule
from alerting.store import ActiveAlert, HistoryEntry
from dashboards import format as fmt
from dashboards import identity, ids
from dashboards.alert_desk import ShownRule
from dashboards.components import (
    Component,
    Head,
    badge,
    number,
    page_link,
    panel,
    severity_tone,
    skeleton_rows,
    table,
)
from dashboards.data import Data
from dashboards.guard import guarded
from dashboards.panels.alert_nav import alert_head
from dashboards.view import View

FIRED_WITHIN_S = 7 * 86_400.0
CHANGES_READ_MAX = 5_000


def layout(_data: Data) -> Component:
    new = (
        dcc.Link("New rule", href="/alerts/rules/new", className="gl-button primary", id="rule-new")
        if identity.manages_alerts()
        else None
    )
    return html.Div(
        [
            alert_head("rules", "Judged every few seconds, at the newest data", new),
            panel("Rules", html.Div(skeleton_rows(8), id="rules-table"), className="flush"),
        ]
    )


def register(app: Dash, data: Data) -> None:
    @app.callback(Output("rules-table", "children"), Input(ids.VIEW, "data"))
    @guarded(show_in=0)
    async def show(stored: object) -> Component:
        view = data.view(stored)
        since = data.clock().timestamp() - FIRED_WITHIN_S
        rules, active, changes = await asyncio.gather(
            data.cache.get("rules", lambda: data.desk.rules()),
            data.active_alerts(),
            data.cache.get(
                "rule-changes", lambda: data.desk.alerts.history(CHANGES_READ_MAX, since=since)
            ),
        )
        return rules_table(rules, active, changes, view)


def rules_table(
    rules: list[ShownRule],
    active: list[ActiveAlert],
    changes: list[HistoryEntry],
    view: View,
) -> Component:
    now = Counter((alert.rule, alert.state.value) for alert in active)
    fired = Counter(change.rule for change in changes if change.to_state.value == "firing")
    heads = (
        Head("Rule"),
        Head("Now"),
        Head("Watches"),
        Head("Severity"),
        Head("Fired in 7 d", True),
        Head("Owner"),
        Head("From"),
    )
    ordered = sorted(rules, key=lambda one: (-now[one.rule.name, "firing"], one.rule.name))
    rows = [_row(one, now, fired[one.rule.name], view) for one in ordered]
    return table(heads, rows, empty="There is no rule: built-in ones are switched off.")


def _row(one: ShownRule, now: Counter[tuple[str, str]], fired: int, view: View) -> list[Any]:
    rule = one.rule
    href = f"/alerts/rules/{fmt.url_part(rule.name)}{view.query()}"
    said = say_rule(rule)
    return [
        page_link(fmt.plain(rule.name, 60), href, "gl-name"),
        html.Span(_states(rule.name, now)),
        html.Span(fmt.plain(said, 160), className="gl-wrap", title=said),
        badge(rule.severity, severity_tone(rule.severity)),
        number(fmt.whole(fired) if fired else fmt.MISSING, fired, tone="" if fired else "muted"),
        html.Span(fmt.plain(rule.owner, 30)),
        html.Span(fmt.plain(one.origin, 50), className="gl-when"),
    ]


def _states(name: str, now: Counter[tuple[str, str]]) -> list[Component]:
    shown = (("firing", "bad"), ("pending", "warn"), ("no_data", "warn"))
    found = [
        badge(f"{now[name, state]} {state.replace('_', ' ')}", tone)
        for state, tone in shown
        if now[name, state]
    ]
    return found or [badge("quiet", "good")]
