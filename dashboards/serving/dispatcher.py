"""Which part of the query side answers a request, by its path; who is asking is settled first.

/healthz, /readyz, /metrics        answered here, never behind a query
/api/...                           the query API (FastAPI); unknown paths there are 404
/login, /logout, /welcome, /auth   the pages in front of the screens (login.py)
everything else                    the Dash app; an address of no screen is a page with status 404

Dash never sees /api or the health paths: its catch-all answers any GET with the page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

import structlog
from prometheus_client import CONTENT_TYPE_LATEST

from dashboards import identity
from dashboards.app import known_path
from dashboards.branding import LOGO_PATH, send_logo
from dashboards.custom.boards import Boards
from dashboards.custom.public_page import PublicPages, is_public
from dashboards.data import Data
from dashboards.errors import Forbidden
from dashboards.limits import (
    CALLBACK_BODY_BYTES_MAX,
    SQL_BODY_BYTES_MAX,
    WARM_AFTER_S,
    WARM_EVERY_S,
)
from dashboards.login import Login
from dashboards.people.errors import TooManyAttempts
from dashboards.people.sign_in import SignIn
from dashboards.roles import api_permissions
from dashboards.serving.compression import KeptFiles, compressed
from dashboards.serving.exports import answer_with_exports
from dashboards.serving.gate import Gate, changes_state, is_api, proves_same_origin, put_off
from dashboards.serving.guards import (
    SECURITY_HEADERS,
    App,
    BodyTooLarge,
    Capped,
    Message,
    Receive,
    Scope,
    Send,
    host_allowed,
    refuse,
    respond_json,
    same_origin,
    with_headers,
)
from dashboards.serving.server_metrics import UPDATES, Metrics
from dashboards.serving.warm import Panel, keep_warm

log = structlog.get_logger(__name__)

_FRAME = frozenset({"/_dash-layout", "/_dash-dependencies", "/_favicon.ico"})
"""What else the browser asks of Dash itself."""


class Dispatcher:
    """The ASGI application. `screens` and `api` are ASGI applications of their own."""

    def __init__(
        self,
        data: Data,
        screens: App,
        api: App,
        policy: str,
        sign_in: SignIn,
        panels: Sequence[Panel] = (),
    ) -> None:
        self._data = data
        self._panels = panels
        self.settings = data.settings
        self.gate = Gate(sign_in)
        self._login = Login(self.gate, data.brand)
        self._screens = screens
        self._files = KeptFiles(screens)
        self._api = api
        self._public = PublicPages(Boards(data), data.brand)
        self._page_headers = [
            (b"content-security-policy", policy.encode("latin-1")),
            *SECURITY_HEADERS,
        ]
        names = data.settings.allowed_hosts.lower().split(",")
        public = urlsplit(data.settings.public_url).hostname or ""
        self._hosts = frozenset(
            name for name in (*(n.strip() for n in names), data.settings.host, public) if name
        )
        self._metrics = Metrics(data.answers, sign_in.attempts)

    async def keep_warm(self) -> None:
        """Fill the memory of settled hours again and again; see warm.py. Ends when cancelled."""
        hours = self.settings.warm_hours
        if not hours:
            return
        await asyncio.sleep(WARM_AFTER_S)
        while True:
            try:
                await keep_warm(self._data, self._panels, hours)
            except Exception:
                log.exception("warming_failed")
            await asyncio.sleep(WARM_EVERY_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._screens(scope, receive, send)
        elif scope["type"] == "http":
            with self._metrics.watch(scope["path"]):
                await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path == "/healthz":
            return await respond_json(send, 200, {"status": "ok"})
        if path == "/readyz":
            return await self._ready(send)
        if path == "/metrics":
            return await _plain(send, self._metrics.render())
        host = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"host"), None)
        if not host_allowed(host, self._hosts):
            return await refuse(
                send, 400, "This host name is not known here; add it to dashboards.allowed_hosts."
            )
        if changes_state(scope) and not same_origin(scope):
            return await refuse(send, 403, "Requests from other sites are refused.")
        if path == LOGO_PATH and self._data.brand.logo:
            return await send_logo(send, self._data.brand.logo)
        try:
            limit = SQL_BODY_BYTES_MAX if is_api(path) else CALLBACK_BODY_BYTES_MAX
            reader = Capped(scope, receive, limit)
            if is_public(path):
                return await self._public(scope, reader, send)
            if self._login.owns(path):
                return await self._login(scope, reader, with_headers(send, self._page_headers))
            if path.startswith("/assets/"):  # the login needs them, and they are no secret
                return await self._files(scope, reader, with_headers(send, SECURITY_HEADERS))
            await self._known(scope, reader, send)
        except BodyTooLarge:
            await refuse(send, 413, f"The body is larger than {limit} bytes.")
        except TooManyAttempts as err:
            await put_off(send, err)

    async def _known(self, scope: Scope, receive: Capped, send: Send) -> None:
        """Answer whoever is asking; nobody is turned away."""
        who = await self.gate.who(scope)
        if who is None:
            return await self.gate.turn_away(scope, send)
        if (
            changes_state(scope)
            and who.kind == "user"  # a cookie speaks for them
            and not proves_same_origin(scope)
        ):
            return await refuse(send, 403, "Requests from other sites are refused.")
        if who.kind != "local":
            send = with_headers(send, _PRIVATE) if not _is_file(scope["path"]) else send
        with identity.acting_as(who):
            try:
                if is_api(scope["path"]):
                    return await self._answer(scope, receive, send)
                return await self._screen(scope, receive, send)
            finally:
                await self._note_refusals(scope["path"])

    async def _answer(self, scope: Scope, receive: Capped, send: Send) -> None:
        """An address of the API, for those who may."""
        wanted = api_permissions(scope["path"])
        if wanted is None:
            return await refuse(send, 404, "Nothing lives at this address; see /api/docs.")
        try:
            if wanted and not any(identity.allowed(one) for one in wanted):
                identity.require(wanted[0])
        except Forbidden as err:
            return await refuse(send, 403, str(err))
        secured = with_headers(send, SECURITY_HEADERS)
        return await answer_with_exports(self._api, self._data.state, scope, receive, secured)

    async def _note_refusals(self, path: str) -> None:
        """Who was refused what goes to the audit log."""
        refused = identity.refused()
        if refused:
            await asyncio.to_thread(
                identity.audit, self._data.state, "access", path, "refused", needs=refused
            )

    async def _screen(self, scope: Scope, receive: Capped, send: Send) -> None:
        path: str = scope["path"]
        if _is_file(path):
            return await self._files(scope, receive, with_headers(send, SECURITY_HEADERS))
        if path == UPDATES:
            if scope["method"] != "POST":
                return await refuse(send, 405, "Updates are sent with POST.")
            return await self._update(scope, receive, send)
        if path in _FRAME:
            wrapped = with_headers(send, self._page_headers)
            return await compressed(self._screens, scope, receive, wrapped)
        if scope["method"] not in ("GET", "HEAD"):
            return await refuse(send, 405, "Screens are read with GET.")
        status = None if known_path(path) else 404
        wrapped = with_headers(send, self._page_headers, status=status)
        return await compressed(self._screens, scope, receive, wrapped)

    async def _update(self, scope: Scope, receive: Capped, send: Send) -> None:
        """A screen's update. What Dash cannot make sense of is the sender's mistake: 400."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if message["status"] == 500:
                    # Our own callbacks never raise (guard.py): what is left is a forged body.
                    message = {**message, "status": _blame(receive)}
            await send(message)

        try:
            wrapped = with_headers(watched, self._page_headers)
            await compressed(self._screens, scope, receive, wrapped)
        except BodyTooLarge:
            raise
        except Exception as err:
            log.warning("update_refused", reason=type(err).__name__)
            if not started:
                await refuse(send, _blame(receive), "This update does not fit any screen.")

    async def _ready(self, send: Send) -> None:
        """Ready = the lake and the state store answer within a second."""
        try:
            loop = asyncio.get_running_loop()
            await asyncio.wait_for(loop.run_in_executor(None, self._data.probe), timeout=1.0)
        except Exception as err:
            log.warning("not_ready", reason=str(err))
            return await refuse(send, 503, "The lake or the state store does not answer.")
        return await respond_json(send, 200, {"status": "ready"})


_PRIVATE = ((b"cache-control", b"no-store"), (b"vary", b"cookie"))
"""What one person is shown is kept by no cache, and not shown by Back after the logout."""


def _is_file(path: str) -> bool:
    """Files of the framework's components: the same for everybody."""
    return path.startswith("/_dash-component-suites/")


def _blame(receive: Capped) -> int:
    """Status of an update that came to nothing: too long, not for the asker's role, or forged."""
    if receive.exceeded:
        return 413
    return 403 if identity.refused() else 400


async def _plain(send: Send, body: bytes) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", CONTENT_TYPE_LATEST.encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})
