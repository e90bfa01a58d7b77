"""The HTTP server of the query side: the dispatcher (dispatcher.py), on uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import structlog
import uvicorn

from alerting.errors import AlertingError
from alerting.settings import AlertingSettings
from dashboards.app import create_app
from dashboards.data import Data
from dashboards.errors import DashboardStartError
from dashboards.limits import SHUTDOWN_GRACE_S
from dashboards.people.sign_in import SignIn
from dashboards.serving.api import create_api
from dashboards.serving.dispatcher import Dispatcher
from dashboards.serving.guards import content_policy
from dashboards.serving.head_start import HeadStarts
from dashboards.settings import DashboardSettings
from storage.errors import StorageError
from storage.settings import StorageSettings

log = structlog.get_logger(__name__)


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
