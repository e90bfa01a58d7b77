"""The HTTP server of the query side: one ASGI dispatcher by path, on uvicorn.

/healthz, /readyz, /metrics        answered here, never behind a query
/api/...                           the query API (FastAPI); unknown paths there are 404
/login, /logout, /welcome, /auth   the pages in front of the screens (login.py)
everything else                    the Dash app; an address of no screen is a page with status 404

Dash never sees /api or the health paths: its catch-all answers any GET with the page.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import structlog
import uvicorn
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from alerting.errors import AlertingError
from alerting.settings import AlertingSettings
from dashboards import identity
from dashboards.api import create_api
from dashboards.app import create_app, known_path
from dashboards.branding import LOGO_PATH, send_logo
from dashboards.cache import SingleFlightCache
from dashboards.compression import KeptFiles, compressed
from dashboards.custom.boards import Boards
from dashboards.custom.public_page import PublicPages, is_public
from dashboards.data import Data
from dashboards.errors import DashboardStartError, Forbidden
from dashboards.exports import answer_with_exports
from dashboards.gate import Gate, changes_state, is_api, proves_same_origin, put_off
from dashboards.guards import (
    SECURITY_HEADERS,
    App,
    BodyTooLarge,
    Capped,
    Message,
    Receive,
    Scope,
    Send,
    content_policy,
    host_allowed,
    refuse,
    respond_json,
    same_origin,
    with_headers,
)
from dashboards.head_start import HeadStarts
from dashboards.limits import (
    CALLBACK_BODY_BYTES_MAX,
    SHUTDOWN_GRACE_S,
    SQL_BODY_BYTES_MAX,
    WARM_AFTER_S,
    WARM_EVERY_S,
)
from dashboards.login import Login
from dashboards.people.attempts import Attempts
from dashboards.people.errors import TooManyAttempts
from dashboards.people.sign_in import SignIn
from dashboards.roles import api_permissions
from dashboards.settings import DashboardSettings
from dashboards.warm import Panel, keep_warm
from storage.errors import StorageError
from storage.settings import StorageSettings

log = structlog.get_logger(__name__)

_UPDATES = "/_dash-update-component"
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
        if path == _UPDATES:
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


class Metrics:
    """Own numbers of the server, in Prometheus text at /metrics."""

    def __init__(self, cache: SingleFlightCache, attempts: Attempts) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "gatelens_dashboards_request_seconds",
            "Time to answer a request.",
            ["kind"],
            registry=self.registry,
            buckets=(0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30),
        )
        self._open = Gauge(
            "gatelens_dashboards_requests_open", "Requests being answered.", registry=self.registry
        )
        self._failed = Counter(
            "gatelens_dashboards_request_failures_total",
            "Requests that ended in an error of ours.",
            registry=self.registry,
        )
        self.registry.register(_CacheMetrics(cache))
        self.registry.register(_LoginMetrics(attempts))

    @contextlib.contextmanager
    def watch(self, path: str) -> Iterator[None]:
        kind = (
            "update"
            if path == _UPDATES
            else "api"
            if path.startswith("/api")
            else "file"
            if "." in path
            else "page"
        )
        begun = time.perf_counter()
        self._open.inc()
        try:
            yield
        except Exception:
            self._failed.inc()
            raise
        finally:
            self._open.dec()
            self._seconds.labels(kind).observe(time.perf_counter() - begun)

    def render(self) -> bytes:
        return generate_latest(self.registry)


class _CacheMetrics(Collector):
    def __init__(self, cache: SingleFlightCache) -> None:
        self._cache = cache

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "gatelens_dashboards_queries",
            "Questions of screens by how they were answered.",
            labels=["how"],
        )
        family.add_metric(["run"], self._cache.runs)
        family.add_metric(["joined"], self._cache.joined)
        family.add_metric(["cached"], self._cache.hits)
        yield family


class _LoginMetrics(Collector):
    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "gatelens_dashboards_login_attempts",
            "Passwords, links and tokens that were tried, by how it ended.",
            labels=["how"],
        )
        family.add_metric(["succeeded"], self._attempts.succeeded)
        family.add_metric(["failed"], self._attempts.failed)
        family.add_metric(["put_off"], self._attempts.put_off)
        yield family


def create_server(data: Data, sign_in: SignIn | None = None, *, ahead: bool = False) -> Dispatcher:
    """The whole ASGI application, without a socket. `sign_in`: for tests with cheap passwords.
    ahead: a page's questions are asked with it, see head_start.py; for one event loop alone."""
    screens = create_app(data)
    if ahead:
        screens.head_starts = HeadStarts(screens.panels, data.answers)
    api = create_api(data)
    policy = content_policy(f"'{h.strip(chr(39))}'" for h in screens.csp_hashes())
    door = sign_in or SignIn(data.state, data.settings, data.whole_catalog)
    data.sign_in = door
    return Dispatcher(data, screens.server, api, policy, door, screens.panels)


def bind(settings: DashboardSettings) -> socket.socket:
    """Take the port before anything else starts. Raises DashboardStartError with what to do."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((settings.host, settings.port))
    except OSError as err:
        taken.close()
        raise DashboardStartError(
            f"The dashboards cannot listen on {settings.host}:{settings.port} ({err.strerror}); "
            "stop what uses it or choose another with GATELENS_DASHBOARD_PORT."
        ) from err
    taken.set_inheritable(True)
    return taken


def run(
    settings: DashboardSettings,
    storage: StorageSettings,
    catalog_path: Path | None = None,
    alerting: AlertingSettings = AlertingSettings(),  # noqa: B008 - frozen
) -> None:
    """Serve until SIGTERM or SIGINT, then end within SHUTDOWN_GRACE_S and a little.

    Blocks. Raises DashboardStartError when the port is taken or the data folder cannot be used.
    """
    listener = bind(settings)
    try:
        data = Data(settings, storage, catalog_path, alerting)
    except (OSError, StorageError, AlertingError) as err:
        listener.close()
        raise DashboardStartError(f"The dashboards cannot open their data: {err}") from err
    app = create_server(data, ahead=True)
    server = WarmServer(uvicorn_config(app), app)
    host, port = listener.getsockname()[:2]
    log.info("dashboards_listening", url=f"http://{host}:{port}")
    try:
        with _signals_end_quietly():
            server.run(sockets=[listener])
    finally:
        data.close()
        listener.close()
        log.info("dashboards_stopped")


@contextlib.contextmanager
def _signals_end_quietly() -> Iterator[None]:
    """uvicorn raises the signal that stopped it once more: the default would kill us before we have
    closed what is open, and the exit code would not be 0."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stops = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: None) for number in stops}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class WarmServer(uvicorn.Server):
    """uvicorn, with what is done beside answering."""

    def __init__(self, config: uvicorn.Config, app: Dispatcher) -> None:
        super().__init__(config)
        self._app = app
        self._warming: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._warming = asyncio.create_task(self._app.keep_warm())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._warming is not None:
            self._warming.cancel()
        await super().shutdown(sockets)


def uvicorn_config(app: Dispatcher) -> uvicorn.Config:
    proxies = [p.strip() for p in app.settings.trusted_proxies.split(",") if p.strip()]
    return uvicorn.Config(
        app,
        # Believed from named proxies alone: whoever may say where they come from may guess on.
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=64 << 10,
        lifespan="on",
        ws="none",
    )
