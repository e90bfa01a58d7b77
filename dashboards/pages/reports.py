"""Reports: what an API owner or a consumer gets by mail, to look at here, and who gets it when.

What a report says is analytics/report_content.py's, sending is the jobs role's
(alerting/report_mail.py). Changes go through /api/v1/analytics/reports (assets/gl_reports.js).
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from dash import Dash, Input, Output, dcc, html

from analytics.errors import QueryRefused
from analytics.report_schedules import ReportDelivery, ReportSchedule, ReportScheduleStore
from analytics.reports import Audience, Report, owners, render_report
from analytics.windows import WindowKind
from dashboards import format as fmt
from dashboards import identity, ids
from dashboards.components import (
    Component,
    Head,
    attrs,
    badge,
    page_head,
    panel,
    skeleton_rows,
    table,
    when,
)
from dashboards.data import Data
from dashboards.guard import guarded
from storage.catalog import Catalog

PERIODS: dict[WindowKind, str] = {"day": "day", "week": "week", "month": "month"}
_TONES = {"delivered": "good", "failed": "bad", "waiting": "warn", "skipped": ""}
PREVIEW_TTL_S = 60.0


def layout(_data: Data) -> Component:
    return html.Div(
        [
            dcc.Store(id="reports-changed", data=0),
            page_head(
                "Reports",
                "What owners and consumers get by mail: the last whole day, week or month",
                html.Button(
                    "New schedule",
                    id="reports-new",
                    type="button",
                    className="gl-button primary",
                    hidden=True,
                    **attrs({"data-gl-report": "new"}),
                ),
            ),
            html.Div(id="reports-words", hidden=True),
            html.Div(
                [
                    panel(
                        "Schedules",
                        html.Div(skeleton_rows(4), id="reports-schedules"),
                        note="sent by the jobs role",
                        className="flush",
                    ),
                    panel(
                        "Preview",
                        html.Div(skeleton_rows(8), id="reports-preview"),
                        action=html.Div(id="reports-choice", className="gl-head-actions"),
                    ),
                ],
                className="gl-grid",
            ),
        ]
    )


def register(app: Dash, data: Data) -> None:
    @app.callback(
        Output("reports-schedules", "children"),
        Output("reports-new", "hidden"),
        Output("reports-words", "children"),
        Input(ids.VIEW, "data"),
        Input("reports-changed", "data"),
    )
    @guarded(outputs=3, show_in=0)
    async def schedules(_stored: object, _changed: object) -> tuple[Any, ...]:
        person = identity.current()
        catalog = data.catalog
        known = {
            "owners": owners(catalog),
            "consumers": sorted(c.name for c in catalog.consumers),
        }
        words = json.dumps(known)
        if person.scope is not None:
            told = "Schedules name everybody: they are for people who see every API and consumer."
            return html.Div(told, className="gl-none"), True, words
        store = ReportScheduleStore(data.state, tenant=person.tenant)
        found, sent = await asyncio.gather(
            asyncio.to_thread(store.list), asyncio.to_thread(store.deliveries)
        )
        may = person.may("reports.edit")
        shown = schedule_table(found, sent, data.clock(), may, _nobody(known))
        return shown, not (may and (known["owners"] or known["consumers"])), words

    @app.callback(
        Output("reports-preview", "children"),
        Output("reports-choice", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=2, show_in=0)
    async def preview(stored: object) -> tuple[Component, Component]:
        view = data.view(stored)
        catalog = in_sight(data.catalog)
        chosen = choice(catalog, view.extra)
        if chosen is None:
            return html.Div(_nobody({"owners": [], "consumers": []}), className="gl-none"), None
        audience, name, period = chosen
        now, analytics = data.clock(), data.analytics

        def make() -> Report:
            return render_report(analytics, catalog, audience, name, period, now=now)

        try:
            found = await data.cache.get(
                ("report", audience, name, period), make, ttl_s=PREVIEW_TTL_S
            )
        except QueryRefused as err:
            return html.Div(f"{err}.", className="gl-failure"), _controls(catalog, chosen)
        return sheet(found), _controls(catalog, chosen)


def in_sight(catalog: Catalog) -> Catalog:
    """The catalog with those APIs only whose rows the asker sees: of other owners there would be
    empty reports."""
    scope = identity.current().scope
    if scope is None:
        return catalog
    mine = tuple(api for api in catalog.apis if api.name in scope.apis)
    return Catalog(**{**dict(catalog), "apis": mine})


def choice(catalog: Catalog, asked: Any) -> tuple[Audience, str, WindowKind] | None:
    """Whom to show, from the address: `report=owner:payments&period=week`; else the first there
    is. None = the catalog names nobody."""
    period = asked.get("period")
    kind: WindowKind = period if period in PERIODS else "week"
    names = owners(catalog)
    people = sorted(c.name for c in catalog.consumers)
    audience, _, name = str(asked.get("report", "")).partition(":")
    if audience == "owner" and name in names:
        return "owner", name, kind
    if audience == "consumer" and name in people:
        return "consumer", name, kind
    if names:
        return "owner", names[0], kind
    return ("consumer", people[0], kind) if people else None


def _nobody(known: dict[str, list[str]]) -> str:
    if known["owners"] or known["consumers"]:
        return "Nobody gets a report yet; make the first schedule."
    return "The catalog names no owner of an API and no consumer: there is nobody to report to."


def _controls(catalog: Catalog, chosen: tuple[Audience, str, WindowKind]) -> Component:
    audience, name, period = chosen
    people = [("owner", n) for n in owners(catalog)] + [
        ("consumer", c) for c in sorted(c.name for c in catalog.consumers)
    ]
    items = [
        html.Button(
            [html.Span(fmt.plain(who, 60)), html.Span(kind, className="gl-faint")],
            type="button",
            className="gl-menu-item" + (" active" if (kind, who) == (audience, name) else ""),
            **attrs({"data-gl-set": urlencode({"report": f"{kind}:{who}"})}),
        )
        for kind, who in people[:300]
    ]
    periods = [
        html.Button(
            text.capitalize(),
            type="button",
            className="gl-button",
            **attrs(
                {
                    "data-gl-set": urlencode({"period": kind}),
                    "aria-pressed": str(kind == period).lower(),
                }
            ),
        )
        for kind, text in PERIODS.items()
    ]
    query = urlencode({"name": name, "period": period})
    files = [
        html.A(
            shape.upper(),
            href=f"/api/v1/analytics/reports/{audience}?{query}&format={shape}",
            className="gl-button",
            download="",
        )
        for shape in ("pdf", "csv")
    ]
    return [
        html.Details(
            [
                html.Summary(
                    [html.Span("For", className="gl-muted"), html.B(fmt.plain(name, 40))],
                    className="gl-button",
                    **attrs({"aria-label": "Whose report"}),
                ),
                html.Div(html.Div(items, className="gl-pop-list"), className="gl-pop-body"),
            ],
            className="gl-pop",
        ),
        *periods,
        *(files if identity.allowed("export") else []),
    ]


def sheet(found: Report) -> Component:
    """The mail as it would come. In a frame of its own that may run nothing and load nothing."""
    return html.Div(
        [
            html.Div([html.B("Subject: "), fmt.plain(found.subject, 200)], className="gl-sub"),
            html.Iframe(
                srcDoc=found.html,
                sandbox="",
                className="gl-report-sheet",
                title="Preview of the report",
            ),
        ]
    )


def schedule_table(
    schedules: list[ReportSchedule],
    sent: list[ReportDelivery],
    now: datetime,
    may: bool,
    empty: str,
) -> Component:
    last: dict[int, ReportDelivery] = {}
    for delivery in sent:  # newest first
        last.setdefault(delivery.schedule_id, delivery)
    heads = (
        Head("For"),
        Head("Every"),
        Head("At"),
        Head("To"),
        Head("As"),
        Head("Next"),
        Head("Last"),
        Head("", True),
    )
    return table(heads, [_row(s, last.get(s.id or -1), now, may) for s in schedules], empty=empty)


def _row(
    schedule: ReportSchedule, last: ReportDelivery | None, now: datetime, may: bool
) -> list[Component]:
    look = urlencode({"report": f"{schedule.audience}:{schedule.name}", "period": schedule.period})
    to = ", ".join(schedule.recipients) or f"those of the channel {schedule.channel}".strip()
    return [
        html.Button(
            [html.B(fmt.plain(schedule.name, 60)), " ", badge(schedule.audience)],
            type="button",
            className="gl-cell-filter",
            title="Show it below",
            **attrs({"data-gl-set": look}),
        ),
        schedule.period,
        f"{schedule.send_at} {schedule.zone}",
        html.Span(fmt.plain(to, 60), title=to),
        ", ".join(schedule.formats) or "mail alone",
        html.Span(f"{schedule.next_at(now):%d %b %H:%M} UTC"),
        _last(last, now),
        html.Div(
            [
                _do(schedule, text, what)
                for text, what in (("Send now", "run"), ("Edit", "edit"), ("Remove", "remove"))
            ],
            className="gl-version-do",
        )
        if may
        else None,
    ]


def _last(last: ReportDelivery | None, now: datetime) -> Component:
    if last is None:
        return html.Span("none yet", className="gl-when")
    tone = _TONES[last.state]
    at = last.delivered_at or last.skipped_at or last.dead_at or last.next_attempt_at
    return html.Span(
        [badge(last.state, tone), " ", when(at, now) if at <= now else None],
        title=last.error or "",
    )


def _do(schedule: ReportSchedule, text: str, what: str) -> Component:
    known = {
        "id": schedule.id,
        "audience": schedule.audience,
        "name": schedule.name,
        "period": schedule.period,
        "zone": schedule.zone,
        "send_at": schedule.send_at,
        "channel": schedule.channel,
        "recipients": list(schedule.recipients),
        "formats": list(schedule.formats),
        "skip_empty": schedule.skip_empty,
    }
    return html.Button(
        text,
        type="button",
        className="gl-link-button",
        **attrs({"data-gl-report": what, "data-schedule": json.dumps(known)}),
    )
