"""The forms of the Admin screen: a user, an API token, which entries of the audit log."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from dashboards.components import Component, form_foot, text_field
from dashboards.roles import ROLES, TOKEN_SCOPES

CHARS_MAX = 2000
"""Of one field: a list of APIs is long."""

USER_FIELDS = ("user-name", "user-title", "user-role", "user-apis", "user-consumers")
TOKEN_FIELDS = ("token-name", "token-scopes", "token-days", "token-apis", "token-consumers")

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


def user_form() -> Component:
    roles = dcc.RadioItems(
        id="user-role",
        options=[{"label": r.title, "value": k, "title": r.about} for k, r in ROLES.items()],
        value="viewer",
        inline=True,
        className="gl-radio",
    )
    return html.Div(
        [
            _choice("Role", roles),
            _text("user-name", "Name to sign in with", "ann@example.com"),
            _text("user-title", "Called", "Ann Example"),
            _text("user-apis", "APIs (owner, or to narrow)", "orders, owner:payments-team"),
            _text("user-consumers", "Applications (app developer)", "mobile-shop"),
            form_foot("Save", "user-save", "user-said"),
        ],
        className="gl-form",
    )


def token_form() -> Component:
    scopes = dcc.Checklist(
        id="token-scopes",
        options=list(TOKEN_SCOPES),
        value=["analytics"],
        inline=True,
        className="gl-radio",
    )
    return html.Div(
        [
            _choice("May ask", scopes),
            _text("token-name", "Name", "nightly report"),
            _text("token-days", "Days it lives", "empty = until it is revoked"),
            _text("token-apis", "APIs (empty = all)", "orders"),
            _text("token-consumers", "Applications (empty = all)", "mobile-shop"),
            form_foot("Make a token", "token-create", "token-said"),
        ],
        className="gl-form",
    )


def audit_filters() -> Component:
    kind: Any = dcc.RadioItems(
        id="audit-kind", options=AUDITED, value="", inline=True, className="gl-radio"
    )
    who = dcc.Input(
        id="audit-who",
        type="text",
        placeholder="who",
        className="gl-input",
        debounce=True,
        maxLength=200,
    )
    return html.Div([kind, who], className="gl-form-foot gl-pad")


def _text(id: str, label: str, placeholder: str) -> Component:
    return text_field(id, label, placeholder, maxLength=CHARS_MAX)


def _choice(label: str, options: Component) -> Component:
    return html.Div([html.Span(label, className="gl-sub"), options], className="gl-form-foot")
