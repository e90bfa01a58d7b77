"""Reports: what an API owner or a consumer gets by mail, to look at here, and who gets it when.

What a report says is analytics/report_content.py's, sending is the jobs role's
(alerting/report_mail.py). Changes go through /api/v1/analytics/reports (assets/gl_reports.js).
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from dash import Dash, Input, Output, dcc, html

from analytics.errors import QueryRefused
from analytics.report_schedules import ReportScheduleStore
from analytics.reports import Audience, Report, owners, render_report
from analytics.windows import WindowKind
from dashboards import identity, ids
from dashboards.components import (
    Component,
    attrs,
    page_head,
    panel,
    skeleton_rows,
)
from dashboards.data import Data
from dashboards.guard import guarded
from dashboards.panels.report_panels import PERIODS, controls, schedule_table, sheet
from storage.catalog import Catalog

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
        shown = schedule_table(found, sent, data.clock(), may, _nobody(known, may=may))
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
            return html.Div(f"{err}.", className="gl-failure"), controls(catalog, chosen)
        return sheet(found), controls(catalog, chosen)


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


def _nobody(known: dict[str, list[str]], *, may: bool = False) -> str:
    """Why there is no schedule. may: whether the reader can make the first."""
    if known["owners"] or known["consumers"]:
        return "Nobody gets a report yet" + ("; make the first schedule." if may else ".")
    return "The catalog names no owner of an API and no consumer: there is nobody to report to."
