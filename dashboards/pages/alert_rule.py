"""One alert rule: made from a form or as text, tried on the past before it is saved.

The text is the rule; the form only writes it. A rule of a file is shown and tried, not changed: the
file has the last word. A new rule starts from the link that leads here: `?measure=p95_ms&api=a`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from alerting.errors import AlertingError, ConfigInvalid
from alerting.rule import Rule
from alerting.rule_draft import STARTERS, draft_source
from alerting.rule_words import say_rule
from analytics.errors import QueryRefused
from dashboards import format as fmt
from dashboards import identity, ids
from dashboards.alert_desk import ShownRule, say_mistakes
from dashboards.components import (
    Component,
    badge,
    crumbs,
    page_head,
    page_link,
    severity_tone,
)
from dashboards.data import Data
from dashboards.figures.base import message
from dashboards.figures.tried_rule import tried_rule
from dashboards.guard import guarded
from dashboards.panels.alert_nav import alert_head, tabs
from dashboards.panels.alert_panels import history_table
from dashboards.panels.rule_form import asked_fields, draft_of, rule_form
from dashboards.panels.rule_result import (
    SPANS,
    pages_table,
    result_stats,
    tried_panels,
    unit_formatter,
)
from dashboards.panels.rule_text import TEXT, text_panel
from dashboards.rule_starts import rule_start
from storage.errors import SqlError, StorageError

SEEN = "rule-seen"
"""Store: name and version of the stored rule that is shown; version None = none yet."""

HISTORY_SHOWN = 20

MAKES_NONE = "Your role makes no rules; those who look after alerts do."


def layout(data: Data, name: str) -> Component:
    new = name == "new"
    if new and not identity.manages_alerts():
        return html.Div([alert_head("rules", MAKES_NONE)])
    shown = None if new else data.desk.rule(name)
    if not new and shown is None:
        return html.Div(
            [page_head("No such rule"), html.P(f"No rule is called {fmt.plain(name, 80)!r}.")]
        )
    may = identity.manages_alerts() and not (shown and shown.of_file)
    stored = shown.stored if shown else None
    seen = {"name": "" if new else name, "version": stored.version if stored else None}
    return html.Div(
        [
            dcc.Store(id=SEEN, data=seen),
            dcc.Store(id="rule-opened", data=name),
            crumbs(("Alerts", "/alerts"), ("Rules", "/alerts/rules"), (_title(shown), "")),
            page_head(_title(shown), _sub(shown), _silence_link(shown)),
            tabs("rules"),
            html.Div(
                [
                    html.Div(
                        [
                            rule_form() if new else html.Div(id="rule-fields", hidden=True),
                            text_panel(shown, may),
                        ],
                        className="w5 gl-column",
                    ),
                    html.Div(tried_panels(shown), className="w7 gl-column"),
                ],
                className="gl-grid",
            ),
        ]
    )


def _title(shown: ShownRule | None) -> str:
    return fmt.plain(shown.rule.name, 80) if shown else "New rule"


def _sub(shown: ShownRule | None) -> Component:
    if shown is None:
        return "Say what must not be, try it on the past, save it"
    marks = [badge(shown.rule.severity, severity_tone(shown.rule.severity)), " "]
    return html.Span([*marks, say_rule(shown.rule), " · ", shown.origin])


def _silence_link(shown: ShownRule | None) -> Component:
    if shown is None or not identity.manages_alerts():
        return None
    href = f"/alerts?silence=alertname%3D{fmt.url_part(shown.rule.name)}"
    return page_link("Silence…", href, "gl-button")


def register(app: Dash, data: Data) -> None:
    clientside: Any = app.clientside_callback
    clientside(
        ClientsideFunction("gatelens_drafts", "opened"),
        Output("rule-draft", "hidden"),
        Input("rule-opened", "data"),
    )
    clientside(
        ClientsideFunction("gatelens_drafts", "saved"),
        Output("rule-opened", "data"),
        Input(SEEN, "data"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output({"type": "rule-field", "key": ALL}, "value"),
        Input(ids.URL, "search"),
        State({"type": "rule-field", "key": ALL}, "id"),
        State({"type": "rule-field", "key": ALL}, "value"),
    )
    @guarded()
    async def prefill(search: object, names: list[dict[str, str]], values: list[Any]) -> Any:
        asked = asked_fields(search if isinstance(search, str) else "")
        return [asked.get(n["key"], v) for n, v in zip(names, values, strict=True)]

    @app.callback(
        Output(TEXT, "value"),
        Output("rule-fields", "hidden"),
        Input({"type": "rule-field", "key": ALL}, "value"),
        State({"type": "rule-field", "key": ALL}, "id"),
        State(ids.URL, "search"),
        prevent_initial_call=True,
    )
    @guarded(outputs=2)
    async def write(values: list[Any], names: list[dict[str, str]], search: object) -> Any:
        if not names:  # the form is not on the page
            return no_update, no_update
        fields = {n["key"]: v for n, v in zip(names, values, strict=True)}
        kind = str(fields.pop("kind", "threshold"))
        if kind in STARTERS:
            return rule_start(kind, search if isinstance(search, str) else ""), True
        return draft_source(draft_of(fields)), False

    @app.callback(Output("rule-mistakes", "children"), Input(TEXT, "value"))
    @guarded(show_in=0)
    async def check(text: object) -> Component:
        if not isinstance(text, str):
            return None
        try:
            rule = data.desk.store.check(text)
        except ConfigInvalid as err:
            return html.Ul([html.Li(fmt.plain(said, 300)) for said in say_mistakes(err)])
        return html.Div(f"Watches: {fmt.plain(say_rule(rule), 300)}", className="gl-sub")

    @app.callback(
        Output("rule-tried-said", "children"),
        Output("rule-tried-stats", "children"),
        Output("rule-tried-chart", "figure"),
        Output("rule-tried-pages", "children"),
        Input("rule-try", "n_clicks"),
        Input("rule-span", "value"),
        State(TEXT, "value"),
        State(ids.VIEW, "data"),
        State(SEEN, "data"),
        running=[(Output("rule-try", "disabled"), True, False)],
    )
    @guarded(outputs=4, show_in=0)
    async def attempt(
        clicks: object, span: object, text: object, stored: object, seen: object
    ) -> Any:
        if not clicks and not (isinstance(seen, dict) and seen.get("name")):
            # A new rule's text is still being filled in by its link.
            empty = message("Try it: what would it have done?", data.view(stored).mode)
            return "", None, empty, None
        hours = float(span) if isinstance(span, str) and span in SPANS else 24.0
        source = str(text or "")
        view = data.view(stored)
        try:
            rule = data.desk.store.check(source)
            tried = await asyncio.to_thread(
                data.desk.try_rule,
                source,
                data.analytics,
                data.session,
                hours=hours,
                zone=fmt.zone().key,
            )
        except ConfigInvalid:
            return "The rule has mistakes; they stand below its text.", *[no_update] * 3
        except (AlertingError, QueryRefused, SqlError, StorageError) as err:
            return fmt.plain(str(err), 300), *[no_update] * 3
        formatter = unit_formatter(rule)
        chart = tried_rule(
            tried,
            limit=limit_of(rule),
            formatter=formatter,
            colour=data.colours.colour,
            mode=view.mode,
        )
        said = f"looked {fmt.whole(tried.looks)} times, every {fmt.span(tried.looked_every_s)}"
        return said, result_stats(tried, hours, view.mode), chart, pages_table(tried, formatter)

    @app.callback(
        Output("rule-said", "children"),
        Output(SEEN, "data"),
        Input("rule-save", "n_clicks"),
        State(TEXT, "value"),
        State(SEEN, "data"),
        prevent_initial_call=True,
    )
    @guarded(outputs=2, show_in=0)
    async def save(clicks: object, text: object, seen: object) -> Any:
        if not clicks:
            return no_update, no_update
        who = identity.require("alerts.manage")
        before = seen if isinstance(seen, dict) else {}
        name, version = str(before.get("name") or ""), before.get("version")
        try:
            done = await asyncio.to_thread(
                data.desk.save,
                str(text or ""),
                seen=version if isinstance(version, int) else None,
                name=name,
                author=who.name,
                audit=identity.audit_entry("rule.save", name),
            )
        except ConfigInvalid:
            return "Not saved: it has mistakes.", no_update
        except AlertingError as err:
            return fmt.plain(str(err), 300), no_update
        link = page_link("Open it", f"/alerts/rules/{fmt.url_part(done.name)}")
        said = html.Span([f"Saved as version {done.version}; judged within seconds. ", link])
        data.cache.forget("rules")
        return said, {"name": done.name, "version": done.version}

    @app.callback(
        Output("rule-said", "children", allow_duplicate=True),
        Input("rule-delete", "n_clicks"),
        State(SEEN, "data"),
        prevent_initial_call=True,
    )
    @guarded(show_in=0)
    async def delete(clicks: object, seen: object) -> Any:
        if not clicks or not isinstance(seen, dict) or not isinstance(seen.get("version"), int):
            return no_update
        who = identity.require("alerts.manage")
        name = str(seen.get("name"))
        try:
            await asyncio.to_thread(
                data.desk.store.delete,
                name,
                author=who.name,
                seen=seen["version"],
                audit=identity.audit_entry("rule.delete", name),
            )
        except AlertingError as err:
            return fmt.plain(str(err), 300)
        data.cache.forget("rules")
        return html.Span(
            ["Deleted; what it opened is resolved. ", page_link("All rules", "/alerts/rules")]
        )

    @app.callback(Output("rule-history", "children"), Input(ids.VIEW, "data"), State(SEEN, "data"))
    @guarded(show_in=0)
    async def history(stored: object, seen: object) -> Component:
        name = str(seen.get("name") or "") if isinstance(seen, dict) else ""
        changes = await asyncio.to_thread(data.desk.alerts.history, HISTORY_SHOWN, rule=name)
        return history_table(changes, data.view(stored))


def limit_of(rule: Rule) -> float | None:
    """Where the chart's line goes; None where a rule has none."""
    condition = getattr(rule.check, "condition", None)
    return None if condition is None else float(condition.threshold)
