"""How users, API tokens and the audit log look. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from dash import html

from dashboards import format as fmt
from dashboards.components import Component, Head, badge, table, when
from dashboards.people.tokens import ApiToken
from dashboards.people.users import User
from dashboards.roles import ROLES
from storage.audit import AuditEntry

_OUTCOME_TONE = {"done": "good", "refused": "bad", "failed": "warn"}


def users_table(users: Sequence[User], me: str, now: datetime) -> Component:
    """`me`: id of who looks; nobody disables themselves."""
    rows = [
        [
            html.Div(
                [
                    html.Div(
                        [fmt.plain(u.called, 60), badge("you", "accent") if u.id == me else None],
                        className="gl-name",
                    ),
                    html.Div(fmt.plain(u.name, 60), className="gl-sub") if u.title else None,
                ]
            ),
            badge(ROLES[u.role].title),
            html.Span(
                fmt.plain(", ".join((*u.apis, *u.consumers)), 60) or "all", className="gl-when"
            ),
            _how(u),
            when(_utc(u.seen_at), now) if u.seen_at else html.Span("never", className="gl-when"),
            html.Div(_user_buttons(u, me), className="gl-chips"),
        ]
        for u in users
    ]
    heads = (
        Head("Name"), Head("Role"), Head("Sees"), Head("Signs in by"), Head("Last"), Head(""),
    )  # fmt: skip
    return table(heads, rows, empty="No users yet: nobody is asked to sign in.")


def _only(names: Sequence[str]) -> Component:
    return html.Span(fmt.plain(", ".join(names), 60) if names else "all", className="gl-when")


def _how(user: User) -> Component:
    if user.disabled_at is not None:
        return badge("disabled", "bad")
    if user.issuer:
        return badge("single sign-on")
    return badge("password") if user.has_password else badge("invited", "warn")


def _user_buttons(user: User, me: str) -> list[Component]:
    buttons = [_button("Edit", "user-edit", user.name)]
    if not user.issuer:
        buttons.append(_button("Link", "user-link", user.name, "A link to choose a new password"))
    if user.id != me:
        off = user.disabled_at is None
        buttons.append(
            _button("Disable" if off else "Enable", "user-off" if off else "user-on", user.name)
        )
    return buttons


def tokens_table(tokens: Sequence[ApiToken], now: datetime) -> Component:
    rows = [
        [
            html.Span(fmt.plain(t.name, 60), className="gl-name"),
            html.Div([badge(s) for s in t.scopes], className="gl-chips"),
            _only((*(t.apis or ()), *(t.consumers or ()))),
            when(_utc(t.used_at), now) if t.used_at else html.Span("never", className="gl-when"),
            html.Span(f"{_utc(t.expires_at):%d %b %Y}" if t.expires_at else "never"),
            _button("Revoke", "token-revoke", t.name),
        ]
        for t in tokens
    ]
    heads = (
        Head("Name"), Head("May ask"), Head("Sees"), Head("Used"), Head("Expires"), Head(""),
    )  # fmt: skip
    return table(heads, rows, empty="No API token yet.")


def audit_table(entries: Sequence[AuditEntry]) -> Component:
    rows = [
        [
            html.Span(f"{_utc(e.at):%d %b %H:%M:%S}", className="gl-when"),
            html.Div(
                [
                    html.Span(fmt.plain(e.actor or "nobody", 50), className="gl-name"),
                    html.Span(f" {e.actor_kind}", className="gl-sub"),
                ]
            ),
            html.Span(fmt.plain(e.address, 45), className="gl-mono"),
            html.Span(e.action, className="gl-mono"),
            html.Div(
                [
                    html.Div(fmt.plain(e.target, 80)),
                    html.Div(fmt.plain(told(e), 160), className="gl-sub", title=told(e)[:1000]),
                ]
            ),
            badge(e.outcome, _OUTCOME_TONE.get(e.outcome, "")),
        ]
        for e in entries
    ]
    heads = (
        Head("Time (UTC)"), Head("Who"), Head("From"), Head("What"), Head("To what"), Head("Ended"),
    )  # fmt: skip
    return table(heads, rows, empty="Nothing of that kind in this time range.")


def told(entry: AuditEntry) -> str:
    """The details of an entry in one line."""
    return ", ".join(
        f"{name} {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in entry.detail.items()
        if value not in (None, [], "")
    )


def _button(text: str, kind: str, key: str, title: str = "") -> Component:
    return html.Button(
        text, id={"type": kind, "key": key}, className="gl-chip", type="button", title=title
    )


def _utc(at: float | None) -> datetime:
    return datetime.fromtimestamp(at or 0.0, UTC)
