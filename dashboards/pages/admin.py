"""Admin: who may do what here, programs that may ask, and who did what."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from dashboards import identity, ids
from dashboards.components import Component, page_head, panel, skeleton_rows
from dashboards.data import Data
from dashboards.guard import guarded
from dashboards.identity import Principal
from dashboards.people.errors import BadUser, NoSuchUser, PeopleError
from dashboards.people.sign_in import SignIn
from dashboards.people.users import place
from dashboards.people_panels import audit_table, tokens_table, users_table
from dashboards.roles import ROLES, TOKEN_SCOPES
from storage.audit import AuditEntry, read_audit

ENTRIES_SHOWN = 200

AUDITED = {
    "": "Everything",
    "login": "Logins",
    "user.": "Users",
    "token": "Tokens",
    "sql.": "SQL",
    "export": "Exports",
    "access": "Refusals",
}
"""Beginning of an action -> what it is called."""


def layout(_data: Data) -> Component:
    return html.Div(
        [
            page_head("Admin", "Who may do what here, and who did what."),
            dcc.Store(id="admin-changed", data=0),
            html.Div(
                [
                    panel(
                        "Users",
                        [_user_form(), html.Div(skeleton_rows(4), id="admin-users")],
                        note="a role says what somebody may do",
                        className="flush",
                    ),
                    panel(
                        "API tokens",
                        [_token_form(), html.Div(skeleton_rows(2), id="admin-tokens")],
                        note="for scripts and notebooks that ask /api/v1",
                        className="flush",
                    ),
                    panel(
                        "Audit log",
                        [_audit_filters(), html.Div(skeleton_rows(8), id="admin-audit")],
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


def _text(id: str, label: str, placeholder: str) -> Component:
    return html.Label(
        [
            label,
            dcc.Input(
                id=id,
                type="text",
                placeholder=placeholder,
                className="gl-input",
                maxLength=2000,
                autoComplete="off",
            ),
        ]
    )


def _foot(button: str, id: str, said: str) -> Component:
    return html.Div(
        [
            html.Button(button, id=id, className="gl-button primary", type="button"),
            html.Div(id=said, className="gl-said", role="status"),
        ],
        className="gl-form-foot",
    )


def _user_form() -> Component:
    roles = dcc.RadioItems(
        id="user-role",
        options=[{"label": r.title, "value": k, "title": r.about} for k, r in ROLES.items()],
        value="viewer",
        inline=True,
        className="gl-radio",
    )
    return html.Div(
        [
            html.Div([html.Span("Role", className="gl-sub"), roles], className="gl-form-foot"),
            _text("user-name", "Name to sign in with", "ann@example.com"),
            _text("user-title", "Called", "Ann Example"),
            _text("user-apis", "APIs (owner, or to narrow)", "orders, owner:payments-team"),
            _text("user-consumers", "Applications (app developer)", "mobile-shop"),
            _foot("Save", "user-save", "user-said"),
        ],
        className="gl-form",
    )


def _token_form() -> Component:
    scopes = dcc.Checklist(
        id="token-scopes",
        options=list(TOKEN_SCOPES),
        value=["analytics"],
        inline=True,
        className="gl-radio",
    )
    return html.Div(
        [
            html.Div([html.Span("May ask", className="gl-sub"), scopes], className="gl-form-foot"),
            _text("token-name", "Name", "nightly report"),
            _text("token-days", "Days it lives", "empty = until it is revoked"),
            _text("token-apis", "APIs (empty = all)", "orders"),
            _text("token-consumers", "Applications (empty = all)", "mobile-shop"),
            _foot("Make a token", "token-create", "token-said"),
        ],
        className="gl-form",
    )


def _audit_filters() -> Component:
    return html.Div(
        [
            dcc.RadioItems(
                id="audit-kind", options=AUDITED, value="", inline=True, className="gl-radio"
            ),
            dcc.Input(
                id="audit-who",
                type="text",
                placeholder="who",
                className="gl-input",
                debounce=True,
                maxLength=200,
            ),
        ],
        className="gl-form-foot gl-pad",
    )


class Done(NamedTuple):
    """What a change says; `users` True = the forms' numbers changed."""

    said: Component
    changed: bool = True


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
        start, end = view.start.timestamp(), view.end.timestamp()

        def read() -> list[AuditEntry]:
            return read_audit(
                data.state,
                tenant=who.tenant,
                actor=str(actor or "")[:200],
                action=str(kind) if kind in AUDITED else "",
                since=start,
                # The view's end is rounded down: what was done just now is wanted, too.
                until=end + 60,
                limit=ENTRIES_SHOWN,
            )

        found = await asyncio.to_thread(read)
        return audit_table(
            found
        ), f"/api/v1/audit?format=csv&since={start:.0f}&until={end + 60:.0f}"

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
        State("user-name", "value"),
        State("user-title", "value"),
        State("user-role", "value"),
        State("user-apis", "value"),
        State("user-consumers", "value"),
        State("token-name", "value"),
        State("token-scopes", "value"),
        State("token-days", "value"),
        State("token-apis", "value"),
        State("token-consumers", "value"),
        State("admin-changed", "data"),
        prevent_initial_call=True,
    )
    @guarded(outputs=3, show_in=1)
    async def change(*values: object) -> tuple[Any, ...]:
        # Buttons that have just been drawn also trigger, without a click.
        if not any(t["value"] for t in ctx.triggered):
            return no_update, no_update, no_update
        asked: Any = ctx.triggered_id
        kind = asked.get("type") if isinstance(asked, dict) else asked
        key = str(asked.get("key", ""))[:200] if isinstance(asked, dict) else ""
        form = [str(v or "")[:2000] if not isinstance(v, list) else v for v in values[6:16]]
        done = await asyncio.to_thread(act, data, str(kind), key, form)
        count = values[16] if isinstance(values[16], int) else 0
        about_token = str(kind).startswith("token")
        return (
            count + 1,
            no_update if about_token else done,
            done if about_token else no_update,
        )

    @app.callback(
        Output("user-name", "value"),
        Output("user-title", "value"),
        Output("user-role", "value"),
        Output("user-apis", "value"),
        Output("user-consumers", "value"),
        Input({"type": "user-edit", "key": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    @guarded(outputs=5)
    async def edit(clicks: list[object]) -> tuple[Any, ...]:
        asked: Any = ctx.triggered_id
        if not any(clicks) or not isinstance(asked, dict):
            return (no_update,) * 5
        who, door = asker(data)
        book = door.users.within(who.tenant)
        user = await asyncio.to_thread(book.get, str(asked.get("key", ""))[:200])
        return user.name, user.title, user.role, ", ".join(user.apis), ", ".join(user.consumers)


def asker(data: Data) -> tuple[Principal, SignIn]:
    """Who asks, an admin, and the book of people."""
    who = identity.require("admin")
    assert data.sign_in is not None, "the server sets it"
    return who, data.sign_in


def act(data: Data, kind: str, key: str, form: list[Any]) -> Component:
    """Do one change; a sentence that says what happened, or what to change."""
    who, door = asker(data)
    users, tokens = door.users.within(who.tenant), door.tokens.within(who.tenant)
    try:
        if kind == "user-save":
            return _save(who, door, *form[:5])
        if kind == "user-link":
            secret = door.links.for_password(users.get(key), who.actor)
            return _once(f"With this link {key} chooses a password:", f"/welcome/{secret}")
        if kind in ("user-off", "user-on"):
            if users.get(key).id == who.id:
                raise BadUser("Nobody disables themselves; another admin can.")
            users.set_disabled(key, kind == "user-off", actor=who.actor)
            return html.Span(f"{key} is {'disabled' if kind == 'user-off' else 'enabled'}.")
        if kind == "token-create":
            return _make_token(who, door, *form[5:10])
        if kind == "token-revoke":
            tokens.revoke(key, actor=who.actor)
            return html.Span(f"Token {key} is revoked.")
    except PeopleError as err:
        return html.Span(str(err), className="bad-text")
    finally:
        door.forget()
    return html.Span("")


def _save(
    who: Principal, door: SignIn, name: str, title: str, role: str, apis: str, consumers: str
) -> Component:
    """Add a user, or change the one of that name."""
    given = place(role, who.tenant, apis.split(","), consumers.split(","))
    users = door.users.within(who.tenant)
    if who.kind == "local" and role != "admin" and not door.users.any():
        raise BadUser("The first user must be an admin: from then on everybody has to sign in.")
    try:
        user = users.get(name)
    except NoSuchUser:
        user = users.add(name, given, actor=who.actor, title=title)
        secret = door.links.for_password(user, who.actor)
        return _once(
            f"{user.name} is added. With this link they choose a password, once:",
            f"/welcome/{secret}",
        )
    if user.id == who.id and given.role != "admin":
        raise BadUser("You would lock yourself out; another admin can change your role.")
    users.change(user.name, given, actor=who.actor)
    return html.Span(f"{user.name} is {ROLES[given.role].title} now.")


def _make_token(
    who: Principal, door: SignIn, name: str, scopes: Any, days: str, apis: str, consumers: str
) -> Component:
    wanted = [str(s) for s in scopes] if isinstance(scopes, list) else []
    over = [s for s in wanted if not TOKEN_SCOPES.get(s, frozenset()) <= who.permissions]
    if over:
        raise BadUser(f"You may not give what you may not do yourself: {', '.join(over)[:100]}.")
    try:
        lives = float(days) if days.strip() else None
    except ValueError:
        raise BadUser("Days are a number, or nothing.") from None
    secret = door.tokens.within(who.tenant).create(
        name,
        wanted,
        actor=who.actor,
        tenant=who.tenant,
        apis=[a.strip() for a in apis.split(",") if a.strip()],
        consumers=[c.strip() for c in consumers.split(",") if c.strip()],
        days=lives,
    )
    return _once("This is the token; it is shown this once:", secret)


def _once(text: str, secret: str) -> Component:
    return html.Div([html.Span(text), html.Code(secret, className="gl-once")])
