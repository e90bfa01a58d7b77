"""What the Admin screen does: add and change users, make and revoke API tokens.

All of it blocks: callbacks call it through `asyncio.to_thread`. Each change and its entry in the
audit log are one transaction of the books in people/.
"""

from __future__ import annotations

from collections.abc import Mapping

from dash import html

from dashboards import identity
from dashboards.clicks import Click
from dashboards.components import Component
from dashboards.data import Data
from dashboards.identity import Principal
from dashboards.panels.people_forms import CHARS_MAX, USER_FIELDS
from dashboards.people.errors import BadUser, NoSuchUser, PeopleError
from dashboards.people.sign_in import SignIn
from dashboards.people.users import place
from dashboards.roles import ROLES, TOKEN_SCOPES


def asker(data: Data) -> tuple[Principal, SignIn]:
    """Who asks, an admin, and the book of people."""
    who = identity.require("admin")
    assert data.sign_in is not None, "the server sets it"
    return who, data.sign_in


def act(data: Data, click: Click, form: Mapping[str, object]) -> Component:
    """Do one change; a sentence that says what happened, or what to change.

    form: USER_FIELDS and TOKEN_FIELDS -> what stands in them, as a browser sent it.
    """
    who, door = asker(data)
    users, tokens, key = door.users.within(who.tenant), door.tokens.within(who.tenant), click.key
    try:
        match click.kind:
            case "user-save":
                return _save(who, door, *(_text(form[name]) for name in USER_FIELDS))
            case "user-link":
                secret = door.links.for_password(users.get(key), who.actor)
                return _once(f"With this link {key} chooses a password:", f"/welcome/{secret}")
            case "user-off" | "user-on":
                if users.get(key).id == who.id:
                    raise BadUser("Nobody disables themselves; another admin can.")
                off = click.kind == "user-off"
                users.set_disabled(key, off, actor=who.actor)
                return html.Span(f"{key} is {'disabled' if off else 'enabled'}.")
            case "token-create":
                return _make_token(who, door, form)
            case "token-revoke":
                tokens.revoke(key, actor=who.actor)
                return html.Span(f"Token {key} is revoked.")
    except PeopleError as err:
        return html.Span(str(err), className="bad-text")
    finally:
        door.forget()
    return html.Span("")


def _text(value: object) -> str:
    return str(value or "")[:CHARS_MAX]


def _names(value: object) -> list[str]:
    """'orders, rates' -> ['orders', 'rates']."""
    return [name.strip() for name in _text(value).split(",") if name.strip()]


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
    users.change(user.name, given, actor=who.actor, title=title or None)
    return html.Span(f"{user.name} is {ROLES[given.role].title} now.")


def _make_token(who: Principal, door: SignIn, form: Mapping[str, object]) -> Component:
    chosen, days = form["token-scopes"], _text(form["token-days"])
    wanted = [str(s) for s in chosen] if isinstance(chosen, list) else []
    over = [s for s in wanted if not TOKEN_SCOPES.get(s, frozenset()) <= who.permissions]
    if over:
        raise BadUser(f"You may not give what you may not do yourself: {', '.join(over)[:100]}.")
    try:
        lives = float(days) if days.strip() else None
    except ValueError:
        raise BadUser("Days are a number, or nothing.") from None
    secret = door.tokens.within(who.tenant).create(
        _text(form["token-name"]),
        wanted,
        actor=who.actor,
        tenant=who.tenant,
        apis=_names(form["token-apis"]),
        consumers=_names(form["token-consumers"]),
        days=lives,
    )
    return _once("This is the token; it is shown this once:", secret)


def _once(text: str, secret: str) -> Component:
    return html.Div([html.Span(text), html.Code(secret, className="gl-once")])
