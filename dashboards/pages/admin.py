"""Admin: who may do what here, programs that may ask, and who did what."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

from dash import ALL, Dash, Input, Output, State, dcc, html, no_update

from dashboards import identity, ids
from dashboards.clicks import clicked
from dashboards.components import Component, page_head, panel, skeleton_rows
from dashboards.data import Data
from dashboards.guard import guarded
from dashboards.panels.people_forms import (
    AUDITED,
    TOKEN_FIELDS,
    USER_FIELDS,
    audit_filters,
    token_form,
    user_form,
)
from dashboards.panels.people_panels import audit_table, tokens_table, users_table
from dashboards.people_desk import act, asker
from storage.audit import AuditEntry, read_audit

ENTRIES_SHOWN = 200

FIELDS = (*USER_FIELDS, *TOKEN_FIELDS)


def layout(_data: Data) -> Component:
    return html.Div(
        [
            page_head("Admin", "Who may do what here, and who did what."),
            dcc.Store(id="admin-changed", data=0),
            html.Div(
                [
                    panel(
                        "Users",
                        [user_form(), html.Div(skeleton_rows(4), id="admin-users")],
                        note="a role says what somebody may do",
                        className="flush",
                    ),
                    panel(
                        "API tokens",
                        [token_form(), html.Div(skeleton_rows(2), id="admin-tokens")],
                        note="for scripts and notebooks that ask /api/v1",
                        className="flush",
                    ),
                    panel(
                        "Audit log",
                        [audit_filters(), html.Div(skeleton_rows(8), id="admin-audit")],
                        note="of the time range above, newest first",
                        action=html.A(
                            "CSV",
                            id="admin-audit-csv",
                            className="gl-button",
                            href="#",
                            download="",
                        ),
                        className="flush",
                    ),
                ],
                className="gl-grid",
            ),
        ]
    )


def register(app: Dash, data: Data) -> None:
    @app.callback(
        Output("admin-users", "children"),
        Output("admin-tokens", "children"),
        Input(ids.VIEW, "data"),
        Input("admin-changed", "data"),
    )
    @guarded(outputs=2, show_in=0)
    async def people(_stored: object, _changed: object) -> tuple[Component, Component]:
        who, door = asker(data)
        users, tokens = await asyncio.gather(
            asyncio.to_thread(door.users.within(who.tenant).list),
            asyncio.to_thread(door.tokens.within(who.tenant).list),
        )
        now = data.clock()
        return users_table(users, who.id, now), tokens_table(tokens, now)

    @app.callback(
        Output("admin-audit", "children"),
        Output("admin-audit-csv", "href"),
        Input(ids.VIEW, "data"),
        Input("admin-changed", "data"),
        Input("audit-kind", "value"),
        Input("audit-who", "value"),
    )
    @guarded(outputs=2, show_in=0)
    async def audit(
        stored: object, _changed: object, kind: object, actor: object
    ) -> tuple[Component, str]:
        who, view = identity.current(), data.view(stored)
        # The view's end is rounded down: what was done just now is wanted, too.
        since, until = view.start.timestamp(), view.end.timestamp() + 60
        action = str(kind) if kind in AUDITED else ""
        name = str(actor or "")[:200]

        def read() -> list[AuditEntry]:
            return read_audit(
                data.state,
                tenant=who.tenant,
                actor=name,
                action=action,
                since=since,
                until=until,
                limit=ENTRIES_SHOWN,
            )

        asked = {"since": f"{since:.0f}", "until": f"{until:.0f}", "action": action, "actor": name}
        query = urlencode({"format": "csv", **{key: text for key, text in asked.items() if text}})
        return audit_table(await asyncio.to_thread(read)), f"/api/v1/audit?{query}"

    @app.callback(
        Output("admin-changed", "data"),
        Output("user-said", "children"),
        Output("token-said", "children"),
        Input("user-save", "n_clicks"),
        Input({"type": "user-link", "key": ALL}, "n_clicks"),
        Input({"type": "user-off", "key": ALL}, "n_clicks"),
        Input({"type": "user-on", "key": ALL}, "n_clicks"),
        Input("token-create", "n_clicks"),
        Input({"type": "token-revoke", "key": ALL}, "n_clicks"),
        State("admin-changed", "data"),
        *[State(field, "value") for field in FIELDS],
        prevent_initial_call=True,
    )
    @guarded(outputs=3, show_in=1)
    async def change(*values: object) -> tuple[Any, ...]:
        click = clicked()
        if click is None:
            return no_update, no_update, no_update
        count, *form = values[-1 - len(FIELDS) :]
        said = await asyncio.to_thread(act, data, click, dict(zip(FIELDS, form, strict=True)))
        about_token = click.kind.startswith("token")
        return (
            (count if isinstance(count, int) else 0) + 1,
            no_update if about_token else said,
            said if about_token else no_update,
        )

    @app.callback(
        *[Output(field, "value") for field in USER_FIELDS],
        Input({"type": "user-edit", "key": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    @guarded(outputs=len(USER_FIELDS))
    async def edit(_clicks: object) -> tuple[Any, ...]:
        click = clicked()
        if click is None:
            return (no_update,) * len(USER_FIELDS)
        who, door = asker(data)
        user = await asyncio.to_thread(door.users.within(who.tenant).get, click.key)
        return user.name, user.title, user.role, ", ".join(user.apis), ", ".join(user.consumers)
