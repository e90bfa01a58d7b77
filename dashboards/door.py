"""HTML of the pages in front of the screens. Pure: values in, text out; every value is escaped."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from dashboards import theme
from dashboards.branding import Brand
from dashboards.custom.html_text import to_html

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{head} · {title}</title>
<style>{tokens}</style>
<link rel="stylesheet" href="/assets/gatelens.css">
<link rel="stylesheet" href="/assets/gl_door.css">
<script src="/assets/boot.js"></script>
</head>
<body class="gl-door">
<main class="gl-door-card">
<div class="gl-brand">{mark}</div>
<h1>{head}</h1>
{body}
</main>
</body>
</html>"""


def login_form(
    brand: Brand,
    target: str,
    name: str = "",
    said: str = "",
    *,
    single_sign_on: bool = False,
    first_run: bool = False,
) -> str:
    """`target`: path to go to afterwards. `said`: what was wrong; '' = nothing yet."""
    if first_run:
        return message(
            brand,
            "Almost there",
            "Nobody can sign in yet. The terminal in which Gatelens was started shows a link that "
            "makes the first admin; it works once. `gatelens user setup` makes another.",
        )
    other = ""
    if single_sign_on:
        href = f"/auth/start?next={quote(target, safe='')}"
        other = (
            f'<a class="gl-button gl-door-wide" href="{escape(href)}">Continue with single '
            'sign-on</a><div class="gl-door-or"><span>or with a password</span></div>'
        )
    body = f"""{other}{_said(said)}<form method="post" action="/login">
<input type="hidden" name="next" value="{escape(target)}">
{_field("name", "Name", name, "username", focus=not name)}
{_field("password", "Password", "", "current-password", kind="password", focus=bool(name))}
<button class="gl-button primary gl-door-wide" type="submit">Sign in</button></form>"""
    return _page(brand, "Sign in", body)


def welcome_form(brand: Brand, user: str | None, action: str, name: str, said: str) -> str:
    """Set a password. `user` None = first-run set-up, which also asks for a name. `action` is
    escaped already."""
    if user is None:
        head = "Make the first admin"
        about = "You can add the others, and say what they may do, on the Admin screen."
        who = _field("name", "Name", name, "username", focus=True)
    else:
        head, about = "Choose your password", f"You are signing in as <b>{escape(user)}</b>."
        who = f'<input type="hidden" name="name" value="{escape(user)}" autocomplete="username">'
    body = f"""<p class="gl-sub">{about}</p>{_said(said)}<form method="post" action="{action}">
{who}
{_field("password", "Password", "", "new-password", kind="password", hint="12 characters or more")}
{_field("again", "The same again", "", "new-password", kind="password")}
<button class="gl-button primary gl-door-wide" type="submit">Continue</button></form>"""
    return _page(brand, head, body)


def message(brand: Brand, head: str, text: str) -> str:
    return _page(
        brand,
        head,
        f'<p class="gl-sub">{escape(text)}</p>'
        '<a class="gl-button gl-door-wide" href="/login">To the login</a>',
    )


def _page(brand: Brand, head: str, body: str) -> str:
    return _PAGE.format(
        title=escape(brand.name),
        mark=to_html(brand.mark()),
        head=escape(head),
        body=body,
        tokens=theme.css(brand.accents),
    )


def _said(text: str) -> str:
    return f'<div class="gl-failure" role="alert">{escape(text)}</div>' if text else ""


def _field(
    name: str,
    label: str,
    value: str,
    autocomplete: str,
    *,
    kind: str = "text",
    hint: str = "",
    focus: bool = False,
) -> str:
    small = f"<small>{escape(hint)}</small>" if hint else ""
    return (
        f'<label class="gl-door-field"><span>{escape(label)}</span>'
        f'<input class="gl-input" name="{name}" type="{kind}" value="{escape(value)}" '
        f'autocomplete="{autocomplete}" autocapitalize="none" spellcheck="false" '
        f'maxlength="512" required{" autofocus" if focus else ""}>{small}</label>'
    )
