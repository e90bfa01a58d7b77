"""The pages in front of the screens: log in, log out, links that work once, single sign-on.

Plain HTML forms that work without a script, under the same policy as every page. They answer at
/login, /logout, /welcome/<secret>, /auth/start and /auth/callback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from html import escape
from urllib.parse import parse_qsl

import structlog

from dashboards import door
from dashboards.branding import Brand
from dashboards.people.errors import PeopleError, SignOnFailed, TooManyAttempts, WrongPassword
from dashboards.people.oidc import Provider
from dashboards.serving.gate import (
    Gate,
    address_of,
    cookies_of,
    harmless_path,
    proves_same_origin,
    redirect,
)
from dashboards.serving.guards import Receive, Scope, Send, header, refuse

log = structlog.get_logger(__name__)

FORM_BYTES_MAX = 16 << 10
FLOW_COOKIE = "gatelens_sign_on"

_FORMS: Mapping[str, frozenset[str]] = {
    "/login": frozenset({"name", "password", "next"}),
    "/welcome": frozenset({"name", "password", "again"}),
    "/logout": frozenset(),
}
"""Fields each form may have. Any other is refused: nobody can hand in a role or a tenant."""


class Login:
    """Answers the paths it `owns`. Everything that blocks runs in a thread."""

    def __init__(self, gate: Gate, brand: Brand) -> None:
        self._gate = gate
        self._sign_in = gate.sign_in
        self._settings = gate.sign_in.settings
        self._brand = brand
        self.provider = Provider(gate.sign_in)

    def owns(self, path: str) -> bool:
        return path in ("/login", "/logout", "/auth/start", "/auth/callback") or path.startswith(
            "/welcome/"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if method == "POST" and not proves_same_origin(scope):
            return await refuse(send, 403, "Requests from other sites are refused.")
        try:
            if path == "/login" and method in ("GET", "HEAD"):
                return await self._form(scope, send)
            if path == "/login" and method == "POST":
                return await self._log_in(scope, receive, send)
            if path == "/logout" and method == "POST":
                return await self._log_out(scope, receive, send)
            if path.startswith("/welcome/") and method in ("GET", "HEAD"):
                return await self._welcome(scope, send)
            if path.startswith("/welcome/") and method == "POST":
                return await self._use_link(scope, receive, send)
            if path == "/auth/start" and method == "GET" and self._settings.oidc_issuer:
                return await self._leave(scope, send)
            if path == "/auth/callback" and method == "GET" and self._settings.oidc_issuer:
                return await self._come_back(scope, send)
        except TooManyAttempts as err:
            wait = (b"retry-after", str(err.retry_after_s).encode())
            return await self._page(send, 429, self._message("Wait a moment", str(err)), wait)
        except SignOnFailed as err:
            log.warning("single_sign_on_failed", why=str(err), cause=str(err.__cause__ or ""))
            return await self._page(send, 401, self._message("That did not work", str(err)))
        return await refuse(send, 405 if self._post_only(path) else 404, "Nothing lives here.")

    async def _form(self, scope: Scope, send: Send) -> None:
        target = self._next(scope)
        if await self._gate.who(scope) is not None:
            return await redirect(send, target)
        return await self._page(send, 200, self._login_form(target))

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        form = await read_form(scope, receive, _FORMS["/login"])
        if form is None:
            return await refuse(send, 400, "This form cannot be read.")
        target = harmless_path(form.get("next", "/"))
        name, password = form.get("name", ""), form.get("password", "")
        try:
            secret = await asyncio.to_thread(
                self._sign_in.with_password, name, password, address_of(scope)
            )
        except WrongPassword as err:
            return await self._page(send, 401, self._login_form(target, name, str(err)))
        return await redirect(send, target, self._gate.set_cookie(scope, secret))

    async def _log_out(self, scope: Scope, receive: Receive, send: Send) -> None:
        if await read_form(scope, receive, _FORMS["/logout"]) is None:
            return await refuse(send, 400, "This form cannot be read.")
        who = await self._gate.who(scope)
        if who is not None and who.session:
            await asyncio.to_thread(self._sign_in.log_out, who)
        return await redirect(send, "/login", self._gate.set_cookie(scope, ""))

    async def _welcome(self, scope: Scope, send: Send) -> None:
        secret = scope["path"].removeprefix("/welcome/")
        await self._page(send, *await self._welcome_form(scope, secret))

    async def _use_link(self, scope: Scope, receive: Receive, send: Send) -> None:
        secret = scope["path"].removeprefix("/welcome/")
        form = await read_form(scope, receive, _FORMS["/welcome"])
        if form is None:
            return await refuse(send, 400, "This form cannot be read.")
        name, password = form.get("name", ""), form.get("password", "")
        if password != form.get("again", ""):
            said = "The two passwords are not the same."
            return await self._page(send, *await self._welcome_form(scope, secret, name, said))
        try:
            session = await asyncio.to_thread(
                self._sign_in.with_link, secret, name, password, address_of(scope)
            )
        except TooManyAttempts:
            raise
        except PeopleError as err:
            return await self._page(send, *await self._welcome_form(scope, secret, name, str(err)))
        return await redirect(send, "/", self._gate.set_cookie(scope, session))

    async def _welcome_form(
        self, scope: Scope, secret: str, name: str = "", said: str = ""
    ) -> tuple[int, str]:
        try:
            user = await asyncio.to_thread(self._sign_in.linked_user, secret, address_of(scope))
        except TooManyAttempts:
            raise
        except PeopleError as err:
            return 404, self._message("This link does not work", str(err))
        status = 400 if said else 200
        return status, door.welcome_form(
            self._brand,
            None if user is None else user.name,
            f"/welcome/{escape(secret)}",
            name,
            said,
        )

    async def _leave(self, scope: Scope, send: Send) -> None:
        start = await asyncio.to_thread(
            self.provider.start, self._redirect_uri(scope), self._next(scope)
        )
        # Lax: the provider sends the browser back by a link, and the cookie must come along.
        text = f"{FLOW_COOKIE}={start.cookie}; Path=/auth; Max-Age=600; HttpOnly; SameSite=Lax"
        text += "; Secure" if self._gate.secure(scope) else ""
        return await redirect(send, start.url, (b"set-cookie", text.encode()))

    async def _come_back(self, scope: Scope, send: Send) -> None:
        raw = scope.get("query_string", b"").decode("latin-1")
        if len(raw) > FORM_BYTES_MAX:
            raise SignOnFailed("The provider's answer is too long.")
        query = dict(parse_qsl(raw, max_num_fields=20)) if raw.count("&") < 20 else {}
        secret, target = await asyncio.to_thread(
            self.provider.finish,
            query,
            cookies_of(scope).get(FLOW_COOKIE, ""),
            self._redirect_uri(scope),
            address_of(scope),
        )
        gone = f"{FLOW_COOKIE}=; Path=/auth; Max-Age=0; HttpOnly; SameSite=Lax"
        # The browser came from the provider's site: a redirect would keep a strict cookie away.
        return await redirect(
            send,
            harmless_path(target),
            self._gate.set_cookie(scope, secret),
            (b"set-cookie", gone.encode()),
        )

    def _redirect_uri(self, scope: Scope) -> str:
        base = self._settings.public_url.rstrip("/")
        if not base:
            # The Host was checked against the allow-list before we got here.
            base = f"{scope.get('scheme', 'http')}://{header(scope, b'host')}"
        return f"{base}/auth/callback"

    def _next(self, scope: Scope) -> str:
        raw = scope.get("query_string", b"").decode("latin-1")
        asked = dict(parse_qsl(raw, max_num_fields=20)) if raw.count("&") < 20 else {}
        return harmless_path(asked.get("next", "/"))

    def _login_form(self, target: str, name: str = "", said: str = "") -> str:
        return door.login_form(
            self._brand,
            target,
            name,
            said,
            single_sign_on=bool(self._settings.oidc_issuer),
            first_run=self._sign_in.setup_link_wanted(),
        )

    def _message(self, head: str, text: str) -> str:
        return door.message(self._brand, head, text)

    def _post_only(self, path: str) -> bool:
        return path in _FORMS

    async def _page(
        self, send: Send, status: int, html: str, *headers: tuple[bytes, bytes]
    ) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", b"text/html; charset=utf-8"),
                    (b"cache-control", b"no-store"),
                    *headers,
                ],
            }
        )
        await send({"type": "http.response.body", "body": html.encode()})


async def read_form(
    scope: Scope, receive: Receive, fields: frozenset[str]
) -> Mapping[str, str] | None:
    """A form's fields; None where it is no form, has other fields, or one twice.

    Raises BodyTooLarge through `receive`.
    """
    kind = (header(scope, b"content-type") or "").split(";")[0].strip().lower()
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > FORM_BYTES_MAX:
            return None
        if not message.get("more_body"):
            break
    if not body:
        return {}
    if kind != "application/x-www-form-urlencoded":
        return None
    try:
        pairs = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, max_num_fields=10, errors="strict"
        )
    except (ValueError, UnicodeDecodeError):
        return None
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names) or not set(names) <= fields:
        return None
    return dict(pairs)
